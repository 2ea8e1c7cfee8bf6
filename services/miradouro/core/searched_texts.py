"""The texts of a document that questions in words search, by who wrote them, and what a word in each counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from miradouro.core.document import Tag, TagKind

CAPTION_FRAME = "A photo of "  # of a generated caption; no word of it describes the photo
HUMAN_WEIGHT, OWN_TAG_WEIGHT = 3.0, 1.0
WORD_BONUS = 2.0  # BM25 alone prefers a short text with one word to a long one with two


@dataclass(frozen=True)
class SearchedTexts:
    """`title` and `caption` are a person's, `tags` a person's own tags. `made` is the program's: its caption and its tags.

    The score of a photo is the sum over the words and phrases of the question of HUMAN_WEIGHT x BM25 in title and caption +
    OWN_TAG_WEIGHT x BM25 in tags + WORD_BONUS for each of these two that has the word; and m / (1 + m), where m is the sum over
    the words of BM25 in `made`. Of a word with alternatives the best one counts, times its weight. A photo in which only the
    program's words match scores less than 1, any other one more.
    """

    title: str
    caption: str
    tags: tuple[str, ...]
    made: tuple[str, ...]


def searched_texts(tags: Iterable[Tag], *, title: str, caption: str, caption_is_generated: bool) -> SearchedTexts:
    """The texts of a live document with these fields."""
    tags = list(tags)
    own = tuple(tag.label for tag in tags if tag.kind is TagKind.USER)
    made = tuple(tag.label for tag in tags if tag.kind is not TagKind.USER)
    if caption_is_generated:
        return SearchedTexts(title, "", own, (caption.removeprefix(CAPTION_FRAME), *made))
    return SearchedTexts(title, caption, own, made)
