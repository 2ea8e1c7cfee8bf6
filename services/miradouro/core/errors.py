"""Every error that Miradouro raises on purpose.

    MiradouroError
    ├── InvalidArgument         an argument of the caller is wrong
    │   ├── BadPhoto            the bytes are not a supported photo
    │   ├── BadEvent            the record is not a valid event
    │   └── TooManyCollections  the index takes no new collection
    ├── NotFound                no such collection, photo or space
    ├── FailedPrecondition      the arguments are right, the state of the system is not
    │   ├── ProvenanceMismatch  vectors made in another way than the stored ones
    │   ├── StoreLocked         another process writes to this data folder
    │   └── BadBundle           a model file is missing, corrupt or not the one expected
    ├── Unauthenticated
    ├── DeadlineExceeded        retriable
    ├── Overloaded              retriable: the queue is full, or too long for the deadline
    ├── Unavailable             retriable: a peer or the disk does not answer
    │   └── OriginalUnavailable the store of one photo does not answer; others may
    ├── Corrupt                 stored data is damaged
    ├── Internal                a peer failed with an unexpected error
    └── ConfigurationError      a setting is wrong

A message names the fault, the value and the remedy, in at most 1,000 bytes of UTF-8, without the secrets of URIs. The
constructor cuts and redacts, so that code that passes an error on need not. `retriable` is True when the same call may succeed
later; retries and dead letters depend on it alone. `status` is the name of the gRPC status in the answer.
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
    """An argument of the caller is wrong; `field` names it, in the proto's spelling."""

    status = "INVALID_ARGUMENT"

    def __init__(self, field: str, message: str) -> None:
        self.field = cut(field, _MAX_FIELD_BYTES)
        super().__init__(f"{self.field}: {message}")


class BadPhoto(InvalidArgument):
    """The bytes are not a supported photo; `reason` is one of REASONS, for programs."""

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
    """A record is not a valid event; `reason` is one of REASONS, for programs."""

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
    """The index takes no new collection; it still serves the existing ones. `detail` is the message without the field."""

    def __init__(self, collection: str, message: str) -> None:
        self.detail = f"{collection!r} can't be made: {message}"
        super().__init__("collection", self.detail)


class NotFound(MiradouroError):
    """No such collection, photo or space."""

    status = "NOT_FOUND"


class FailedPrecondition(MiradouroError):
    """The arguments are right, the state of the system is not."""

    status = "FAILED_PRECONDITION"


class ProvenanceMismatch(FailedPrecondition):
    """Vectors of another provenance than the stored ones: they are never compared and never written."""

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
    """A bounded queue is full, or its work would take longer than the deadline allows; try again after a pause."""

    status = "RESOURCE_EXHAUSTED"
    retriable = True


class Unavailable(MiradouroError):
    """A peer, a disk or a file system does not answer now."""

    status = "UNAVAILABLE"
    retriable = True


class OriginalUnavailable(Unavailable):
    """The store of one photo does not answer now. Other photos may be in other stores, so do not hold them up for long."""


class Corrupt(MiradouroError):
    """Stored data is damaged."""

    status = "DATA_LOSS"


class Internal(MiradouroError):
    """A peer failed with an unexpected error; the details are in its log."""


class ConfigurationError(MiradouroError):
    """A setting is wrong; the message names it."""

    status = "FAILED_PRECONDITION"


def is_shortage(error: BaseException) -> bool:
    """Whether this process or machine is out of memory or file handles. Such an error is not the current photo's fault."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)
