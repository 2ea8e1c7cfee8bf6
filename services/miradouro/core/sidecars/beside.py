"""The sidecars of one photo to what they say about it. No sidecar ever fails its photo."""

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

READ_BYTES = MAX_SIDECAR_BYTES + 1  # of a sidecar, so that one that is too large is recognised
_MOST_FAULTS = 3  # of one sidecar that are spelled out


@dataclass(frozen=True)
class SidecarContent:
    """A sidecar as it was read: its path, as reports show it, and READ_BYTES at most, or why there are none."""

    path: str
    role: Role
    data: bytes
    error: str = ""


@dataclass(frozen=True)
class SidecarFault:
    """A sidecar that was not read, or not all of it, and why; at most 1,000 bytes."""

    path: str
    reason: str


@dataclass(frozen=True)
class Beside:
    """What the sidecars of a photo say: our own, then those of other programs, the most trusted first."""

    own: OwnSidecar
    others: tuple[PhotoMetadata, ...] = ()
    faults: tuple[SidecarFault, ...] = ()


def read_beside(contents: Iterable[SidecarContent], *, photo_name: str, read_xmp: Callable[[bytes], PhotoMetadata]) -> Beside:
    """What the sidecars say, `contents` being in the order of trust. Raises what `read_xmp` raises, but for BadPhoto."""
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
    """What one sidecar says, and what of it is not valid. Raises NotValidError and BadPhoto where it says nothing."""
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
    """The event of a photo with these sidecars: the fields of our own, and the others for the step `exif`.

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
