"""The data folder: private to its owner."""

from pathlib import Path

from miradouro.adapters.sqlite_index.schema import DATABASE_FILE, FORMAT_FILE
from miradouro.adapters.sqlite_index.writer_lock import LOCK_FILE
from miradouro.runtime.private_folder import make_private


def make_data_folder(folder: Path) -> None:
    """Makes the data folder, or makes an existing one private. Raises as `make_private` does."""
    make_private(folder, known={DATABASE_FILE, FORMAT_FILE, LOCK_FILE})
