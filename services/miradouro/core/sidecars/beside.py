"""Reads the sidecars of one photo. A damaged sidecar never fails its photo."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from miradouro.core.document import Origin
from miradouro.core.error_text import error_text
from miradouro.core.errors import BadPhoto
from miradouro.core.event import EventKind, PhotoEvent, check_event
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.sidecars.json_file import MAX_SIDECAR_BYTES, read_object
from miradouro.core.sidecars.own import OwnSidecar, read_own
from miradouro.core.sidecars.pairing import Role
from miradouro.core.sidecars.takeout import has_takeout_keys, is_takeout, read_takeout
from miradouro.core.sidecars.values import NotValidError

READ_BYTES = MAX_SIDECAR_BYTES + 1  # of a sidecar: one byte too many shows that it is too large
_MOST_FAULTS = 3  # of one sidecar that are listed


@dataclass(frozen=True)
class SidecarContent:
    """A sidecar's file: its path as reports show it, and its first READ_BYTES, or why it can't be read (`error`)."""

    path: str
    role: Role
    data: bytes
    error: str = ""


@dataclass(frozen=True)
class SidecarFault:
    """A sidecar that was not read completely, and the reason in at most 1,000 bytes."""

    path: str
    reason: str


@dataclass(frozen=True)
class Beside:
    """The metadata in a photo's sidecars: Miradouro's own, then those of other programs, the most trusted first."""

    own: OwnSidecar
    others: tuple[PhotoMetadata, ...] = ()
    faults: tuple[SidecarFault, ...] = ()


def read_beside(contents: Iterable[SidecarContent], *, photo_name: str, read_xmp: Callable[[bytes], PhotoMetadata]) -> Beside:
    """The metadata in `contents`, the most trusted first. Raises what `read_xmp` raises, except BadPhoto."""
    own = OwnSidecar()
    xmp: list[PhotoMetadata] = []
    takeout: list[PhotoMetadata] = []
    faults: list[SidecarFault] = []
    for content in contents:
        found: OwnSidecar | PhotoMetadata | None = None
        try:
            found, wrong = _read(content, photo_name, read_xmp)
        except NotValidError as exc:
            wrong = [str(exc)]
        except BadPhoto as exc:
            wrong = [exc.message]
        if isinstance(found, OwnSidecar):
            own = found
        elif found is not None:
            (xmp if content.role is Role.XMP else takeout).append(found)
        if wrong:
            faults.append(SidecarFault(content.path, _reason(wrong)))
    return Beside(own, (*xmp, *takeout), tuple(faults))


def _read(
    content: SidecarContent, photo_name: str, read_xmp: Callable[[bytes], PhotoMetadata]
) -> tuple[OwnSidecar | PhotoMetadata, Sequence[str]]:
    """The metadata in one sidecar, and its invalid parts. Raises NotValidError and BadPhoto when none can be read."""
    if content.error:
        raise NotValidError(content.error)
    if len(content.data) > MAX_SIDECAR_BYTES:
        raise NotValidError(f"it has more than {MAX_SIDECAR_BYTES:,} bytes")
    if content.role is Role.XMP:
        found = read_xmp(content.data)
        return found, [f"{part} can't be read" for part in found.unread]
    fields = read_object(content.data)
    if content.role is Role.STEM_JSON and not has_takeout_keys(fields):
        return read_own(fields)
    if not is_takeout(fields):
        raise NotValidError("it is not a file of Google Takeout; our own sidecar is named STEM.json")
    return read_takeout(fields, photo_name=photo_name)


def event_of_photo(
    beside: Beside,
    *,
    event_id: str,
    collection: str,
    photo_id: str,
    version: int,
    uri: str,
    kind: EventKind = EventKind.UPLOADED,
    origin: Origin | None = None,
) -> PhotoEvent:
    """The event of a photo with these sidecars: its fields are those of our own sidecar; the step `exif` adds the others.

    Raises InvalidArgument.
    """
    own = beside.own
    return check_event(
        PhotoEvent(
            event_id=event_id,
            kind=kind,
            collection=collection,
            photo_id=photo_id,
            version=version,
            uri=uri,
            title=own.title,
            caption=own.caption,
            tags=own.tags,
            owner=own.owner,
            attributes=own.attributes,
            place=own.place,
            taken_at=own.taken_at,
            origin=origin,
            beside=beside,
        )
    )


def _reason(wrong: Sequence[str]) -> str:
    more = len(wrong) - _MOST_FAULTS
    return error_text("; ".join(wrong[:_MOST_FAULTS]) + (f"; and {more:,} more" if more > 0 else ""))
