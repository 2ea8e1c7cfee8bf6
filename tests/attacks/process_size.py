"""What a process and its children hold: memory and open files. Linux only."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class ProcessSize:
    """Memory in MiB, shared pages counted in equal parts (PSS); open files; processes."""

    mebibytes: float
    files: int
    processes: int


def size_of(pid: int) -> ProcessSize:
    """The process and all below it; those that end meanwhile are left out."""
    memory = files = processes = 0
    for one in _tree(pid):
        with suppress(*_GONE):
            found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)
            memory += int(found[1]) if found else 0
            files += len(list(Path(f"/proc/{one}/fd").iterdir()))
            processes += 1
    return ProcessSize(memory / 1024, files, processes)


def _tree(pid: int) -> list[int]:
    found = [pid]
    with suppress(*_GONE):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += _tree(int(child))
    return found
