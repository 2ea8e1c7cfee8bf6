"""Opens the index of the engine that a setting names. Engines are entry points, so other packages can provide one."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points

from miradouro.core.audited_index import AuditedIndex
from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError
from miradouro.core.index_engine import Auditable, Index, IndexEngine, Opening

GROUP = "miradouro.indexes"
MACHINE_ENGINE = "sqlite"  # the default of MIRADOURO_INDEX on one machine
SHARED_ENGINE = "opensearch"  # the default in the services of many machines
_OURS = "miradouro"


@contextmanager
def open_index(engine: str, opening: Opening) -> Iterator[Index]:
    """Opens the index of the engine `engine`. Raises the engine's errors, and ConfigurationError for an unknown name."""
    with load_engine(engine)(opening) as index:
        yield index


@contextmanager
def open_audited_index(engine: str) -> Iterator[AuditedIndex]:
    """Opens the shared index of the engine for an audit. Raises as `open_index`; ConfigurationError without audit support."""
    with open_index(engine, Opening(writer=False)) as index:
        if not isinstance(index, Auditable):
            raise ConfigurationError(f"MIRADOURO_INDEX={engine} can't be audited: it has no `audited`")
        with index.audited() as audited:
            yield audited


def load_engine(name: str) -> IndexEngine:
    """The engine of this name. Built-in engines take precedence.

    Raises ConfigurationError, and ImportError when a built-in engine lacks its extra.
    """
    if own := _own(name):
        engine: IndexEngine = own.load()
        return engine
    offered = entry_points(group=GROUP)
    found = {entry.value: entry for entry in offered if entry.name == name}
    if len(found) > 1:
        raise ConfigurationError(
            f"index engine {name} is offered twice, as {' and as '.join(found)}; uninstall one of the packages"
        )
    if not found:
        names = ", ".join(sorted({entry.name for entry in offered}))
        raise ConfigurationError(f"MIRADOURO_INDEX={shown(name)} is not an index engine; installed: {names}")
    [entry] = found.values()
    try:
        engine = entry.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"index engine {name} cannot be loaded from {entry.value}: {exc}") from exc
    return engine


def _own(name: str) -> EntryPoint | None:
    """The entry point of this distribution, None without one. Reading one distribution is much faster than reading all."""
    try:
        found = distribution(_OURS).entry_points.select(group=GROUP, name=name)
    except PackageNotFoundError:
        return None
    return next(iter(found), None)
