"""What a file says about a photo: the photo's own, or one beside it."""

from dataclasses import dataclass

from miradouro.core.document import GeoPoint, TakenAt

XMP_SIDECAR, TAKEOUT = "xmp-sidecar", "takeout"
# Where a time of taking may come from, the most trusted first; the last is no metadata: `file_name.py`.
TIME_SOURCES = (XMP_SIDECAR, TAKEOUT, "exif", "xmp", "iptc", "exif-digitized", "png", "gps", "file-name")


@dataclass(frozen=True)
class PhotoMetadata:
    """Empty or None where the file does not say. `unread` names the parts that are there but damaged, as `exif.place`.

    `taken_from` is the one of TIME_SOURCES that `taken_at` comes from. `rating` is 1 to 5 stars. `people` are names of persons in
    the photo.
    """

    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    camera: str = ""
    place: GeoPoint | None = None
    taken_at: TakenAt | None = None
    taken_from: str = ""
    rating: int | None = None
    people: tuple[str, ...] = ()
    is_favourite: bool = False
    unread: tuple[str, ...] = ()
