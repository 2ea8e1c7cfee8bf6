"""The interface of a processor: its class, its options and its context.

A plug-in is a class in the entry-point group `miradouro.processors`; the entry point's name is the name of the step:

    class Sharpness:
        Options = SharpnessOptions                       # a subclass of ProcessorOptions

        def __init__(self, options: SharpnessOptions, context: Context) -> None: ...

        def __call__(self, photo: PhotoInProgress) -> PhotoInProgress: ...   # core.pipeline.Processor
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from miradouro.bundles.labels import LabelTable
from miradouro.core.document import Document
from miradouro.core.embedding import Priority
from miradouro.core.errors import ConfigurationError
from miradouro.core.event import PhotoEvent
from miradouro.core.keywords import KeywordHead
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.pipeline import PhotoInProgress, Processor
from miradouro.core.ports import Embedder, PhotoReader, PhotoStore
from miradouro.core.spaces import BundleDescription, Space, tagger_of

T = TypeVar("T")


class ProcessorOptions(BaseModel):
    """Options of a processor: typed and frozen. Unknown options are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Context:
    """The services and limits that processors use.

    `describe` returns the loaded bundles, cached. `reader` decodes photos and reads their metadata in another process; pass it
    the photo's `key`. `limits` are the defaults for options that a pipeline file omits. `embed_timeout_s` limits the embedding
    of one photo in seconds, including the wait in the queue. `thumbnails` is the folder from which the page reads thumbnails,
    None without one. With `is_rehearsal` a processor changes only the photo in progress. `stored` takes an event and a SHA-256
    and returns the live document of the same bytes with its vectors, or None; without an index `stored` itself is None.
    `keywords` returns the learned keywords of a collection, None without any.
    """

    embedder: Embedder
    describe: Callable[[], Sequence[BundleDescription]]
    photo_store: PhotoStore
    labels: LabelTable
    reader: PhotoReader
    limits: DecodeLimits = DEFAULT_LIMITS
    priority: Priority = Priority.BULK
    embed_timeout_s: float = 60.0
    thumbnails: Path | None = None
    is_rehearsal: bool = False
    stored: Callable[[PhotoEvent, str], Document | None] | None = None
    keywords: Callable[[str], KeywordHead | None] = lambda _: None

    def bundles(self, spaces: tuple[Space, ...], *, tags: bool) -> list[BundleDescription]:
        """The loaded bundles of these spaces, and with `tags` the one that computes labels. Raises Unavailable."""
        loaded = self.describe()
        needed = {space.bundle for space in spaces}
        if tags:
            needed.add(tagger_of(loaded, [space.name for space in spaces]))
        return [bundle for bundle in loaded if bundle.name in needed]


class ProcessorClass(Protocol):
    """The object that an entry point names: a class with `Options`, called with its options and the context."""

    Options: type[ProcessorOptions]

    def __call__(self, options: Any, context: Context, /) -> Processor:
        """The processor. It must be thread-safe."""
        ...


def need(value: T | None, step: str, name: str, source: str) -> T:
    """Returns `value`, which the step `source` fills and the step `step` reads. `name` describes it for the error.

    Raises ConfigurationError when it is None: the pipeline lacks `source`, or runs it too late.
    """
    if value is None:
        raise ConfigurationError(f"pipeline: {step} needs {name}; put {source} before {step}")
    return value


__all__ = ["Context", "PhotoInProgress", "Processor", "ProcessorClass", "ProcessorOptions", "need"]
