"""`make accept PHOTOS=DIR`: are the answers worth what they promise? Prints each number with its goal; exits 1 on a miss."""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from evaluation import checks
from evaluation.collages import collages
from evaluation.colours import wide_colours
from evaluation.doors import command, up
from evaluation.goals import Check
from evaluation.keywords import learned_keywords
from evaluation.kinds import kinds
from evaluation.metadata import agrees_with_exiftool
from evaluation.photos import labels, photos


def run(folder: Path, work: Path) -> Iterator[Check]:
    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    found = photos(folder)
    report = command("index", str(folder), "--data", str(data))
    print(f"indexed {report['indexed']}, failed {len(report['failed'])}, ignored {report['ignored']}", flush=True)
    yield checks.indexed(found, data)
    yield agrees_with_exiftool(found)
    yield checks.true_class(found, labels())
    yield checks.captions(found, work)
    with up(data) as stub:
        yield from checks.keywords(stub, found, data)
        yield from checks.resaved_finds_original(stub, found, data)
        yield checks.middle_finds_whole(stub, found)
        yield from checks.first_by_itself(stub, found, data)
        yield from wide_colours(stub, found)
        yield from kinds(stub, found)
    yield from collages(found, folder, work)
    yield from learned_keywords(found, work)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos; imagenet/ in it holds nXXXXXXXX_label.JPEG")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is built; may be thrown away")
    options = parser.parse_args()
    if not options.photos.is_dir():
        parser.error(f"{options.photos} is no folder")
    start, missed = time.monotonic(), 0
    for check in run(options.photos.resolve(), options.work.resolve()):
        print(check.line(), flush=True)
        missed += not check.holds
    print(f"{'every goal is met' if not missed else f'{missed} goals missed'}, {time.monotonic() - start:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
