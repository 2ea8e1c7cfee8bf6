"""The metadata of a photo, from its own file or from a sidecar."""

from dataclasses import dataclass

from miradouro.core.document import GeoPoint, TakenAt

XMP_SIDECAR, TAKEOUT = "xmp-sidecar", "takeout"
# Sources of the time of taking, the most trusted first. The last is not metadata but the file's name: `file_name.py`.
TIME_SOURCES = (XMP_SIDECAR, TAKEOUT, "exif", "xmp", "iptc", "exif-digitized", "png", "gps", "file-name")


@dataclass(frozen=True)
class PhotoMetadata:
    """The fields of a file, empty or None where it has none. `unread` names damaged parts, such as `exif.place`.

    `taken_from` is the member of TIME_SOURCES that `taken_at` comes from. `rating` is 1 to 5 stars. `people` are the names of
    persons in the photo.
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
