"""Many collections and few file handles: how many files are open does not depend on how many collections there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

from miradouro.core.ports import MAX_COLLECTIONS

ROOT = Path(__file__).parents[2]
CONNECTIONS = 12  # open files of those that were lent at the same moment, and are kept; it takes 17 without them
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
# Puts a photo into each of some collections, asks each by vector, and prints what became of it and how many files are open.
CROWD = """
import json, os, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.query import IndexQuery, VectorClause
from miradouro.v1.ingest_service_pb2 import EventStatus
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from tests.ingest_fixture import open_ingest
from tests.pictures import jpeg

folder, version, names = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
picture, statuses, files = jpeg(seed=version), [], []

def asked(index, name):
    for space in index.spaces(name):
        vector = index.vector(name, "a.jpg", space.name)[0]
        found = index.search(IndexQuery(name, VectorClause(space.name, space.provenance, vector)))
        assert [match.photo_id for match in found.matches] == ["a.jpg"], name

with open_ingest(folder) as ingest, SqliteIndex.open(folder / "data", writer=False) as reader:
    for name in names:
        event = PhotoEvent(event_id=name, kind=PHOTO_EVENT_KIND_UPLOADED, collection=name, photo_id="a.jpg", version=version,
                           data=picture)
        (result,) = ingest.put(event).results
        statuses.append([EventStatus.Name(result.status), result.reason])
        if not result.reason:
            asked(ingest.index, name)
            asked(reader, name)
        files.append(len(os.listdir("/proc/self/fd")))
    assert ingest.index.settle(60)
    files.append(len(os.listdir("/proc/self/fd")))
print(json.dumps([statuses, files]))
"""


def crowd(folder: Path, version: int, names: list[str]) -> tuple[list[list[str]], list[int]]:
    """Status and reason of each event, and how many files were open after it."""
    command = [sys.executable, "-c", CROWD, str(folder), str(version), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2_000:]
    statuses, files = json.loads(done.stdout)
    return statuses, files


def test_a_hundred_collections_fit_into_256_file_handles(tmp_path: Path) -> None:
    names = [f"c{number:03}" for number in range(MAX_COLLECTIONS)]
    stored = ["EVENT_STATUS_STORED", ""]
    statuses, files = crowd(tmp_path, 1, [*names, "beyond", names[0]])
    assert statuses[:MAX_COLLECTIONS] == [stored] * MAX_COLLECTIONS
    assert statuses[MAX_COLLECTIONS:] == [
        ["EVENT_STATUS_FAILED", "too_many_collections"],
        ["EVENT_STATUS_STALE", ""],
    ], "the event that names one more is a dead letter, and the next one is answered as before"
    assert max(files) <= files[0] + CONNECTIONS, files
    again, files = crowd(tmp_path, 2, names)
    assert again == [stored] * MAX_COLLECTIONS, "a new process goes on"
    assert max(files) <= files[0] + CONNECTIONS, files
