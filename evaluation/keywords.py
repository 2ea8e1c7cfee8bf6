"""Are keywords learned from few tags right on other photos? Half of each class below objects/ is tagged, the other half asked."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.doors import command
from evaluation.goals import Check
from evaluation.photos import Photo

GOALS = {"efficientnet-lite0/features": 0.9, "efficientnet-lite0/look": 0.9, "vgg16-conv/pool5/avg": 0.85}


def learned_keywords(photos: Sequence[Photo], work: Path) -> Iterator[Check]:
    """Learns from every other photo of each class, in the collection `tagged`; tests on the rest, in the collection `rest`."""
    data = work / "keyword-data"
    shutil.rmtree(data, ignore_errors=True)
    halves = _halves([photo for photo in photos if photo.photo_id.startswith("objects/")], work / "keyword-photos")
    for name, folder in halves.items():
        command("index", str(folder), "--collection", name, "--data", str(data), MIRADOURO_SPACES=",".join(GOALS))
    for space, goal in GOALS.items():
        learned = command("keywords", "learn", "--collection", "tagged", "--space", space, "--data", str(data))
        tested = command("keywords", "test", "--collection", "tagged", "--on", "rest", "--data", str(data))
        print(f"{space}: {len(learned['keywords'])} keywords, top-1 {learned['top1']:.4f} in cross-validation", flush=True)
        yield Check(f"{space}: learned keyword of other photos, top-1 of {tested['photos']}", tested["top1"], ">=", goal)


def _halves(photos: Sequence[Photo], root: Path) -> dict[str, Path]:
    """Copies of the photos in two folders, each photo with a sidecar that has its class as a tag."""
    shutil.rmtree(root, ignore_errors=True)
    classes: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        classes[photo.photo_id.split("/")[1]].append(photo)
    for kind, members in classes.items():
        for i, photo in enumerate(members):
            copy = root / ("tagged", "rest")[i % 2] / kind / photo.path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo.path, copy)
            copy.with_suffix(".json").write_text(json.dumps({"tags": [kind]}))
    return {name: root / name for name in ("tagged", "rest")}
