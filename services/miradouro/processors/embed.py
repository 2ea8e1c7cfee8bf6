"""Tensors to vectors and label probabilities, by the embedder, unless they are stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from pydantic import Field

from miradouro.core.decode import Decoded, DecodeLimits
from miradouro.core.embedding import Embedding, Tensor, check_replicas
from miradouro.core.errors import Internal, InvalidArgument, NotFound, Overloaded, Unavailable
from miradouro.core.pipeline import Draft
from miradouro.core.spaces import BundleDescription, Geometry, needed_geometries
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
    """Fills `embedding` and `provenances`, for every space of the collection.

    Raises the embedder's retriable errors, and Unavailable for its other ones and where its replicas differ.

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
        names = [space.name for space in draft.spaces]
        bundles = self._context.bundles(draft.spaces, tags=self._options.tags)
        geometries = needed_geometries(bundles, names, tags=self._options.tags)
        offered = {space.name: space.provenance for bundle in bundles for space in bundle.spaces}
        reused = self._reused(draft, bundles, offered)
        if reused is not None:
            return reused
        try:
            (embedding,) = self._context.embedder.embed(
                [self._tensors(draft, decoded, geometries)],
                spaces=names,
                tags=self._options.tags,
                priority=self._context.priority,
                timeout_s=self._context.embed_timeout_s,
            )
        except (InvalidArgument, Internal) as exc:
            # Never the photo's fault: a tensor is bytes of a size that `describe` told, and no such bytes fail a forward pass. So
            # a replica has other bundles or is sick, every photo meets it, and waiting can't hold a partition up for one photo.
            raise Unavailable(
                f"a tensor as the embedding service asks for was not embedded: {exc.message}; see to its replicas"
            ) from exc
        check_replicas(embedding, held={space.name: space.provenance for space in draft.spaces}, told=offered)
        return replace(draft, embedding=embedding, provenances=embedding.provenances)

    def _tensors(self, draft: Draft, decoded: Decoded, geometries: Sequence[Geometry]) -> dict[Geometry, Tensor]:
        """The photo in every geometry; in those of a bundle that was loaded after the photo was decoded it is fitted now."""
        known = decoded.tensors
        if late := [geometry for geometry in geometries if geometry not in known]:
            data = draft.data
            need(data is not None, "embed", "the photo's bytes", "fetch")
            assert data is not None
            # Not the photo's own pixels alone: limits of other formats than JPEG are derived from this one.
            pixels = max(self._context.limits.max_pixels, decoded.width * decoded.height)
            as_before = DecodeLimits(len(data), pixels, min_side=1)
            again = self._context.reader.decode(data, late, limits=as_before, priority=self._context.priority, key=draft.key)
            known = {**known, **again.tensors}
        return {geometry: known[geometry] for geometry in geometries}

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
        return replace(draft, embedding=Embedding(vectors, wanted), provenances=wanted, reused=stored)
