"""Indexes COUNT photos into FOLDER, asks some questions, and prints the process's anonymous resident memory in KiB."""

import re
import sys
from pathlib import Path

from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.query import IndexQuery, KeywordClause, TextClause, VectorClause

from benchmarks.index_photos import BATCH, COLLECTION, SPACES, batch


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        for start in range(0, count, BATCH):
            last = batch(start, BATCH)
            index.write(last)
        for space in SPACES:
            index.search(IndexQuery(COLLECTION, VectorClause(space.name, space.provenance, last[0].vectors[space.name][0])))
        index.search(IndexQuery(COLLECTION, KeywordClause(("label 1",))))
        index.search(IndexQuery(COLLECTION, TextClause(("view",), (), ())))
        found = re.search(r"^Anonymous:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.M)
        assert found is not None
        print(found[1])


if __name__ == "__main__":
    main()
