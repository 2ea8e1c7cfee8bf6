"""`make fuzz MINUTES=`: atheris over every target, one process after another; what it finds goes into the corpus by hand.

Each target begins with its seeds and the committed corpus. What libFuzzer keeps for coverage lies in build/fuzz/NAME, so that the
next run goes on from there; an input that breaks a target is written to build/fuzz/found/NAME-… and the run ends with status 1.
Fix the bug, then commit that file as tests/fuzz_corpus/NAME/WHAT-IT-SHOWS.
"""

import argparse
import hashlib
import importlib
import subprocess
import sys
import warnings
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "fuzz_corpus"
TARGETS = "tests.fuzz.targets"
MAX_INPUT_BYTES = 16 * 1024
HANG_S = 60  # of the clock: libFuzzer's own watch over what never comes back to Python
RSS_MIB = 2_048


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for inputs that break a reader.")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--only", default="", help="only the targets whose name holds this")
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"), help="where the inputs are kept that reach more code")
    parser.add_argument("--target", help="run this one in this process")
    options = parser.parse_args()
    if options.target:
        _fuzz(options.target, options.work, seconds=int(60 * options.minutes))
        return
    broken = [name for name in _names(options.only) if not _run(name, options.work, options.minutes)]
    for path in sorted((options.work / "found").glob("*")):
        print(f"found: {path}")
    if broken:
        sys.exit(f"broken: {', '.join(broken)}")


def _names(only: str) -> list[str]:
    return [name for name in importlib.import_module(TARGETS).TARGETS if only in name]


def _run(name: str, work: Path, minutes: float) -> bool:
    """Whether the target held; a crash of the interpreter is seen too, for it is a process of its own."""
    print(f"fuzzing: {name}", file=sys.stderr, flush=True)
    words = ["--target", name, "--minutes", str(minutes), "--work", str(work)]
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", *words], check=False)
    return done.returncode == 0


def _fuzz(name: str, work: Path, *, seconds: int) -> None:
    import atheris

    kept, found = work / name, work / "found"
    kept.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    with atheris.instrument_imports(include=["miradouro"]):
        target = importlib.import_module(TARGETS).TARGETS[name]
        from tests.fuzz.seeds import seeds
    warnings.simplefilter("error")  # as in the tests: readers have to handle a library's warnings about their input
    for seed in seeds(name):
        (kept / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)
    flags = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={RSS_MIB}",
        f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=0",
        "-verbosity=0",
    ]
    corpus = [str(kept), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
    atheris.Setup([name, *flags, *corpus], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
