"""Event to bytes: reads the original, unless the event brought it along; then the original is kept, where a place is set."""

import hashlib
from dataclasses import replace

from pydantic import Field

from miradouro.core.errors import BadPhoto
from miradouro.core.pipeline import Draft
from miradouro.core.sniff import sniff
from miradouro.processors.plugin import Context, ProcessorOptions


class FetchOptions(ProcessorOptions):
    """Options of `fetch`."""

    max_bytes: int | None = Field(None, ge=1, description="Largest encoded photo, in bytes; null: the process's own limit.")


class Fetch:
    """Fills `data`, and the event's `uri` where the bytes that it brought are kept.

    Raises BadPhoto (too_many_bytes, unreadable, vanished), InvalidArgument, OriginalUnavailable and Unavailable.
    """

    Options = FetchOptions

    def __init__(self, options: FetchOptions, context: Context) -> None:
        self._max_bytes = options.max_bytes or context.limits.max_bytes
        self._store = context.photo_store

    def __call__(self, draft: Draft) -> Draft:
        """The draft with the photo's bytes."""
        event = draft.event
        if event.data is None:
            return replace(draft, data=self._store.read(event.uri, limit_bytes=self._max_bytes))
        if len(event.data) > self._max_bytes:
            raise BadPhoto("too_many_bytes", f"the photo has {len(event.data):,} bytes; allowed: {self._max_bytes:,}")
        # What does not even begin as a photo will be refused: no place is spent on it.
        uri = self._keep(event.data) if sniff(event.data) else ""
        return replace(draft, data=event.data, event=replace(event, uri=uri, data=None) if uri else event)

    def _keep(self, data: bytes) -> str:
        return self._store.keep(data, sha256=hashlib.sha256(data).hexdigest())
