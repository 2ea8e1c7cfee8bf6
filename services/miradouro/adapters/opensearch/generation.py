"""What is known of the physical index behind a collection's alias, and what of a document fits into it."""

from dataclasses import dataclass, replace

from miradouro.core.document import Document
from miradouro.core.spaces import Space


@dataclass(frozen=True)
class Generation:
    """The physical index that a collection's alias names, what its mapping remembers, and about how many photos it holds.

    `former` names spaces of the generations before it, as far as this process met them, which it has no more.
    """

    index: str
    root: str
    spaces: tuple[Space, ...]
    photos: int
    former: frozenset[str] = frozenset()

    @property
    def names(self) -> dict[str, Space]:
        """The spaces by name."""
        return {space.name: space for space in self.spaces}

    def after(self, before: "Generation | None") -> "Generation":
        """This one, which was met after `before`."""
        if before is None:
            return self
        return replace(self, former=(before.former | before.names.keys()) - self.names.keys())

    def explains(self, document: Document) -> bool:
        """Whether the document's vectors are of spaces that the generation has or had, made as its own are."""
        spaces = self.names
        return all(
            name in self.former or (name in spaces and document.provenances.get(name, "") == spaces[name].provenance)
            for name in document.vectors
        )

    def fitted(self, document: Document) -> Document:
        """The document without vectors of `former` spaces: it was made while the alias moved, and is no fault of its photo."""
        if self.former.isdisjoint(document.vectors):
            return document
        kept = {name: rows for name, rows in document.vectors.items() if name not in self.former}
        return replace(document, vectors=kept)
