"""Makes the caption: the uploader's, or a sentence generated from the tags."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from miradouro.core.document import Tag, TagKind
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.searched_texts import CAPTION_FRAME
from miradouro.processors.plugin import Context, ProcessorOptions


class CaptionOptions(ProcessorOptions):
    """Options of `caption`."""

    min_probability: float = Field(0.1, ge=0, le=1, description="Least probability of a tag that the sentence names.")
    max_tags: int = Field(3, ge=1, le=20, description="Most tags that the sentence names.")


class Caption:
    """Fills `caption` and `caption_is_generated`. The caption is empty when no tag is probable enough."""

    Options = CaptionOptions

    def __init__(self, options: CaptionOptions, context: Context) -> None:
        del context
        self._options = options

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with its caption."""
        if photo.event.caption.strip():
            return replace(photo, caption=photo.event.caption, caption_is_generated=False)
        made = sentence(photo.tags, self._options)
        return replace(photo, caption=made, caption_is_generated=bool(made))


def sentence(tags: Sequence[Tag], options: CaptionOptions) -> str:
    """For example `A photo of golden retriever and tennis ball.`: the tags in order; "" without tags.

    Without parents; and without learned tags, which change later without the caption.
    """
    likely = [tag.label for tag in tags if tag.kind in (TagKind.USER, TagKind.LABEL) and tag.score >= options.min_probability]
    named = likely[: options.max_tags]
    if not named:
        return ""
    return f"{CAPTION_FRAME}{', '.join(named[:-1])}{' and ' if len(named) > 1 else ''}{named[-1]}."
