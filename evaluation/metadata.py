"""An independent reader, exiftool, agrees on what the photos say; tests/install-exiftool.sh installs it."""

from collections.abc import Sequence

from miradouro.core.decode import decode
from miradouro.core.metadata import read_metadata

from evaluation.goals import Check, share
from evaluation.photos import Photo
from tests.exiftool import read_with_exiftool
from tests.metadata_agreement import disagreements


def agrees_with_exiftool(photos: Sequence[Photo]) -> Check:
    """Every field of every photo, and the size of the upright picture."""
    wrong = []
    for photo, reading in zip(photos, read_with_exiftool([photo.path for photo in photos]), strict=True):
        data = photo.path.read_bytes()
        different = disagreements(read_metadata(data), reading)
        decoded = decode(data, [])
        if (decoded.width, decoded.height) != reading.size:
            different["size"] = ((decoded.width, decoded.height), reading.size)
        if different:
            wrong.append(f"{photo.photo_id}: {different}")
    return share("metadata as exiftool reads them", len(photos) - len(wrong), len(photos), goal=1, misses=wrong)
