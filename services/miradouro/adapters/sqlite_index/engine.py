"""The engine `sqlite`: an embedded index in the data folder, for one machine."""

from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.errors import ConfigurationError
from miradouro.core.index_engine import Opening


def open_sqlite(opening: Opening) -> SqliteIndex:
    """An IndexEngine. Raises as `SqliteIndex.open`, and ConfigurationError without a data folder."""
    if opening.data_folder is None:
        raise ConfigurationError("MIRADOURO_INDEX=sqlite is the index of one machine; services need one that they share")
    return SqliteIndex.open(
        opening.data_folder,
        writer=opening.writer,
        tuning=Tuning.with_exact(opening.exact_vectors),
        will_serve=opening.will_serve,
    )
