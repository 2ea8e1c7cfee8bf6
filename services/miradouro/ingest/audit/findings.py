"""The violations that an audit can find, by name, and its report."""

import collections
from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 100  # violations kept in full, of each name; all are counted

# Name → the invariant that it breaks, and what it means.
NAMES: dict[str, tuple[str, str]] = {
    "event_lost": ("I1", "an event is neither in the index nor known to be stale nor a dead letter"),
    "document_doubled": ("I2", "a photo has more than one document"),
    "document_outdated": ("I2", "a photo's document is older than its newest event"),
    "document_unknown": ("I2", "a document is of a photo, or a version of it, without an event"),
    "document_misplaced": ("I2", "a document has another id or collection than its photo: writes do not find it"),
    "document_version": ("I2", "the engine compares another version than the document holds: newer events may be refused"),
    "deletion_undone": ("I2", "a photo is there at the version at which it was deleted"),
    "deletion_unasked": ("I2", "a photo is deleted at a version at which it was not"),
    "tombstone_full": ("I2", "a deleted photo's document holds more than id, version and mark"),
    "committed_too_far": ("I3", "an offset is committed, and something before it is not done"),
    "dead_letter_missing": ("I4", "a record that is no event has no dead letter"),
    "dead_letter_altered": ("I4", "a dead letter has no reason, or another value than its record"),
    "dead_letter_unfounded": ("I4", "a dead letter names a record that never was"),
    "vector_differs": ("I5", "a stored vector is not what the embedding service makes of the original"),
    "vector_missing": ("I5", "a document lacks a vector of its collection"),
    "original_differs": ("I5", "a document was not made from the bytes that its event carries"),
}


@dataclass(frozen=True)
class Violation:
    """One violation. `partition` and `offset` name the record, and are -1 without one."""

    name: str
    message: str
    collection: str = ""
    photo_id: str = ""
    version: int = 0
    partition: int = -1
    offset: int = -1

    @property
    def invariant(self) -> str:
        """I1 to I5."""
        return NAMES[self.name][0]


@dataclass
class Report:
    """Counts and findings of an audit. `violations` holds at most SHOWN of each name, `counts` the number of all by name.

    `waiting`: records that the consumers have not committed yet. `compacted`: records that Kafka no longer holds. `repeated`:
    doubled dead letters, as after a crash. `unproven`: the checks that were impossible, and why, at most SHOWN of
    `unproven_count`.
    """

    records: int = 0
    events: int = 0
    refused: int = 0
    waiting: int = 0
    compacted: int = 0
    dead_letters: int = 0
    repeated: int = 0
    photos: int = 0
    tombstones: int = 0
    sampled: int = 0
    least_cosine: float | None = None
    seed: int = 0
    unproven: list[str] = field(default_factory=list)
    unproven_count: int = 0
    violations: list[Violation] = field(default_factory=list)
    counts: "collections.Counter[str]" = field(default_factory=collections.Counter)

    @property
    def holds(self) -> bool:
        """Whether every invariant holds, as far as it was checked."""
        return not self.counts

    def found(self, violation: Violation) -> None:
        """Notes a violation."""
        self.counts[violation.name] += 1
        if self.counts[violation.name] <= SHOWN:
            self.violations.append(violation)

    def could_not_check(self, what: str) -> None:
        """Notes a check that could not be made."""
        self.unproven_count += 1
        if self.unproven_count <= SHOWN:
            self.unproven.append(what)

    def found_all(self, violations: Iterable[Violation]) -> None:
        """Notes many."""
        for violation in violations:
            self.found(violation)

    def take_index(self, other: "Report") -> None:
        """Adds the counts and findings of the index."""
        self.photos, self.tombstones = other.photos, other.tombstones
        self.violations += other.violations
        self.counts += other.counts
