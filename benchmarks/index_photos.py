"""Photos to measure with: every default space at its real size, 20 tags, a caption, a place, a time; seeded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from miradouro.core.codes import stored_form
from miradouro.core.document import Document, GeoPoint, Tag, TagKind, TakenAt
from miradouro.core.spaces import Preset, Region, Space

COLLECTION = "photos"
BATCH = 32
LABELS = 1_000
SIZES = {"a/features": 1_280, "b/pool1": 64, "b/pool2": 128, "b/pool3": 256, "b/pool4": 512, "b/pool5": 512}
PARTS = tuple(Region(0.0, 0.0, 1.0, (i + 1) / 14) for i in range(14))
SPACES = (
    *(Space(*name.split("/"), "", size, name.ljust(64, "0"), Preset.STANDARD, True) for name, size in SIZES.items()),
    Space("b", "pool5", "regions", 512, "regions".ljust(64, "0"), Preset.STANDARD, False, PARTS),
)
CAPTION = "view of the old harbour with boats near a lighthouse under clouds in summer light and two dogs on a beach"


def batch(start: int, count: int, spaces: Sequence[Space] = SPACES) -> list[Document]:
    """Photos number `start` and on."""
    draw = np.random.default_rng(start)
    vectors = {}
    for space in spaces:
        rows = draw.standard_normal((count, space.vectors_per_photo, space.dimension), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=2, keepdims=True)
        vectors[space.name] = stored_form(rows.reshape(-1, space.dimension), space).reshape(rows.shape)
    return [
        Document(
            COLLECTION,
            f"album {number % 50}/photo {number:06}.jpg",
            1,
            uri=f"file:///photos/{number}.jpg",
            media_type="image/jpeg",
            sha256=f"{number:064x}",
            perceptual_hash=f"{number:016x}",
            width=4_000,
            height=3_000,
            title=f"photo {number}",
            caption=" ".join(draw.choice(CAPTION.split(), 12)),
            tags=tuple(
                Tag(f"label {(number * 7 + k * k * 31) % LABELS}", round(0.5 / (k + 1), 6), TagKind.LABEL) for k in range(20)
            ),
            owner=f"owner {number % 10}",
            attributes={"camera": f"camera {number % 20}"},
            place=GeoPoint(number % 180 - 90, number % 360 - 180),
            taken_at=TakenAt(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=number), None),
            vectors={space.name: vectors[space.name][number - start] for space in spaces},
            provenances={space.name: space.provenance for space in spaces},
        )
        for number in range(start, start + count)
    ]
