"""An index engine of a third party: it keeps everything in memory and compares every vector.

It imports Miradouro, and Miradouro does not import it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from miradouro.core.codes import unit_vectors
from miradouro.core.document import Document, Failure, Origin, Vectors
from miradouro.core.errors import InvalidArgument, NotFound
from miradouro.core.event import check_collection
from miradouro.core.index_engine import Opening
from miradouro.core.ports import (
    MAX_COLLECTIONS,
    CollectionStats,
    OriginState,
    SpaceStats,
    TagChange,
    TaggedPhoto,
    WriteStatus,
)
from miradouro.core.query import EverythingClause, IndexQuery, Match, Matches, VectorClause
from miradouro.core.spaces import Space, resolve_space
from miradouro.core.storable import check_same_spaces, check_storable, more_than, other_root
from miradouro.core.text import fold_tag
from miradouro.core.understood import Vocabulary


@dataclass
class Collection:
    spaces: tuple[Space, ...]
    root: str
    documents: dict[str, Document] = field(default_factory=dict)

    def live(self) -> list[Document]:
        return [document for document in self.documents.values() if not document.deleted]


class MemoryIndex:
    """PhotoIndex, IndexAdmin and DeadLetters over dictionaries. It finds photos by vectors, and lists them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._failures: dict[tuple[str, str], Failure] = {}

    def check(self) -> None:
        """Memory always answers."""

    def write(self, documents: Sequence[Document]) -> list[WriteStatus]:
        with self._lock:
            for document in documents:
                check_storable(document, {space.name: space for space in self._of(document.collection).spaces})
            return [self._write(document) for document in documents]

    def _write(self, document: Document) -> WriteStatus:
        stored = self._of(document.collection).documents
        known = stored.get(document.photo_id)
        if known is not None and known.version >= document.version:
            return WriteStatus.STALE
        stored[document.photo_id] = document
        failure = self._failures.get((document.collection, document.photo_id))
        if failure is not None and failure.version <= document.version:
            del self._failures[document.collection, document.photo_id]
        return WriteStatus.STORED

    def refresh_origins(self, collection: str, origins: dict[str, Origin]) -> None:
        with self._lock:
            stored = self._of(collection).documents
            for photo_id, origin in origins.items():
                if photo_id in stored and not stored[photo_id].deleted:
                    stored[photo_id] = replace(stored[photo_id], origin=origin)

    def origins(self, collection: str, *, within: str = "") -> Iterator[OriginState]:
        with self._lock:
            found = sorted(self._of(collection).documents.values(), key=lambda one: one.photo_id.encode())
        return (
            OriginState(one.photo_id, one.version, one.deleted, one.sha256, one.origin)
            for one in found
            if one.photo_id.startswith(within)
        )

    def same_bytes(self, collection: str, sha256: str) -> Sequence[OriginState]:
        return [one for one in self.origins(collection) if one.sha256 == sha256 and not one.deleted]

    def tagged(self, collection: str, space: str) -> Iterator[TaggedPhoto]:
        with self._lock:
            found = resolve_space(space, self._of(collection).spaces)
            live = sorted(self._of(collection).live(), key=lambda one: one.photo_id.encode())
        return (
            TaggedPhoto(
                *(one.photo_id, one.version, one.tags),
                unit_vectors(one.vectors[found.name], found)[0] if found.name in one.vectors else None,
            )
            for one in live
        )

    def replace_tags(self, collection: str, changes: Sequence[TagChange]) -> int:
        with self._lock:
            stored = self._of(collection).documents
            current = [
                change
                for change in changes
                if change.photo_id in stored
                and not stored[change.photo_id].deleted
                and stored[change.photo_id].version == change.version
            ]
            for change in current:
                stored[change.photo_id] = replace(stored[change.photo_id], tags=change.tags)
        return len(current)

    def search(self, query: IndexQuery) -> Matches:
        if query.conditions or query.facets or not isinstance(query.clause, EverythingClause | VectorClause):
            raise InvalidArgument("query", "this engine finds photos by vectors, and lists them")
        with self._lock:
            ranked = [self._match(document, query) for document in self._of(query.collection).live()]
        ranked.sort(key=lambda match: (-match.score, match.photo_id))
        return Matches(tuple(ranked[query.offset :][: query.limit]), len(ranked), True, False, True)

    def _match(self, document: Document, query: IndexQuery) -> Match:
        distance, score = None, 0.0
        if isinstance(query.clause, VectorClause):
            space = resolve_space(query.clause.space, self._of(query.collection).spaces)
            rows, asked = (unit_vectors(one, space) for one in (document.vectors[space.name], query.clause.vector[None]))
            distance = float(np.linalg.norm(rows - asked, axis=1).min())
            score = 1 - distance**2 / 2
        return Match(document.photo_id, score, distance, None, _slim(document) if query.with_documents else None)

    def vocabulary(self, collection: str) -> Vocabulary:
        return Vocabulary(frozenset(fold_tag(tag.label) for document in self._of(collection).live() for tag in document.tags))

    def get(self, collection: str, photo_id: str) -> Document:
        return _slim(self.get_whole(collection, photo_id))

    def vector(self, collection: str, photo_id: str, space: str) -> Vectors:
        found = resolve_space(space, self._of(collection).spaces)
        return self.get_whole(collection, photo_id).vectors[found.name]

    def get_whole(self, collection: str, photo_id: str) -> Document:
        with self._lock:
            found = self._of(collection).documents.get(photo_id)
        if found is None or found.deleted:
            raise NotFound(f"photo {photo_id} is not in collection {collection}")
        return found

    def spaces_of(self, collection: str, photo_id: str) -> Sequence[str]:
        held = self.get_whole(collection, photo_id).vectors
        return [space.name for space in self.spaces(collection) if space.name in held]

    def spaces(self, collection: str) -> Sequence[Space]:
        return self._of(collection).spaces

    def ensure_collection(
        self, collection: str, *, spaces: Sequence[Space], root: str = "", at_most: int = MAX_COLLECTIONS
    ) -> None:
        with self._lock:
            known = self._collections.get(check_collection(collection))
            if known is None:
                if len(self._collections) >= at_most:
                    raise more_than(at_most, collection)
                known = self._collections[collection] = Collection(tuple(spaces), root)
            check_same_spaces(collection, known.spaces, spaces)
            if root and root != known.root:
                if known.root or known.documents:
                    raise other_root(collection, known.root, root)
                known.root = root

    def stats(self) -> Sequence[CollectionStats]:
        with self._lock:
            return [self._stats(name) for name in sorted(self._collections)]

    def _stats(self, name: str) -> CollectionStats:
        collection = self._collections[name]
        live = collection.live()
        return CollectionStats(
            name=name,
            root=collection.root,
            photos=len(live),
            deleted=len(collection.documents) - len(live),
            failed=sum(key[0] == name for key in self._failures),
            spaces=tuple(
                SpaceStats(
                    *(space.name, space.dimension, space.provenance),
                    sum(len(document.vectors[space.name]) for document in live if space.name in document.vectors),
                    space.preset,
                )
                for space in collection.spaces
            ),
        )

    def size_bytes(self) -> int:
        return 0

    def put(self, failures: Sequence[Failure]) -> None:
        with self._lock:
            for failure in failures:
                known = self._failures.get((failure.collection, failure.photo_id))
                if known is None or known.version <= failure.version:
                    self._failures[failure.collection, failure.photo_id] = failure

    def list(self, *, collection: str = "", limit: int = 100, after: str = "") -> tuple[Sequence[Failure], str]:
        with self._lock:
            keys = sorted(key for key in self._failures if collection in ("", key[0]) and "/".join(key) > after)
            page = [self._failures[key] for key in keys[:limit]]
        return page, "/".join(keys[limit - 1]) if len(keys) > limit else ""

    def forget(self, collection: str, photo_ids: Sequence[str]) -> None:
        with self._lock:
            for photo_id in photo_ids:
                self._failures.pop((collection, photo_id), None)

    def _of(self, collection: str) -> Collection:
        if collection not in self._collections:
            raise NotFound(f"collection {collection} does not exist")
        return self._collections[collection]


def _slim(document: Document) -> Document:
    return replace(document, vectors={}, provenances={})


_OPEN: dict[object, MemoryIndex] = {}  # by data folder: the index outlives a command, but not its process


@contextmanager
def open_memory(opening: Opening) -> Iterator[MemoryIndex]:
    """An IndexEngine."""
    yield _OPEN.setdefault(opening.data_folder, MemoryIndex())
