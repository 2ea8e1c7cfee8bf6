"""Creates collections on first use, checks their spaces, and allows one folder run at a time for each."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from miradouro.adapters.described import Describe
from miradouro.bundles.catalogue import find, manifest_files
from miradouro.core.error_text import shown
from miradouro.core.errors import BadEvent, FailedPrecondition, InvalidArgument, NotFound, TooManyCollections
from miradouro.core.index_engine import Index
from miradouro.core.ports import MAX_COLLECTIONS, CollectionStats
from miradouro.core.spaces import (
    DEFAULT_TAGGER,
    LABEL_LAYER,
    Preset,
    Space,
    choose_spaces,
    held_tagger,
    is_label_space,
    with_tagger,
)
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

    def ensure(self, collection: str, *, root: str, preset: str = "", tagger: str = "") -> tuple[Space, ...]:
        """Makes the collection, or checks that the embedder offers the spaces that it holds.

        `preset`, or names of spaces separated by commas, take the place of the spaces of new collections; `tagger` is the bundle
        that tags the collection. Raises as `IndexAdmin.ensure_collection`; InvalidArgument for a preset, space or tagger that
        does not exist, FailedPrecondition for a collection of other spaces, or of another tagger.
        """
        offered = [space for bundle in self._describe() for space in bundle.spaces]
        try:
            names = {space.name for space in self._index.spaces(collection)}
        except NotFound:
            wanted = self._for_new(preset, tagger, offered)
        else:
            wanted = [space for space in offered if space.name in names]
            self._check_same(collection, names, preset, tagger, offered)
        at_most = max(MAX_COLLECTIONS, len(self._allowed))  # an operator's own list may be longer
        self._index.ensure_collection(collection, spaces=wanted, root=root, at_most=at_most)
        checked = self._checked[collection] = tuple(self._index.spaces(collection))
        return checked

    def _for_new(self, preset: str, tagger: str, offered: Sequence[Space]) -> list[Space]:
        """The spaces of a new collection. Raises InvalidArgument, and FailedPrecondition when a bundle of them is not loaded."""
        field, names = ("preset", _names(preset)) if preset else ("MIRADOURO_SPACES", list(self._spaces))
        if tagger:
            names = with_tagger(names, tagger)
        known = self._known(names, offered)
        _check_tagger(tagger, known)
        chosen = choose_spaces(names, known, field=field)
        missing = sorted({space.bundle for space in chosen} - {space.bundle for space in offered})
        if missing:
            wanted = ",".join(names or [Preset.STANDARD])
            raise FailedPrecondition(
                f"a collection of {wanted} needs {missing[0]}, which is not loaded since no collection here holds its spaces; "
                f"start the server with MIRADOURO_SPACES={wanted}"
            )
        return chosen

    def _check_same(self, collection: str, held: set[str], preset: str, tagger: str, offered: Sequence[Space]) -> None:
        """Raises FailedPrecondition unless the collection that holds the spaces `held` is one of this preset and this tagger."""
        keeps = "and a collection keeps its spaces; leave that out, or index into another collection"
        names = _names(preset)
        _check_tagger(tagger, self._known([*names, f"{tagger}/"], offered))
        if tagger and tagger != (now := held_tagger(held)):
            raise FailedPrecondition(f"collection {shown(collection)} is tagged by {now}, not by {tagger}, {keeps}")
        if names:
            wanted = {space.name for space in choose_spaces(names, self._known(names, offered), field="preset")}
            if {name for name in wanted ^ held if not is_label_space(name)}:
                raise FailedPrecondition(f"collection {shown(collection)} holds other spaces than {shown(preset)}, {keeps}")

    def _known(self, names: Sequence[str], offered: Sequence[Space]) -> list[Space]:
        """The spaces of the loaded bundles, of those that could be loaded, and of those in `names`, names of spaces."""
        loaded = {space.bundle for space in offered}
        named = {name.split("/")[0] for name in names if "/" in name} & manifest_files().keys()
        manifests = [find(name) for name in sorted({*self._unloaded(), *named} - loaded)]
        return [*offered, *(space for manifest in manifests for space in manifest.described_spaces(manifest.precisions[0]))]

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


def _names(preset: str) -> list[str]:
    return [name for part in preset.split(",") if (name := part.strip())]


def _check_tagger(tagger: str, known: Iterable[Space]) -> None:
    able = sorted({DEFAULT_TAGGER, *(space.bundle for space in known if is_label_space(space.name))})
    if tagger and tagger not in able:
        raise InvalidArgument(
            "tagger", f"{shown(tagger)} has no space {LABEL_LAYER}, by which a bundle tags; allowed here: {', '.join(able)}"
        )
