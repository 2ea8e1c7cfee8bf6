"""The requests of the pool to a child and the checks of its answers: the pool's side of `work`."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import numpy as np

from miradouro.adapters.photo_reader.frames import BadFrame
from miradouro.core.decode import Decoded
from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.metadata import TIME_SOURCES, PhotoMetadata
from miradouro.core.metadata.block_metadata import bounded
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.sniff import Format
from miradouro.core.spaces import Geometry, Region

_MOST_SIDE = 1_000_000  # pixels: more than any format holds
_MOST_UNREAD = 64
_MOST_MESSAGE_CHARS = 1_024
_MOST_OFFSET_MINUTES = 1_080
_MEDIA_TYPES = tuple(one.value for one in Format)
T = TypeVar("T")


@dataclass(frozen=True)
class Job(Generic[T]):
    """A request: `message` and the photo's `data` go to the child. `read` checks the answer, which has at most `most_bytes`."""

    message: Mapping[str, object]
    data: bytes
    most_bytes: int
    read: Callable[[Mapping[str, Any], bytes | memoryview], T]


def decode_job(
    data: bytes, geometries: Iterable[Geometry], *, limits: DecodeLimits, region: Region | None, with_metadata: bool = False
) -> Job[Decoded]:
    """See core.decode.decode."""
    wanted = tuple(dict.fromkeys(geometries))
    size = sum(3 * geometry.width * geometry.height for geometry in wanted)
    message = {
        "work": "decode",
        "geometries": [_fields(geometry) for geometry in wanted],
        "limits": asdict(limits),
        "region": asdict(region) if region else None,
        "with_metadata": with_metadata,
    }
    return Job(
        message, data, max(size, 0), lambda answer, pixels: _decoded(answer, pixels, wanted, size, with_metadata=with_metadata)
    )


@functools.cache
def _fields(geometry: Geometry) -> dict[str, Any]:
    """The geometry as JSON fields. Cached: a process uses few geometries."""
    return asdict(geometry)


def metadata_job(data: bytes) -> Job[PhotoMetadata]:
    """See core.metadata.read_metadata."""
    return Job({"work": "metadata"}, data, 0, lambda answer, _: _metadata(answer))


def xmp_sidecar_job(data: bytes) -> Job[PhotoMetadata]:
    """See core.metadata.read_xmp_sidecar."""
    return Job({"work": "xmp_sidecar"}, data, 0, lambda answer, _: _metadata(answer))


def thumbnail_job(
    data: bytes, *, width: int, height: int, longest_side: int, limits: DecodeLimits, file_format: str
) -> Job[bytes]:
    """See core.thumbnail.thumbnail."""
    message = {
        "work": "thumbnail",
        "width": width,
        "height": height,
        "longest_side": longest_side,
        "limits": asdict(limits),
        "file_format": file_format,
    }
    # No encoding is larger than the raw pixels, apart from headers and tables.
    return Job(message, data, 4 * longest_side * longest_side + 65_536, lambda _, encoded: bytes(encoded))


def error_of(answer: Mapping[str, Any]) -> InvalidArgument:
    """The error of a child's refusal. Raises BadFrame."""
    reason, field, text = answer.get("reason"), answer.get("field"), answer.get("message")
    if not isinstance(text, str):
        raise BadFrame("a refusal without a message")
    text = text[:_MOST_MESSAGE_CHARS]
    if reason in BadPhoto.REASONS:
        return BadPhoto(str(reason), text)
    if reason is None and isinstance(field, str) and len(field) < 100:
        return InvalidArgument(field, text)
    raise BadFrame("a refusal of no known kind")


def _decoded(
    answer: Mapping[str, Any], pixels: bytes | memoryview, geometries: Sequence[Geometry], size: int, *, with_metadata: bool
) -> Decoded:
    width, height, media_type = answer.get("width"), answer.get("height"), answer.get("media_type")
    if len(pixels) != size or media_type not in _MEDIA_TYPES:
        raise BadFrame(f"{len(pixels):,} bytes of pixels; expected {size:,}")
    tensors, start = {}, 0
    for geometry in geometries:
        shape = (geometry.height, geometry.width, 3)
        tensors[geometry] = np.frombuffer(pixels, np.uint8, math.prod(shape), start).reshape(shape)
        start += math.prod(shape)
    metadata = None
    if with_metadata:
        if not isinstance(answer.get("metadata"), dict):
            raise BadFrame("no metadata")
        metadata = _metadata(answer["metadata"])
    return Decoded(_whole(width, 1, _MOST_SIDE), _whole(height, 1, _MOST_SIDE), str(media_type), tensors, metadata)


def _metadata(answer: Mapping[str, Any]) -> PhotoMetadata:
    place, taken_at, taken_from, rating = (answer.get(name) for name in ("place", "taken_at", "taken_from", "rating"))
    if taken_from not in ("", *TIME_SOURCES) or bool(taken_from) != (taken_at is not None):
        raise BadFrame("a time from nowhere")
    texts = bounded(
        titles=[_text(answer.get("title"))],
        captions=[_text(answer.get("caption"))],
        tags=_texts(answer.get("tags")),
        model=_text(answer.get("camera")),
    )
    return PhotoMetadata(
        title=texts.title,
        caption=texts.caption,
        tags=texts.tags,
        camera=texts.camera,
        place=None if place is None else _place(place),
        taken_at=None if taken_at is None else _taken_at(taken_at),
        taken_from=_text(taken_from),
        rating=None if rating is None else _whole(rating, 1, 5),
        unread=tuple(_texts(answer.get("unread"))[:_MOST_UNREAD]),
    )


def _place(value: object) -> GeoPoint:
    match value:
        case [float(latitude), float(longitude)] if abs(latitude) <= 90 and abs(longitude) <= 180:
            return GeoPoint(latitude, longitude)
    raise BadFrame("a place that is none")


def _taken_at(value: object) -> TakenAt:
    match value:
        case [str(text), None | int() as offset]:
            try:
                instant = datetime.fromisoformat(text)
                if instant.tzinfo is None:
                    raise BadFrame("a time without its zone")
                instant = instant.astimezone(UTC)
            except (ValueError, OverflowError) as exc:  # OverflowError: in UTC it lies outside the years 1 to 9999
                raise BadFrame("a time that is none") from exc
            minutes = None if offset is None else _whole(offset, -_MOST_OFFSET_MINUTES, _MOST_OFFSET_MINUTES)
            return TakenAt(instant, minutes)
    raise BadFrame("a time that is none")


def _whole(value: object, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise BadFrame(f"a number that is not within {least:,} to {most:,}")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise BadFrame("a text that is none")


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [_text(one) for one in value]
    raise BadFrame("a list of texts that is none")
