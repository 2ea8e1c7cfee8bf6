"""Event to bytes: reads the original, unless the event brought it along."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.errors import BadPhoto
from miradouro.core.pipeline import Draft
from miradouro.processors.plugin import Context, ProcessorOptions


class FetchOptions(ProcessorOptions):
    """Options of `fetch`."""

    max_bytes: int | None = Field(None, ge=1, description="Largest encoded photo, in bytes; null: the process's own limit.")


class Fetch:
    """Fills `data`. Raises BadPhoto (too_many_bytes, unreadable, vanished), InvalidArgument and Unavailable."""

    Options = FetchOptions

    def __init__(self, options: FetchOptions, context: Context) -> None:
        self._max_bytes = options.max_bytes or context.limits.max_bytes
        self._store = context.photo_store

    def __call__(self, draft: Draft) -> Draft:
        """The draft with the photo's bytes."""
        data = draft.event.data
        if data is None:
            data = self._store.read(draft.event.uri, limit_bytes=self._max_bytes)
        if len(data) > self._max_bytes:
            raise BadPhoto("too_many_bytes", f"the photo has {len(data):,} bytes; allowed: {self._max_bytes:,}")
        return replace(draft, data=data)
