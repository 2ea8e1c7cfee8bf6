"""Computes vectors and label probabilities with the embedder, or reuses the stored ones of the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from pydantic import Field

from miradouro.core.decode import Decoded
from miradouro.core.embedding import Embedding, Tensor, check_replicas
from miradouro.core.errors import Internal, InvalidArgument, Overloaded, Unavailable
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.pipeline import PhotoInProgress
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
    """Fills `embedding` and `provenances` for every space of the collection.

    Reuses stored vectors and tags when the index holds the same SHA-256 with the provenances of the embedder.

    Raises the embedder's retriable errors, and Unavailable for its other errors and for replicas that differ.
    """

    Options = EmbedOptions

    def __init__(self, options: EmbedOptions, context: Context) -> None:
        self._options = options
        self._context = context

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its vectors and label probabilities."""
        decoded = need(photo.decoded, "embed", "the photo's pixels", "decode")
        names = [space.name for space in photo.spaces]
        bundles = self._context.bundles(photo.spaces, tags=self._options.tags)
        geometries = needed_geometries(bundles, names, tags=self._options.tags)
        offered = {space.name: space.provenance for bundle in bundles for space in bundle.spaces}
        reused = self._reused(photo, bundles, offered)
        if reused is not None:
            return reused
        try:
            (embedding,) = self._context.embedder.embed(
                [self._tensors(photo, decoded, geometries)],
                spaces=names,
                tags=self._options.tags,
                priority=self._context.priority,
                timeout_s=self._context.embed_timeout_s,
            )
        except (InvalidArgument, Internal) as exc:
            # The photo is not at fault: its tensors have the sizes that `describe` returned, and any such bytes can be embedded.
            # A replica has other bundles or is broken, and every photo fails there: a retriable error.
            raise Unavailable(
                f"the embedding service refused a tensor of the size that it asks for: {exc.message}; check its replicas"
            ) from exc
        check_replicas(embedding, held={space.name: space.provenance for space in photo.spaces}, described=offered)
        return replace(photo, embedding=embedding, provenances=embedding.provenances)

    def _tensors(self, photo: PhotoInProgress, decoded: Decoded, geometries: Sequence[Geometry]) -> dict[Geometry, Tensor]:
        """The tensors by geometry. Decodes the photo again for bundles that were loaded after the step `decode`."""
        known = decoded.tensors
        if late := [geometry for geometry in geometries if geometry not in known]:
            data = need(photo.data, "embed", "the photo's bytes", "fetch")
            # Not only the photo's own size: the limits of formats other than JPEG derive from this value.
            pixels = max(self._context.limits.max_pixels, decoded.width * decoded.height)
            as_before = DecodeLimits(len(data), pixels, min_side=1)
            again = self._context.reader.decode(data, late, limits=as_before, priority=self._context.priority, key=photo.key)
            known = {**known, **again.tensors}
        return {geometry: known[geometry] for geometry in geometries}

    def _reused(
        self, photo: PhotoInProgress, bundles: Sequence[BundleDescription], offered: Mapping[str, str]
    ) -> PhotoInProgress | None:
        """The photo with the stored vectors of the same bytes; None when it must be embedded."""
        if not self._options.reuse or not photo.sha256 or self._context.stored is None:
            return None
        event = photo.event
        try:
            stored = self._context.stored(event, photo.sha256)
        except (Unavailable, Overloaded) as exc:  # the later write to the same index retries
            _log.info("stored vectors can't be read now; embedding again", photo_id=event.photo_id, error=exc.message)
            return None
        wanted = {space.name: offered.get(space.name, "") for space in photo.spaces}
        if stored is None or stored.sha256 != photo.sha256 or not has_vectors_of(stored, wanted):
            return None
        if self._options.tags and not keeps_tags(stored, event.tags, photo.spaces, bundles, self._context.labels):
            return None
        vectors = {name: stored.vectors[name] for name in wanted}
        return replace(photo, embedding=Embedding(vectors, wanted), provenances=wanted, reused=stored)
