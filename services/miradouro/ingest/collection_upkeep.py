"""Creates collections on first use, checks their spaces, and allows one folder run at a time for each."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from miradouro.adapters.described import Describe
from miradouro.bundles.catalogue import find
from miradouro.core.error_text import shown
from miradouro.core.errors import BadEvent, FailedPrecondition, InvalidArgument, NotFound, TooManyCollections
from miradouro.core.index_engine import Index
from miradouro.core.ports import MAX_COLLECTIONS, CollectionStats
from miradouro.core.spaces import Preset, Space, choose_spaces
from miradouro.runtime.call import Call

_POLL_S = 0.1  # how soon a cancelled call is noticed while it waits for another run


class CollectionUpkeep:
    """Collections of `index`. Thread-safe.

    `spaces` is the preset or the names of the spaces of new collections, the standard preset when empty. Events may name the
    `allowed` collections, any when empty. `unloaded` returns bundles that the embedder can load but did not, because no
    collection needed them.
    """

    def __init__(
        self,
        index: Index,
        *,
        describe: Describe,
        spaces: Sequence[str] = (),
        allowed: Collection[str] = (),
        unloaded: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._index, self._describe, self._spaces, self._allowed, self._unloaded = index, describe, spaces, allowed, unloaded
        self._checked: dict[str, tuple[Space, ...]] = {}  # by collection: spaces that the embedder was found to offer
        self._run_ended = threading.Condition()
        self._locked: set[str] = set()

    def spaces_of(self, collection: str) -> tuple[Space, ...]:
        """The spaces of a collection, which is created when missing. Raises BadEvent when it is not allowed.

        Reads the index each time: an alias may move to a generation with other spaces at any moment.
        """
        if checked := self._checked.get(collection):
            with suppress(NotFound):  # it is made again
                if tuple(self._index.spaces(collection)) == checked:
                    return checked
        if self._allowed and collection not in self._allowed:
            allowed = ", ".join(sorted(self._allowed))
            raise BadEvent("unknown_collection", "collection", f"{shown(collection)}; MIRADOURO_COLLECTIONS allows {allowed}")
        try:
            return self.ensure(collection, root="")
        except TooManyCollections as exc:
            raise BadEvent("too_many_collections", exc.field, exc.detail) from exc

    def ensure(self, collection: str, *, root: str, preset: str = "") -> tuple[Space, ...]:
        """Makes the collection, or checks that the embedder offers the spaces that it holds.

        `preset` takes the place of the spaces of new collections. Raises as `IndexAdmin.ensure_collection`; InvalidArgument for a
        preset or space that does not exist, FailedPrecondition for a collection of other spaces than the preset's.
        """
        offered = [space for bundle in self._describe() for space in bundle.spaces]
        try:
            names = {space.name for space in self._index.spaces(collection)}
        except NotFound:
            wanted = self._chosen(preset, offered) if preset else self._spaces_for_new(offered)
        else:
            wanted = [space for space in offered if space.name in names]
            if preset and {space.name for space in self._of_preset(preset, offered)} != names:
                raise FailedPrecondition(
                    f"collection {shown(collection)} holds other spaces than the preset {preset}, and a collection keeps its "
                    "spaces; leave the preset out, or index into another collection"
                )
        at_most = max(MAX_COLLECTIONS, len(self._allowed))  # an operator's own list may be longer
        self._index.ensure_collection(collection, spaces=wanted, root=root, at_most=at_most)
        checked = self._checked[collection] = tuple(self._index.spaces(collection))
        return checked

    def _spaces_for_new(self, offered: Sequence[Space]) -> list[Space]:
        if len(self._spaces) > 1 or (self._spaces and self._spaces[0] not in list(Preset)):
            return choose_spaces(self._spaces, offered, field="MIRADOURO_SPACES")
        return self._chosen(self._spaces[0] if self._spaces else Preset.STANDARD, offered)

    def _chosen(self, preset: str, offered: Sequence[Space]) -> list[Space]:
        chosen = self._of_preset(preset, offered)
        missing = sorted({space.bundle for space in chosen} - {space.bundle for space in offered})
        if missing:
            raise FailedPrecondition(
                f"preset {preset} needs {missing[0]}, which is not loaded since no collection here holds its spaces; "
                f"start the server with MIRADOURO_SPACES={preset}"
            )
        return chosen

    def _of_preset(self, preset: str, offered: Sequence[Space]) -> list[Space]:
        """The spaces of the preset, those of bundles that are not loaded included. Raises InvalidArgument for no preset."""
        if preset not in list(Preset):
            raise InvalidArgument("preset", f"{shown(preset)} is not a preset; allowed: {', '.join(Preset)}")
        unloaded = [find(name) for name in self._unloaded()]
        known = [space for manifest in unloaded for space in manifest.described_spaces(manifest.precisions[0])]
        return choose_spaces([preset], [*offered, *known], field="preset")

    def root_of(self, collection: str) -> str:
        """The folder that the collection mirrors; "" for none, or without such a collection."""
        known = self.known(collection)
        return known.root if known else ""

    def known(self, collection: str) -> CollectionStats | None:
        """The statistics of the collection; None when it does not exist."""
        return next((stats for stats in self._index.stats() if stats.name == collection), None)

    @contextmanager
    def exclusive(self, collection: str, *, waits_for: Call | None = None) -> Iterator[None]:
        """Locks the collection for one run over its folder: two concurrent runs would assign versions twice.

        While another run holds the lock, waits until the call `waits_for` is cancelled; without it raises FailedPrecondition.
        """
        with self._run_ended:
            while collection in self._locked and waits_for and not waits_for.cancelled.is_set():
                self._run_ended.wait(_POLL_S)
            if collection in self._locked:
                raise FailedPrecondition(f"collection {shown(collection)} is being indexed already; wait until that is done")
            self._locked.add(collection)
        try:
            yield
        finally:
            with self._run_ended:
                self._locked.discard(collection)
                self._run_ended.notify_all()
