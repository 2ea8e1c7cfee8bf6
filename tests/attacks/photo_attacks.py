"""Attacks by photos: small files that cost time, memory or collections."""

import functools
import io
import struct
import uuid
from collections.abc import Sequence

from miradouro.v1.ingest_service_pb2 import PutEventsRequest
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent

from tests.attacks.attacker import Attacker
from tests.hostile_photos import jpeg_of_segments, jpeg_with_fill, png_bomb_16bit_trns, progressive_bomb, webp_bomb
from tests.metadata_blocks import RATIONAL, iim, photoshop, tiff, with_segments
from tests.pictures import jpeg

PUT_EVENTS = "/miradouro.v1.IngestService/PutEvents"
_SEARCH_BY_PHOTO = "/v1/search/photo"
_COLLECTIONS_A_CALL = 32


def progressive_bombs(attacker: Attacker) -> None:
    """78 kB of empty refinement scans over 16 megapixels, as a question by photo."""
    bomb = _progressive()
    while attacker.goes_on():
        attacker.http("POST", _SEARCH_BY_PHOTO, bomb)


def pixel_bombs(attacker: Attacker) -> None:
    """Few bytes of WebP and PNG that are gigabytes of pixels."""
    bombs = _pixel_bombs()
    while attacker.goes_on():
        for bomb in bombs:
            if attacker.goes_on():
                attacker.http("POST", _SEARCH_BY_PHOTO, bomb)


def many_collections(attacker: Attacker) -> None:
    """Tiny photos, each in a new collection."""
    picture = jpeg(8, 8)
    with attacker.channel() as channel:
        while attacker.goes_on():
            names = [f"c{uuid.uuid4().hex[:12]}" for _ in range(_COLLECTIONS_A_CALL)]
            attacker.call(channel, PUT_EVENTS, put_events([picture] * len(names), collections=names))


def metadata_bombs(attacker: Attacker) -> None:
    """Photos whose metadata costs more than their pixels: EXIF fractions, IPTC, fill bytes, segments."""
    calls = [put_events([bomb]) for bomb in metadata_bomb_files()]
    with attacker.channel() as channel:
        while attacker.goes_on():
            for call in calls:
                if attacker.goes_on():
                    attacker.call(channel, PUT_EVENTS, call)


def put_events(photos: Sequence[bytes], *, collections: Sequence[str] = ()) -> bytes:
    """PutEvents of inline photos, by default in the collection `hostile`."""
    return PutEventsRequest(
        events=[
            PhotoEvent(
                event_id=uuid.uuid4().hex,
                kind=PHOTO_EVENT_KIND_UPLOADED,
                collection=collections[number] if collections else "hostile",
                photo_id=f"{number}.jpg",
                version=1,
                data=data,
            )
            for number, data in enumerate(photos)
        ]
    ).SerializeToString()


@functools.cache
def _progressive() -> bytes:
    return progressive_bomb(1_500, 4_096, 4_096)


@functools.cache
def _pixel_bombs() -> tuple[bytes, ...]:
    return webp_bomb(), png_bomb_16bit_trns()


@functools.cache
def metadata_bomb_files(mebibytes: int = 8) -> tuple[bytes, ...]:
    """One file of each kind, of about so many MiB; a call may carry 33."""
    size = mebibytes * 2**20
    return (
        _exif_fractions(size),
        _iptc(size),
        jpeg_with_fill(size),
        jpeg_of_segments(size // 4),
        jpeg_of_segments(size // 4, marker=0xE1),
    )


def _exif_fractions(size: int) -> bytes:
    """A WebP, whose EXIF chunk may have any size: a GPS latitude of as many fractions as fit."""
    from PIL import Image

    fractions = struct.pack("<II", 1, 3) * (size // 8)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(
        out, "WEBP", exif=b"Exif\0\0" + tiff(gps={2: (RATIONAL, fractions), 4: (RATIONAL, fractions[:24])})
    )
    return out.getvalue()


def _iptc(size: int) -> bytes:
    """Keywords of one letter in Photoshop segments of 64 kB."""
    block = photoshop(iim(*[(2, 25, b"a")] * (size // 6)))
    pieces = [block[start : start + 65_000] for start in range(14, len(block), 65_000)]
    return with_segments(jpeg(64, 48), *((0xED, b"Photoshop 3.0\0" + piece) for piece in pieces))
