"""The work of a child on one photo: its side of `jobs`. Imports only `core`."""

from collections.abc import Callable, Mapping
from typing import Any

from miradouro.core.decode import Reserve, decode
from miradouro.core.metadata import PhotoMetadata, read_metadata, read_xmp_sidecar
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.spaces import Fit, Geometry, Region, Resample
from miradouro.core.thumbnail import thumbnail

Answer = tuple[dict[str, object], bytes]


def do_work(message: Mapping[str, Any], data: bytes, reserve: Reserve) -> Answer:
    """The answer to one job. Enters `reserve` with the estimated bytes of memory before it allocates them.

    Raises BadPhoto, InvalidArgument, MemoryError.
    """
    return _WORK[message["work"]](message, data, reserve)


def _decode(message: Mapping[str, Any], data: bytes, reserve: Reserve) -> Answer:
    geometries = [_geometry(one) for one in message["geometries"]]
    region = Region(**message["region"]) if message["region"] else None
    decoded = decode(data, geometries, limits=DecodeLimits(**message["limits"]), region=region, reserve=reserve)
    answer: dict[str, object] = {"width": decoded.width, "height": decoded.height, "media_type": decoded.media_type}
    if message["with_metadata"]:
        answer["metadata"] = _fields_of(read_metadata(data))
    return answer, b"".join(decoded.tensors[geometry].tobytes() for geometry in geometries)


def _geometry(fields: Mapping[str, Any]) -> Geometry:
    return Geometry(Fit(fields["fit"]), fields["width"], fields["height"], fields["short_side"], Resample(fields["resample"]))


def _metadata(message: Mapping[str, Any], data: bytes, reserve: Reserve) -> Answer:
    del message, reserve  # metadata blocks are small and bounded
    return _fields_of(read_metadata(data)), b""


def _xmp_sidecar(message: Mapping[str, Any], data: bytes, reserve: Reserve) -> Answer:
    del message, reserve  # sidecars are small and bounded
    return _fields_of(read_xmp_sidecar(data)), b""


def _fields_of(found: PhotoMetadata) -> dict[str, object]:
    return {
        "title": found.title,
        "caption": found.caption,
        "tags": found.tags,
        "camera": found.camera,
        "place": [float(found.place.latitude), float(found.place.longitude)] if found.place else None,
        "taken_at": [found.taken_at.instant.isoformat(), found.taken_at.utc_offset_minutes] if found.taken_at else None,
        "taken_from": found.taken_from,
        "rating": found.rating,
        "unread": found.unread,
    }


def _thumbnail(message: Mapping[str, Any], data: bytes, reserve: Reserve) -> Answer:
    limits = DecodeLimits(**message["limits"])
    sizes = {name: message[name] for name in ("width", "height", "longest_side")}
    return {}, thumbnail(data, **sizes, limits=limits, file_format=message["file_format"], reserve=reserve)


_WORK: dict[str, Callable[[Mapping[str, Any], bytes, Reserve], Answer]] = {
    "decode": _decode,
    "metadata": _metadata,
    "xmp_sidecar": _xmp_sidecar,
    "thumbnail": _thumbnail,
}
