"""Decides whether stored vectors and tags of the same bytes can replace another forward pass."""

from collections.abc import Iterable, Mapping, Sequence

from miradouro.bundles.labels import LabelTable
from miradouro.core.document import Document, TagKind
from miradouro.core.embedding import IMAGENET
from miradouro.core.spaces import BundleDescription, Space, tagger_of
from miradouro.core.text import fold_tag


def has_vectors_of(stored: Document, wanted: Mapping[str, str]) -> bool:
    """Whether `stored` has vectors of every wanted space and provenance. `wanted`: space name → provenance of the embedder."""
    return all(name in stored.vectors and stored.provenances[name] == provenance for name, provenance in wanted.items())


def keeps_tags(
    stored: Document, given: Iterable[str], spaces: Sequence[Space], bundles: Sequence[BundleDescription], labels: LabelTable
) -> bool:
    """Whether the bundles would compute the stored labels and parents again. `given` are the user's current tags.

    The tagging bundle is provably unchanged only when `spaces` contains one of its spaces. A label with the name of a user's tag
    is not stored, so it is missing after the user removes that tag.
    """
    tagger = tagger_of(bundles, [space.name for space in spaces])
    if not tagger:
        return True
    if tagger not in {space.bundle for space in spaces} or all(tag.kind is not TagKind.LABEL for tag in stored.tags):
        return False
    gone = {fold_tag(tag.label) for tag in stored.tags if tag.kind is TagKind.USER} - {fold_tag(word) for word in given}
    if not gone:
        return True
    if any(bundle.name == tagger and bundle.label_table != IMAGENET for bundle in bundles):
        return False  # its own labels are not known here: one may have the name of the removed tag
    return not any(fold_tag(name) in gone for row in labels.rows for name in (row.label, *row.parents))
