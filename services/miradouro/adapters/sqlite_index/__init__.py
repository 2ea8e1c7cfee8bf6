"""The embedded index: documents in SQLite, and a vector engine beside it."""

from miradouro.adapters.sqlite_index.index import SqliteIndex
from miradouro.adapters.sqlite_index.schema import holds_index
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.adapters.sqlite_index.writer_lock import Holder, read_holder

__all__ = ["Holder", "SqliteIndex", "Tuning", "holds_index", "read_holder"]
