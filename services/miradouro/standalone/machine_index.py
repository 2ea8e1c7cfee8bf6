"""Opens the index of this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from miradouro.adapters.index_engines import MACHINE_ENGINE, open_index
from miradouro.core.errors import ConfigurationError
from miradouro.core.index_engine import Addressed, Index, Opening
from miradouro.core.ports import DeadLetters
from miradouro.standalone.settings import StandaloneSettings


class MachineIndex(Index, DeadLetters, Protocol):
    """An index that also stores the dead letters of its photos."""


@contextmanager
def open_machine_index(settings: StandaloneSettings, *, writer: bool, will_serve: bool = False) -> Iterator[MachineIndex]:
    """The index of the data folder, of the engine in MIRADOURO_INDEX.

    Raises what `IndexEngine` raises, and ConfigurationError for an engine that stores no dead letters.
    """
    engine = settings.index or MACHINE_ENGINE
    opening = Opening(settings.data_folder, writer=writer, will_serve=will_serve, exact_vectors=settings.exact_vectors)
    with open_index(engine, opening) as index:
        if not isinstance(index, DeadLetters):
            raise ConfigurationError(f"MIRADOURO_INDEX={engine} keeps no dead letters; on one machine the index has to")
        yield index


def publisher_of_address(index: Index) -> Callable[[str], None]:
    """A function that publishes the server's address to the other commands; it does nothing if the engine can't."""
    return index.set_address if isinstance(index, Addressed) else lambda _address: None
