"""The physical index behind a collection's alias, and the part of a document that it can store."""

from dataclasses import dataclass, replace

from miradouro.core.document import Document
from miradouro.core.spaces import Space


@dataclass(frozen=True)
class Generation:
    """The physical index of an alias, the metadata of its mapping, and its approximate number of photos.

    `former` names the spaces of earlier generations, seen by this process, that the generation does not have.
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
        """This generation as the successor of `before`, whose spaces become `former`."""
        if before is None:
            return self
        return replace(self, former=(before.former | before.names.keys()) - self.names.keys())

    def explains(self, document: Document) -> bool:
        """Whether each of the document's vectors is of a former space, or of a current space with the same provenance."""
        spaces = self.names
        return all(
            name in self.former or (name in spaces and document.provenances.get(name, "") == spaces[name].provenance)
            for name in document.vectors
        )

    def fitted(self, document: Document) -> Document:
        """The document without vectors of `former` spaces: it was computed before the alias moved to this generation."""
        if self.former.isdisjoint(document.vectors):
            return document
        kept = {name: rows for name, rows in document.vectors.items() if name not in self.former}
        return replace(document, vectors=kept)
