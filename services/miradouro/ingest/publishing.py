"""Makes events to publish: from the photos of a folder or location, or from lines of JSON."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.folder.walk import File
from miradouro.adapters.location import Listed, Location, Unlisted
from miradouro.adapters.photo_store import file_uri
from miradouro.core.embedding import Priority
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, PhotoEvent, check_collection, check_event
from miradouro.core.metadata import PhotoMetadata, completed
from miradouro.core.ports import PhotoReader, Refused
from miradouro.core.sidecars.beside import event_of_photo, read_beside
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import event_of

_NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Unpublished:
    """A photo or line that cannot be published, and the reason."""

    where: str
    error: InvalidArgument


def events_of_folder(
    folder: Path, collection: str, *, reader: PhotoReader, after: str = ""
) -> Iterator[PhotoEvent | Unpublished]:
    """An event by URI for every photo below `folder` whose id comes after `after`, in order, with the fields of its sidecars.

    The version is that of Miradouro's sidecar, otherwise the time in ms of the last change of the photo and its sidecars:
    publishing an unchanged photo again has no effect. Deleted photos and sidecars are not detected. `beside` of an event names
    the faults of its sidecars. Raises InvalidArgument (no such folder), and the errors of `reader` except BadPhoto.
    """
    source = FolderSource(
        os.path.realpath(folder),
        collection=check_collection(collection),
        index=None,
        file_uri=file_uri,
        reader=reader,
        first_version=_changed_at_ms,
    )
    for item in source.events():
        if isinstance(item, PhotoEvent | Refused) and item.photo_id.encode() <= after.encode():
            continue
        if isinstance(item, Refused):
            yield Unpublished(item.photo_id, item.error)
        elif isinstance(item, PhotoEvent):
            event_id = _event_id(item.collection, item.photo_id, item.version)
            yield _with_sidecars(replace(item, event_id=event_id, origin=None))


def events_of_location(
    location: Location, collection: str, *, reader: PhotoReader, after: str = ""
) -> Iterator[PhotoEvent | Unpublished]:
    """The same for an fsspec location, whose times may have a resolution of only a second. Raises as `Location.photos`."""
    check_collection(collection)
    for one in location.photos(after=after):
        if isinstance(one, Unlisted):
            yield Unpublished(one.where, one.error)
            continue
        try:
            yield _event_of_listed(one, collection, reader)
        except InvalidArgument as exc:
            yield Unpublished(one.photo_id, exc)


def _event_of_listed(listed: Listed, collection: str, reader: PhotoReader) -> PhotoEvent:
    def read_xmp(data: bytes) -> PhotoMetadata:
        return reader.xmp_sidecar(data, priority=Priority.BULK)

    beside = read_beside(listed.sidecars, photo_name=listed.photo_id.rpartition("/")[2], read_xmp=read_xmp)
    version = beside.own.version or listed.modified_ms
    if version is None:
        raise InvalidArgument("version", "the time of its last change is unknown; write a version into its sidecar")
    event = event_of_photo(
        beside,
        event_id=_event_id(collection, listed.photo_id, version),
        collection=collection,
        photo_id=listed.photo_id,
        version=version,
        uri=listed.uri,
    )
    return _with_sidecars(event)


def _with_sidecars(event: PhotoEvent) -> PhotoEvent:
    """The event with the fields of all sidecars merged: the wire format does not carry the sidecars of other programs."""
    return completed(event, event.beside.others if event.beside else ())


def _event_id(collection: str, photo_id: str, version: int) -> str:
    return hashlib.sha256(f"{collection}/{photo_id}/{version}".encode()).hexdigest()


def _paths_of(file: File) -> list[str]:
    return [file.path, *(os.path.join(os.path.dirname(file.path), one.name) for one in file.sidecars)]


def _changed_at_ms(file: File) -> int:
    """The later of mtime and ctime: a file that replaces another may keep an older mtime, but its ctime is new."""
    status = [os.stat(path) for path in _paths_of(file)]
    return max(1, max(max(one.st_mtime_ns, one.st_ctime_ns) for one in status) // _NS_PER_MS)


def events_of_lines(lines: Iterable[bytes]) -> Iterator[PhotoEvent | Unpublished]:
    """An event per line. A line is a CloudEvent in JSON with the photo's id as `subject`; empty lines are skipped.

    It has the extensions `photoversion` and `collection` (`photos` when it is not set).
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield check_event(_event_of_line(line, number))
        except InvalidArgument as exc:
            yield Unpublished(f"line {number}", exc)


def _event_of_line(line: bytes, number: int) -> PhotoEvent:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgument("line", f"it is no JSON: {exc}") from exc
    if not isinstance(event, dict):
        raise InvalidArgument("line", f"a JSON {type(event).__name__}; allowed: an object, a CloudEvent")
    collection, photo_id = event.pop("collection", DEFAULT_COLLECTION), event.get("subject", "")
    value = json.dumps(event, ensure_ascii=False).encode("utf-8", "backslashreplace")
    key = f"{check_collection(str(collection))}/{photo_id}".encode("utf-8", "backslashreplace")
    headers = (("content-type", b"application/cloudevents+json"),)
    return event_of(SourceRecord("", 0, number, key, value, headers))
