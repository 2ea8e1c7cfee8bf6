"""Decides which photos without a file, or with an ignored file, are deleted from the index."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from miradouro.adapters.folder.photo_id import path_of
from miradouro.adapters.folder.spool import Spool
from miradouro.core.ports import OriginState, PhotoIndex

_STATES_AT_ONCE = 1_000


@dataclass(frozen=True)
class Candidate:
    """A remembered photo that the run does not index: `rule` says why its file is ignored, "" when the file is gone."""

    photo_id: str
    rule: str


class Deletions:
    """The deletions of one run over the folder `root`, of which the index holds `known` photos.

    A guard against unmounted disks: without `prune`, when more than half of the photos are candidates, only moved photos are
    deleted. A photo is moved when the collection holds its bytes under another id for which `takes` is true. The number of the
    other photos is `withheld`, with its `reason`.
    """

    def __init__(
        self, root: str, collection: str, index: PhotoIndex, *, known: int, takes: Callable[[str], bool], prune: bool
    ) -> None:
        self._root, self._collection, self._index = root, collection, index
        self._known, self._takes, self._prune = known, takes, prune
        self.withheld = 0
        self.reason = ""

    def of(self, candidates: Iterable[Candidate]) -> Iterator[OriginState]:
        """The photos to delete. Skips photos that the index no longer holds because they moved during the run."""
        with Spool[OriginState]() as missing:
            rule = ""
            for state, why in self._remembered(candidates):
                missing.append(state)
                rule = rule or why
            if self._prune or len(missing) * 2 <= self._known:
                yield from missing
                return
            lost = sum(not self._lies_elsewhere(state) for state in missing)
            may_all_go = lost * 2 <= self._known
            if not may_all_go:
                self.withheld, self.reason = lost, self._reason(lost, rule)
            yield from (state for state in missing if may_all_go or self._lies_elsewhere(state))

    def _remembered(self, candidates: Iterable[Candidate]) -> Iterator[tuple[OriginState, str]]:
        left = iter(candidates)
        while part := {one.photo_id: one.rule for one in islice(left, _STATES_AT_ONCE)}:
            states = {state.photo_id: state for state in self._index.states(self._collection, list(part))}
            yield from ((states[name], rule) for name, rule in part.items() if name in states and is_live(states[name]))

    def _lies_elsewhere(self, state: OriginState) -> bool:
        copies = self._index.same_bytes(self._collection, state.sha256)
        others = (copy.photo_id for copy in copies if copy.photo_id != state.photo_id and is_live(copy))
        return any(self._takes(photo_id) for photo_id in others)

    def _reason(self, lost: int, rule: str) -> str:
        photos = f"{lost:,} of the {self._known:,} photos of collection {self._collection!r}"
        if rule:
            return (
                f"{photos} are ignored now ({rule}) or no longer in {self._root}; "
                "correct the rule, or pass --prune to delete them from the index"
            )
        return f"{photos} are no longer in {self._root}; is its disk mounted? Pass --prune to delete them from the index"


def is_live(state: OriginState) -> bool:
    """Whether the photo is stored and comes from a folder: photos of events have no origin."""
    return not state.deleted and state.origin is not None


def is_gone(root: str, photo_id: str) -> bool:
    """Whether the photo's file does not exist. False when the system cannot say, for example without permission."""
    try:
        os.lstat(os.path.join(root, path_of(photo_id)))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
