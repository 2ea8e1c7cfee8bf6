"""Whether our reader and exiftool say the same of a photo."""

from miradouro.core.metadata import PhotoMetadata
from miradouro.core.metadata.camera_words import human
from miradouro.core.metadata.texts import lines, one_line

from tests.exiftool import Reading


def disagreements(said: PhotoMetadata, reading: Reading) -> dict[str, tuple[object, object]]:
    """Field → our value and exiftool's, where they differ. Places agree within a metre."""
    ours, theirs = _ours(said), _theirs(reading)
    different = {field: (ours[field], theirs[field]) for field in ours if ours[field] != theirs[field]}
    make, model = reading.camera
    if said.camera not in {one_line(f"{make} {model}"), one_line(model)}:
        different["camera"] = (said.camera, reading.camera)
    return different


def _ours(said: PhotoMetadata) -> dict[str, object]:
    return {
        "title": said.title,
        "caption": said.caption,
        "tags": said.tags,
        "place": _metre((said.place.latitude, said.place.longitude) if said.place else None),
        "taken_at": said.taken_at,
        "taken_from": said.taken_from,
        "rating": said.rating or 0,
    }


def _theirs(reading: Reading) -> dict[str, object]:
    """The first title and caption that no camera wrote; keyword paths and lists in their parts."""
    words = (one_line(part) for tag in reading.tags for word in tag.split(";") for part in reversed(word.split("|")))
    return {
        "title": next(filter(None, (human(one_line(title)) for title in reading.titles)), ""),
        "caption": next(filter(None, (human(lines(caption)) for caption in reading.captions)), ""),
        "tags": tuple(dict.fromkeys(filter(None, words))),
        "place": _metre(reading.place),
        "taken_at": reading.taken_at,
        "taken_from": reading.taken_from,
        "rating": max(reading.rating, 0),
    }


def _metre(place: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if place in (None, (0.0, 0.0)) else (round(place[0], 5), round(place[1], 5))
