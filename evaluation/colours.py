"""One picture in two colour spaces: how far apart do they lie?"""

import io
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
from miradouro.core.colour.icc import Primaries, power_curve, profile_of, srgb_curve
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub
from PIL import Image, ImageCms

from evaluation.doors import example
from evaluation.goals import Check
from evaluation.photos import Photo

PHOTOS = 40
MEDIAN, FARTHEST = 0.07, 0.15
TOP = 10
SPACES = {
    "Display P3": profile_of(Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)), srgb_curve()),
    "ProPhoto RGB": profile_of(
        Primaries((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105), (0.3457, 0.3585)), power_curve(1.8)
    ),
}


def wide_colours(stub: SearchServiceStub, photos: Sequence[Photo]) -> Iterator[Check]:
    """The distance of photos to themselves converted to a wider space, in 8 bits and without other loss; default space."""
    chosen = photos[:: max(1, len(photos) // PHOTOS)][:PHOTOS]
    for name, profile in SPACES.items():
        assert profile is not None
        distances, missed = [], []
        for photo in chosen:
            found = {hit.photo_id: hit.distance for hit in example(stub, _converted(photo, profile), limit=TOP)}
            distance = min((found[photo_id] for photo_id in photo.same & found.keys()), default=2.0)
            distances.append(distance)
            if distance > FARTHEST:
                missed.append(f"{photo.photo_id}: {distance:.4f}")
        yield Check(f"{name}: median distance to the same photo in sRGB", statistics.median(distances), "<=", MEDIAN)
        yield Check(f"{name}: largest distance to it", max(distances), "<=", FARTHEST, tuple(missed))


def _converted(photo: Photo, profile: bytes) -> bytes:
    """The photo as a PNG in the profile's space."""
    srgb, wide = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile))
    with Image.open(photo.path) as image:
        converted = ImageCms.profileToProfile(image.convert("RGB"), srgb, wide)
    assert converted is not None
    out = io.BytesIO()
    Image.fromarray(np.asarray(converted)).save(out, "PNG", compress_level=1, icc_profile=profile)
    return out.getvalue()
