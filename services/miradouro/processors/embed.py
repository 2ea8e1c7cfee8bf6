"""Tensors to vectors and label probabilities, by the embedder, unless they are stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from pydantic import Field

from miradouro.core.embedding import Embedding
from miradouro.core.errors import NotFound, Overloaded, Unavailable
from miradouro.core.pipeline import Draft
from miradouro.core.spaces import BundleDescription
from miradouro.processors.plugin import Context, ProcessorOptions, need
from miradouro.processors.reuse import has_vectors_of, keeps_tags

_log = structlog.get_logger(__name__)


class EmbedOptions(ProcessorOptions):
    """Options of `embed`."""

    tags: bool = Field(True, description="Whether to ask for label probabilities, which `tag` needs.")
    reuse: bool = Field(
        True,
        description="Whether stored vectors and tags of the same bytes stay; false while other options of `tag` come in.",
    )


class Embed:
    """Fills `embedding` and `provenances`, for every space of the collection. Raises what the embedder raises.

    Of a photo that is stored with the same SHA-256 and the provenances that the embedder offers, vectors and tags are taken over.
    """

    Options = EmbedOptions

    def __init__(self, options: EmbedOptions, context: Context) -> None:
        self._options = options
        self._context = context

    def __call__(self, draft: Draft) -> Draft:
        """The draft with its vectors and label probabilities."""
        decoded = draft.decoded
        need(decoded is not None, "embed", "the photo's pixels", "decode")
        assert decoded is not None
        bundles = self._context.bundles(draft.spaces, tags=self._options.tags)
        offered = {space.name: space.provenance for bundle in bundles for space in bundle.spaces}
        reused = self._reused(draft, bundles, offered)
        if reused is not None:
            return reused
        (embedding,) = self._context.embedder.embed(
            [{bundle.name: decoded.tensors[bundle.geometry] for bundle in bundles}],
            spaces=[space.name for space in draft.spaces],
            tags=self._options.tags,
            priority=self._context.priority,
            timeout_s=self._context.embed_timeout_s,
        )
        return replace(draft, embedding=embedding, provenances={name: offered[name] for name in embedding.vectors})

    def _reused(self, draft: Draft, bundles: Sequence[BundleDescription], offered: Mapping[str, str]) -> Draft | None:
        """The draft with what is stored of the same bytes; None when they have to be embedded."""
        if not self._options.reuse or not draft.sha256 or self._context.stored is None:
            return None
        event = draft.event
        try:
            stored = self._context.stored(event.collection, event.photo_id)
        except (NotFound, Unavailable, Overloaded) as exc:
            if exc.retriable:  # what is away is needed to write, too, and waited for there
                _log.info("stored vectors can't be read now; embedding again", photo_id=event.photo_id, error=exc.message)
            return None
        wanted = {space.name: offered.get(space.name, "") for space in draft.spaces}
        if stored.sha256 != draft.sha256 or not has_vectors_of(stored, wanted):
            return None
        if self._options.tags and not keeps_tags(stored, event.tags, draft.spaces, bundles, self._context.labels):
            return None
        vectors = {name: stored.vectors[name] for name in wanted}
        return replace(draft, embedding=Embedding(vectors), provenances=wanted, reused=stored)
