"""Reads the original photo by its URI, or takes its bytes from the event and writes them to the inline store, if one is set."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.errors import BadPhoto
from miradouro.core.fingerprint import sha256
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.sniff import sniff
from miradouro.processors.plugin import Context, ProcessorOptions


class FetchOptions(ProcessorOptions):
    """Options of `fetch`."""

    max_bytes: int | None = Field(None, ge=1, description="Largest encoded photo, in bytes; null: the process's own limit.")


class Fetch:
    """Fills `data`. For inline bytes with an inline store it also fills the event's `uri` and the photo's `sha256`.

    Raises BadPhoto (too_many_bytes, unreadable, vanished), InvalidArgument, OriginalUnavailable and Unavailable.
    """

    Options = FetchOptions

    def __init__(self, options: FetchOptions, context: Context) -> None:
        self._max_bytes = options.max_bytes or context.limits.max_bytes
        self._store = context.photo_store

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its bytes."""
        event = photo.event
        if event.data is None:
            return replace(photo, data=self._store.read(event.uri, limit_bytes=self._max_bytes))
        if len(event.data) > self._max_bytes:
            raise BadPhoto("too_many_bytes", f"the photo has {len(event.data):,} bytes; allowed: {self._max_bytes:,}")
        if not sniff(event.data):
            return replace(photo, data=event.data)  # not a photo: not stored, and a later step refuses it
        digest = sha256(event.data)
        if uri := self._store.keep(event.data, sha256=digest):
            event = replace(event, uri=uri, data=None)
        return replace(photo, data=photo.event.data, sha256=digest, event=event)
