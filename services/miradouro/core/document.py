"""The stored form of a photo: its document, tags, place, time of taking, file state and failure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from miradouro.core.source_record import SourceRecord

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
Vectors = Float32 | Int8  # in the form that a space stores: see core.codes


class TagKind(StrEnum):
    """Where a tag comes from."""

    LABEL = "label"
    PARENT = "parent"
    USER = "user"
    LEARNED = "learned"


PARENT_SCORE = 0.9  # of a parent for each step that it lies above the nearest label of the photo
_TAG_ORDER = {TagKind.USER: 0, TagKind.LEARNED: 1, TagKind.LABEL: 2, TagKind.PARENT: 3}


@dataclass(frozen=True)
class Tag:
    """A tag with its probability, 0 to 1 (1 for a person's tags).

    A document holds each label once; only a learned tag may stand beside a label or parent of the same name.
    `steps`: how far a parent is above the nearest label of the photo that it comes from, counted in the parents of this label;
    0 for other tags.
    """

    label: str
    score: float
    kind: TagKind
    steps: int = 0

    @property
    def searched_score(self) -> float:
        """What the tag counts in a question: its probability, for a parent the less the farther it is above the label."""
        return self.score * PARENT_SCORE**self.steps


def ordered_tags(tags: Iterable[Tag]) -> list[Tag]:
    """A person's tags first as given, then learned tags, labels and parents, each by probability and then by name."""

    def rank(tag: Tag) -> tuple[int, float, str]:
        return (0, 0.0, "") if tag.kind is TagKind.USER else (_TAG_ORDER[tag.kind], -tag.score, tag.label)

    return sorted(tags, key=rank)


@dataclass(frozen=True)
class GeoPoint:
    """A point on the earth in degrees, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True)
class TakenAt:
    """When a photo was taken.

    `instant` is aware, in UTC; where the offset is unknown (None) it is the camera's local time read as if it were UTC.
    `utc_offset_minutes` is -1,080 to 1,080. Days and years of a photo are those of `local`; the instant orders photos.
    """

    instant: datetime
    utc_offset_minutes: int | None

    @property
    def local(self) -> datetime:
        """The wall clock where the photo was taken, naive. Raises OverflowError beyond the years 1 to 9999."""
        return self.instant.replace(tzinfo=None) + timedelta(minutes=self.utc_offset_minutes or 0)


@dataclass(frozen=True)
class Origin:
    """State of the files that a folder's document was made from. A later run compares it to detect changes.

    Sizes in bytes, times in ns since the epoch; `inode` is the file's number within its file system. `sidecars_state` stands for
    names, sizes, times and inodes of all sidecars, `sidecars_sha256` for their names and bytes, 64 hexadecimal digits each; both
    are "" where there is no sidecar.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sidecars_state: str
    sidecars_sha256: str


@dataclass(frozen=True)
class Document:
    """One photo at one version, as stored. A tombstone (`deleted`) has only collection, photo id and version.

    `vectors`: space name → [vectors_per_photo, dimension] in the form that the space stores: float32, every row of length 1, or
    int8 codes (core.codes). `provenances`: space name → the embedder's provenance of these vectors; the index compares it with
    its own. Documents read from an index have neither, except those of `PhotoIndex.get_whole`. `perceptual_hash` is 16
    hexadecimal digits, `sha256` 64.
    """

    collection: str
    photo_id: str
    version: int
    deleted: bool = False
    uri: str = ""
    media_type: str = ""
    sha256: str = ""
    perceptual_hash: str = ""
    width: int = 0
    height: int = 0
    title: str = ""
    caption: str = ""
    caption_is_generated: bool = False
    tags: tuple[Tag, ...] = ()
    owner: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    place: GeoPoint | None = None
    taken_at: TakenAt | None = None
    origin: Origin | None = None
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    provenances: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A photo that could not be indexed. `reason` is short, for programs; `failed_at` is aware, in UTC.

    `event` is the serialised event of a photo that came by event, for a retry; empty for other photos. `record` is the log
    record that the event came in; failures are listed without the record's value. `traceparent` is the trace of the event. An
    index stores neither `record` nor `traceparent`. `origin` is the file state of a folder's photo: it fails again as long as
    its files do not change; None for other photos.
    """

    collection: str
    photo_id: str
    version: int
    reason: str
    message: str
    uri: str
    failed_at: datetime
    event: bytes = b""
    record: SourceRecord | None = None
    traceparent: str = ""
    origin: Origin | None = None
