"""What a processor is made of, and what it is handed.

A plug-in is a class in the entry-point group `miradouro.processors`; the entry point's name is the name of the step:

    class Sharpness:
        Options = SharpnessOptions                       # a subclass of ProcessorOptions

        def __init__(self, options: SharpnessOptions, context: Context) -> None: ...

        def __call__(self, draft: Draft) -> Draft: ...   # core.pipeline.Processor
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from miradouro.bundles.labels import LabelTable
from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.document import Document
from miradouro.core.embedding import Priority
from miradouro.core.errors import ConfigurationError
from miradouro.core.pipeline import Draft, Processor
from miradouro.core.ports import Embedder, PhotoReader, PhotoStore
from miradouro.core.spaces import BundleDescription, Space


class ProcessorOptions(BaseModel):
    """Options of a processor: typed, frozen; an unknown one is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Context:
    """What processors work with.

    `describe` tells the loaded bundles without asking the embedder each time; `reader` decodes photos and reads their metadata in
    another process: give it the draft's `key`; `limits` are the process's own, for what a
    pipeline file leaves open; `embed_timeout_s` bounds one photo's embedding, waiting in the queue included. `thumbnails` is the
    folder in which the page looks for them, None where there is none. In a rehearsal (`is_rehearsal`) nothing outside the draft
    may be changed. `stored` gives the live document of a collection and a photo id with its vectors, or raises NotFound; None
    where there is no index.
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
    stored: Callable[[str, str], Document] | None = None

    def bundles(self, spaces: tuple[Space, ...], *, tags: bool) -> list[BundleDescription]:
        """The loaded bundles that these spaces, and tags where wanted, need. Raises Unavailable."""
        needed = {space.bundle for space in spaces}
        return [bundle for bundle in self.describe() if bundle.name in needed or (tags and bundle.can_tag)]


class ProcessorClass(Protocol):
    """What the entry point names."""

    Options: type[ProcessorOptions]

    def __call__(self, options: Any, context: Context, /) -> Processor:
        """A processor with its options, ready to be called from several threads."""
        ...


def need(present: bool, step: str, what: str, giver: str) -> None:
    """Raises ConfigurationError when a step runs before the one that gives what it works on."""
    if not present:
        raise ConfigurationError(f"pipeline: {step} needs {what}; put {giver} before {step}")


__all__ = ["Context", "Draft", "Processor", "ProcessorClass", "ProcessorOptions", "need"]
