"""Every error that Miradouro raises on purpose.

    MiradouroError
    ├── InvalidArgument         the caller's words are wrong
    │   ├── BadPhoto            the bytes are no photo that we can take
    │   ├── BadEvent            the record is no event that we can take
    │   └── TooManyCollections  the index takes no new collection
    ├── NotFound                no such collection, photo or space
    ├── FailedPrecondition      right words, wrong state of the system
    │   ├── ProvenanceMismatch  vectors made in another way than the stored ones
    │   ├── StoreLocked         another process writes to this data folder
    │   └── BadBundle           a model file is missing, corrupt or not the one expected
    ├── Unauthenticated
    ├── DeadlineExceeded        retriable
    ├── Overloaded              retriable: the queue is full
    ├── Unavailable             retriable: a peer or the disk does not answer
    │   └── OriginalUnavailable the place of one photo does not answer; others may
    ├── Corrupt                 stored data is damaged
    ├── Internal                a peer met an error of its own that it did not expect
    └── ConfigurationError      a setting is wrong

A message says what was wrong, with which value, and what to do, in at most 1,000 bytes of UTF-8 without the secrets of URIs:
the error itself sees to that, so nothing that passes it on has to. `retriable` says whether the same call may succeed
later; retry and dead-letter decisions read nothing else. `status` is the gRPC status name that the doors answer with.
"""

import errno
from typing import ClassVar

from miradouro.core.error_text import cut, error_text

_MAX_FIELD_BYTES = 200
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class MiradouroError(Exception):
    """Root of the tree; never raised itself."""

    status: ClassVar[str] = "INTERNAL"
    retriable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        self.message = error_text(message)
        super().__init__(self.message)


class InvalidArgument(MiradouroError):
    """The caller's words are wrong; `field` names the part, in the proto's spelling."""

    status = "INVALID_ARGUMENT"

    def __init__(self, field: str, message: str) -> None:
        self.field = cut(field, _MAX_FIELD_BYTES)
        super().__init__(f"{self.field}: {message}")


class BadPhoto(InvalidArgument):
    """The bytes are no photo that we can take; `reason` is one of REASONS, for programs."""

    REASONS: ClassVar[tuple[str, ...]] = (
        "empty",
        "not_a_photo",
        "unsupported_format",
        "truncated",
        "too_many_bytes",
        "too_many_pixels",
        "too_expensive",
        "too_small",
        "animated",
        "unreadable",
        "sha256_mismatch",
        "vanished",
        "unreachable",
    )

    # Reasons that may pass although the file does not change.
    PASSING: ClassVar[frozenset[str]] = frozenset({"unreadable", "vanished", "unreachable", "sha256_mismatch"})

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("photo", message)
        if reason not in self.REASONS:
            raise ValueError(f"{reason!r} is not one of {self.REASONS}")
        self.reason = reason


class BadEvent(InvalidArgument):
    """A record is no event that we can take; `reason` is one of REASONS, for programs."""

    REASONS: ClassVar[tuple[str, ...]] = (
        "not_an_event",
        "unknown_schema_version",
        "unknown_type",
        "bad_key",
        "version_missing",
        "bad_version",
        "bad_data",
        "unknown_collection",
        "too_many_collections",
    )

    def __init__(self, reason: str, field: str, message: str) -> None:
        super().__init__(field, message)
        if reason not in self.REASONS:
            raise ValueError(f"{reason!r} is not one of {self.REASONS}")
        self.reason = reason


class TooManyCollections(InvalidArgument):
    """The index takes no new collection; it goes on with those that it has. `detail` is the message without the field."""

    def __init__(self, collection: str, message: str) -> None:
        self.detail = f"{collection!r} can't be made: {message}"
        super().__init__("collection", self.detail)


class NotFound(MiradouroError):
    """No such collection, photo or space."""

    status = "NOT_FOUND"


class FailedPrecondition(MiradouroError):
    """The words are right, the state of the system is not."""

    status = "FAILED_PRECONDITION"


class ProvenanceMismatch(FailedPrecondition):
    """Vectors made in another way than those stored: never compared, never written."""

    def __init__(self, space: str, stored: str, offered: str) -> None:
        super().__init__(
            f"space {space}: the collection was built with provenance {stored}, the embedder offers {offered}; "
            "load the bundle that the collection was built with, which may be the other MIRADOURO_PRECISION, "
            "or index into a new collection"
        )
        self.space, self.stored, self.offered = space, stored, offered


class StoreLocked(FailedPrecondition):
    """Another process writes to this data folder."""


class BadBundle(FailedPrecondition):
    """A model file is missing, corrupt or not the one expected."""


class Unauthenticated(MiradouroError):
    """No valid credentials."""

    status = "UNAUTHENTICATED"


class DeadlineExceeded(MiradouroError):
    """The caller's time ran out; the work was dropped."""

    status = "DEADLINE_EXCEEDED"
    retriable = True


class Overloaded(MiradouroError):
    """A bounded queue is full; try again after a pause."""

    status = "RESOURCE_EXHAUSTED"
    retriable = True


class Unavailable(MiradouroError):
    """A peer, a disk or a file system does not answer now."""

    status = "UNAVAILABLE"
    retriable = True


class OriginalUnavailable(Unavailable):
    """The place where a photo lies does not answer now: no reason for other photos to wait longer than for a while."""


class Corrupt(MiradouroError):
    """Stored data is damaged."""

    status = "DATA_LOSS"


class Internal(MiradouroError):
    """A peer met an error of its own that it did not expect; its log tells more."""


class ConfigurationError(MiradouroError):
    """A setting is wrong; the message names it."""

    status = "FAILED_PRECONDITION"


def is_shortage(error: BaseException) -> bool:
    """Whether this process or machine is out of memory or of file handles: no fault of the photo that met it first."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)
