"""Ports: what the steps need from the outside world. Every port is synchronous, thread-safe and called from bounded threads.

Every adapter must pass its port's conformance suite in tests/conformance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from miradouro.core.document import Document, Failure, Float32, Origin, Tag, Vectors
from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import InvalidArgument, Overloaded
from miradouro.core.event import PhotoEvent
from miradouro.core.ignored_names import IgnoreReason
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.query import IndexQuery, Matches
from miradouro.core.source_record import SourceRecord
from miradouro.core.spaces import BundleDescription, Geometry, Preset, Region, Space, is_label_space
from miradouro.core.understood import Vocabulary

if TYPE_CHECKING:
    from miradouro.core.decode import Decoded
    from miradouro.core.metadata import PhotoMetadata

# Every collection costs files or shards, background work and start-up time, and an event may name any collection.
MAX_COLLECTIONS = 100


class WriteStatus(StrEnum):
    """The result of writing a document."""

    STORED = "stored"
    STALE = "stale"


# The most photos with the same bytes that an index lists: a folder may hold any number of copies.
MAX_SAME_BYTES = 16

# The result of one document of a write: InvalidArgument, if the engine refuses it; Overloaded, if it has no room for it now.
Written = WriteStatus | InvalidArgument | Overloaded


@dataclass(frozen=True)
class OriginState:
    """The stored state of one photo; `origin` is None for photos that came by event."""

    photo_id: str
    version: int
    deleted: bool
    sha256: str
    origin: Origin | None


@dataclass(frozen=True)
class SpaceStats:
    """A space of a collection and the number of its vectors; `preset` is the smallest one that has the space."""

    name: str
    dimension: int
    provenance: str
    vectors: int
    preset: Preset


@dataclass(frozen=True)
class CollectionStats:
    """Numbers of one collection. `root` is empty when it is fed by events."""

    name: str
    root: str
    photos: int
    deleted: int
    failed: int
    spaces: tuple[SpaceStats, ...]

    @property
    def preset(self) -> Preset | None:
        """The smallest preset that has all spaces but a label distribution, None for a collection without spaces."""
        spaces = (space for space in self.spaces if not is_label_space(space.name))
        return max((space.preset for space in spaces), key=lambda preset: preset.rank, default=None)


@dataclass(frozen=True)
class TaggedPhoto:
    """A live photo at one version with its tags; `vector` is its row 0 in the space that was read, float32 [dimension], length 1.

    `vector` is None for a photo without vectors in that space.
    """

    photo_id: str
    version: int
    tags: tuple[Tag, ...]
    vector: Float32 | None


@dataclass(frozen=True)
class TagChange:
    """All tags that a photo is to have at the version `version`."""

    photo_id: str
    version: int
    tags: tuple[Tag, ...]


class Embedder(Protocol):
    """Turns photos into vectors and labels."""

    def describe(self) -> Sequence[BundleDescription]:
        """The loaded bundles. Raises Unavailable."""
        ...

    def embed(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        *,
        spaces: Sequence[str],
        tags: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """One Embedding per photo, in order; each photo is geometry → uint8 [height, width, 3].

        `spaces` are full names; `BundleDescription.needed_geometries` returns the geometries that they need.
        An Embedding holds the provenances of its own vectors: another replica may have answered `describe`.
        Raises InvalidArgument (unknown space, missing tensor, wrong shape or dtype), Overloaded,
        DeadlineExceeded, Unavailable.
        """
        ...


class PhotoReader(Protocol):
    """Reads untrusted photos and XMP sidecars: pixels, metadata and thumbnails.

    Every method raises BadPhoto. Its reason is `too_expensive` when the photo takes too much memory or time, or crashes the
    reading process. Every method raises Overloaded when too many photos wait, DeadlineExceeded after `timeout_s`, waiting
    included, Unavailable when no photo can be read now, and Internal for a fault of the program. `key` names the photo in the
    journal of a reader that records which photos it was reading when its process ended; empty: no entry.
    """

    def decode(
        self,
        data: bytes,
        geometries: Iterable[Geometry],
        *,
        limits: DecodeLimits = DEFAULT_LIMITS,
        region: Region | None = None,
        with_metadata: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        key: str = "",
    ) -> "Decoded":
        """`data` decoded once, and fitted into every distinct geometry: see core.decode.decode. Raises InvalidArgument too.

        `with_metadata` reads the metadata in the same call, which is cheaper than a second call.
        """
        ...

    def metadata(
        self, data: bytes, *, priority: Priority = Priority.INTERACTIVE, timeout_s: float | None = None, key: str = ""
    ) -> "PhotoMetadata":
        """The metadata in a photo's file: see core.metadata.read_metadata. Damaged metadata is no error."""
        ...

    def xmp_sidecar(
        self, data: bytes, *, priority: Priority = Priority.INTERACTIVE, timeout_s: float | None = None, key: str = ""
    ) -> "PhotoMetadata":
        """The metadata in an XMP sidecar: see core.metadata.read_xmp_sidecar. A damaged sidecar is no error."""
        ...

    def thumbnail(
        self,
        data: bytes,
        *,
        width: int,
        height: int,
        longest_side: int,
        limits: DecodeLimits = DEFAULT_LIMITS,
        file_format: str = "jpeg",
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        key: str = "",
    ) -> bytes:
        """A thumbnail of the photo, encoded: see core.thumbnail.thumbnail."""
        ...


class PhotoStore(Protocol):
    """Reads original photos by URI, and stores those that came without one."""

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The bytes at `uri`, at most `limit_bytes`.

        Raises BadPhoto (too_many_bytes, unreadable, vanished), InvalidArgument (scheme or location not allowed),
        OriginalUnavailable (the store does not answer), Unavailable (this machine can't read now).
        """
        ...

    def keep(self, data: bytes, *, sha256: str) -> str:
        """Stores bytes durably under their SHA-256, 64 hexadecimal digits, and returns the URI by which `read` finds them.

        The same bytes are stored once. Returns "" when the store keeps nothing. Raises Unavailable.
        """
        ...


class PhotoIndex(Protocol):
    """Stores documents and finds them again."""

    def write(self, documents: Sequence[Document]) -> Sequence[Written]:
        """Stores documents durably and returns one result each; an older or equal version is STALE and changes nothing.

        When the engine refuses a document that passed `check_storable`, the error is its result; the others are stored. Nothing
        is retried: write the documents whose result is Overloaded again, and no others.

        On return the data is durable; it is searchable at once or after the engine's refresh interval. A stored document clears
        the photo's failure of the same or a smaller version, if the index keeps failures.
        Raises, with nothing written, NotFound (no such collection), ProvenanceMismatch, InvalidArgument (a vector of wrong
        shape, NaN, not unit length, or of no space of the collection); and Unavailable (disk full, read-only), after which
        some may be written.
        """
        ...

    def refresh_origins(self, collection: str, origins: dict[str, Origin]) -> None:
        """Stores new file states of unchanged photos: photo id → origin; versions stay."""
        ...

    def origins(self, collection: str, *, within: str = "") -> Iterator[OriginState]:
        """The stored state of every photo and tombstone, ordered by photo id (UTF-8 bytes). Memory does not grow with them.

        `within` is a prefix: photo ids that do not begin with it are left out. Raises NotFound (collection).
        """
        ...

    def states(self, collection: str, photo_ids: Sequence[str]) -> Sequence[OriginState]:
        """The stored state of these photos, in any order, as of the last write; an unknown id is left out.

        Raises NotFound (collection).
        """
        ...

    def same_bytes(self, collection: str, sha256: str) -> Sequence[OriginState]:
        """The live photos with this SHA-256 (64 hexadecimal digits), in any order, at most MAX_SAME_BYTES of them.

        A write may become visible only after the engine's refresh interval. Raises NotFound (collection).
        """
        ...

    def tagged(self, collection: str, space: str) -> Iterator[TaggedPhoto]:
        """Every live photo with its vector in `space`, ordered by photo id (UTF-8 bytes). Memory does not grow with them.

        Writes meanwhile may or may not be seen. Raises NotFound (collection), InvalidArgument (space).
        """
        ...

    def replace_tags(self, collection: str, changes: Sequence[TagChange]) -> int:
        """Stores other tags of photos at their version, durably, and returns the number of changed photos.

        A photo that has another version by now, or that is deleted, stays as it is. Everything but the tags stays.
        Raises NotFound (collection), Unavailable, Overloaded; some may be stored then.
        """
        ...

    def search(self, query: IndexQuery) -> Matches:
        """Answers a query. Raises NotFound (collection), InvalidArgument (space), ProvenanceMismatch."""
        ...

    def vocabulary(self, collection: str) -> Vocabulary:
        """The tags that live photos of the collection have; MAX_VOCABULARY at most. It is kept, and may be some seconds old.

        Raises NotFound (collection).
        """
        ...

    def get(self, collection: str, photo_id: str) -> Document:
        """The live document, without vectors. Raises NotFound, also for tombstones."""
        ...

    def vector(self, collection: str, photo_id: str, space: str) -> Vectors:
        """The stored vectors of a photo, [vectors_per_photo, dimension]. Raises NotFound, InvalidArgument (space)."""
        ...

    def get_whole(self, collection: str, photo_id: str) -> Document:
        """The live document with its vectors and their provenances, all of the same version. Raises NotFound."""
        ...

    def spaces_of(self, collection: str, photo_id: str) -> Sequence[str]:
        """The names of the spaces in which the photo has vectors, in the collection's order. Raises NotFound."""
        ...

    def spaces(self, collection: str) -> Sequence[Space]:
        """The spaces that the collection holds. Raises NotFound."""
        ...


class IndexAdmin(Protocol):
    """Makes and counts collections."""

    def ensure_collection(
        self, collection: str, *, spaces: Sequence[Space], root: str = "", at_most: int = MAX_COLLECTIONS
    ) -> None:
        """Makes the collection with these spaces, or checks that it is the same one.

        Raises ProvenanceMismatch, FailedPrecondition when the collection has another root (it proposes --collection), and
        TooManyCollections when there are `at_most` others already, or when the engine has no room for one more.
        """
        ...

    def stats(self) -> Sequence[CollectionStats]:
        """Every collection, by name."""
        ...

    def size_bytes(self) -> int:
        """Bytes that the index takes, derived files included."""
        ...


@runtime_checkable
class DeadLetters(Protocol):
    """Keeps the photos that could not be indexed, with the reason."""

    def put(self, failures: Sequence[Failure]) -> None:
        """Records failures durably, one per photo: the highest version wins."""
        ...

    def list(self, *, collection: str = "", limit: int = 100, after: str = "") -> tuple[Sequence[Failure], str]:
        """A page of failures ordered by (collection, photo id), and the `after` of the next page ("" at the end)."""
        ...

    def forget(self, collection: str, photo_ids: Sequence[str]) -> None:
        """Removes the failures of these photos; one that did not fail is no error."""
        ...


@dataclass(frozen=True)
class Refused:
    """A photo without a valid event; it becomes a dead letter with `error`.

    `version` is 0 for something that is not a photo, such as an unreadable folder: it is reported, but is no dead letter.
    """

    collection: str
    photo_id: str
    version: int
    uri: str
    error: InvalidArgument
    record: SourceRecord | None = None
    is_recorded: bool = False


@dataclass(frozen=True)
class Unchanged:
    """A photo whose stored version is current; `origin` is the new state of its files, None if the index has it already."""

    collection: str
    photo_id: str
    origin: Origin | None


@dataclass(frozen=True)
class Ignored:
    """A file that a source leaves out, or a folder with its whole content; `path` is relative to the source's folder."""

    path: str
    reason: IgnoreReason
    is_folder: bool = False


@dataclass(frozen=True)
class Unsettled:
    """A file that is still being written; the next walk of the folder compares it again."""

    photo_id: str


@dataclass(frozen=True)
class NothingYet:
    """A running source has no item at the moment: finish and commit the items before it, without waiting for the next one."""


SourceItem = PhotoEvent | Refused | Unchanged | Ignored | Unsettled


class EventSource(Protocol):
    """Yields photo events, in order per photo, until each is acknowledged."""

    def events(self) -> Iterator[SourceItem | NothingYet]:
        """Items until the source is exhausted or closed. Every PhotoEvent has passed `core.event.check_event`; do not repeat it.

        An item that was not acknowledged is yielded again by the next source over the same photos.
        """
        ...

    def acknowledge(self, item: SourceItem) -> None:
        """Marks an item that `events` yielded as settled: stored, known to be stale, or a dead letter.

        Call it after that result is durable. Items may be acknowledged in any order; a second call changes nothing.
        """
        ...
