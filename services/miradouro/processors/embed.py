"""Tensors to vectors and label probabilities, by the embedder."""

from dataclasses import replace

from pydantic import Field

from miradouro.core.pipeline import Draft
from miradouro.processors.plugin import Context, ProcessorOptions, need


class EmbedOptions(ProcessorOptions):
    """Options of `embed`."""

    tags: bool = Field(True, description="Whether to ask for label probabilities, which `tag` needs.")


class Embed:
    """Fills `embedding` and `provenances`, for every space of the collection. Raises what the embedder raises."""

    Options = EmbedOptions

    def __init__(self, options: EmbedOptions, context: Context) -> None:
        self._tags = options.tags
        self._context = context

    def __call__(self, draft: Draft) -> Draft:
        """The draft with its vectors and label probabilities."""
        decoded = draft.decoded
        need(decoded is not None, "embed", "the photo's pixels", "decode")
        assert decoded is not None
        bundles = self._context.bundles(draft.spaces, tags=self._tags)
        (embedding,) = self._context.embedder.embed(
            [{bundle.name: decoded.tensors[bundle.geometry] for bundle in bundles}],
            spaces=[space.name for space in draft.spaces],
            tags=self._tags,
            priority=self._context.priority,
            timeout_s=self._context.embed_timeout_s,
        )
        offered = {space.name: space.provenance for bundle in bundles for space in bundle.spaces}
        return replace(draft, embedding=embedding, provenances={name: offered[name] for name in embedding.vectors})
