"""Adds the learned keywords of the photo's collection to its tags."""

from dataclasses import replace

from miradouro.core.codes import stored_form, unit_vectors
from miradouro.core.errors import FailedPrecondition
from miradouro.core.keywords import with_learned
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.plugin import Context, ProcessorOptions, need


class KeywordOptions(ProcessorOptions):
    """`keywords` has no options: `miradouro keywords learn` sets the thresholds."""


class Keywords:
    """Adds learned tags to `tags`; put it after `tag`. A photo of a collection without learned keywords stays as it is."""

    Options = KeywordOptions

    def __init__(self, options: KeywordOptions, context: Context) -> None:
        del options
        self._find = context.keywords

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its learned tags. Raises FailedPrecondition for vectors of another provenance, Corrupt, Unavailable."""
        head = self._find(photo.event.collection)
        if head is None:
            return replace(photo, tags=with_learned(photo.tags, ()))
        embedding = need(photo.embedding, "keywords", "the photo's vectors", "embed")
        vectors = embedding.vectors.get(head.space)
        if vectors is None:
            raise FailedPrecondition(
                f"the keywords of collection {head.collection!r} were learned in {head.space}, a space that it does not hold; "
                "learn them in another one, or remove them with `miradouro keywords remove`"
            )
        head.check_provenance(photo.provenances.get(head.space, ""))
        space = next(space for space in photo.spaces if space.name == head.space)
        # Stored codes are what the head was trained with.
        [probabilities] = head.probabilities(unit_vectors(stored_form(vectors[:1], space), space))
        return replace(photo, tags=with_learned(photo.tags, head.tags(probabilities)))
