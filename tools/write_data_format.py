"""Writes tests/golden/data-format-N.db: the database of a small data folder as this version of the program makes it.

`python -m tools.write_data_format`, run once before the format changes; photos and vectors are generated.
"""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import apsw
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, FORMAT
from miradouro.core.document import Document, Failure, Place, TakenAt

from tests.photo_documents import COLLECTION, SPACES, label, photo, tombstone, user_tag

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
OTHER = "events"
ROOT = "/home/ana/photos"


def documents() -> list[Document]:
    """What the folder holds, in the order in which it was written."""
    live = [
        photo(
            f"trips/{number}.jpg",
            1,
            title=f"Photo {number}",
            caption="boats near a lighthouse" if number % 2 else "two dogs on a beach",
            tags=(label("lighthouse", 0.5), user_tag("Lisboa")) if number % 2 else (label("dog", 0.25),),
            owner="ana" if number % 3 else "rui",
            attributes={"camera": f"X{number % 2}"},
            place=Place(38.7 + number / 100, -9.1),
            taken_at=TakenAt(datetime(2021, 1, 1 + number, tzinfo=UTC), 60),
        )
        for number in range(12)
    ]
    return [*live, photo("trips/3.jpg", 2, caption="a tram"), tombstone("trips/4.jpg", 2)]


def main() -> None:
    """Replaces the file of the current format."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        with SqliteIndex.open(folder, writer=True) as index:
            index.ensure_collection(COLLECTION, spaces=SPACES, root=ROOT)
            index.ensure_collection(OTHER, spaces=SPACES[:1])
            for document in documents():
                index.write([document])
            failed_at = datetime(2021, 2, 1, tzinfo=UTC)
            index.put([Failure(COLLECTION, "trips/torn.jpg", 1, "truncated", "cut off", "", failed_at)])
        database = apsw.Connection(str(folder / DATABASE_FILE))
        database.pragma("journal_mode", "delete")
        database.close()
        shutil.copy(folder / DATABASE_FILE, GOLDEN / f"data-format-{FORMAT}.db")


if __name__ == "__main__":
    main()
