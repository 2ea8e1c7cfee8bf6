"""Collections in OpenSearch: PhotoIndex and IndexAdmin over one cluster."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, SerializationError, TransportError

from miradouro.adapters.opensearch import states, tagged
from miradouro.adapters.opensearch.audit import OpenSearchAudit, open_audit
from miradouro.adapters.opensearch.client import JSON, connect, is_closed_file, translated
from miradouro.adapters.opensearch.creation import create
from miradouro.adapters.opensearch.documents import (
    document_of,
    id_of,
    origin_source,
    source_of,
    tags_source,
    vectors_of,
)
from miradouro.adapters.opensearch.generation import Generation
from miradouro.adapters.opensearch.mapping import FORMAT, UNREAD, alias_of, field_of, meta_of, spaces_of
from miradouro.adapters.opensearch.question import Plan, counting_more, plan, read
from miradouro.adapters.opensearch.rewrites import Change, rewrite
from miradouro.adapters.opensearch.searches import collection_names, count, search
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.statistics import stats_of
from miradouro.adapters.opensearch.tuning import TUNING, Tuning
from miradouro.adapters.opensearch.vocabularies import Vocabularies
from miradouro.adapters.opensearch.writes import BulkWriter, Write
from miradouro.core.document import Document, Origin, Vectors
from miradouro.core.error_text import shown
from miradouro.core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ProvenanceMismatch,
    Unavailable,
)
from miradouro.core.event import check_collection
from miradouro.core.ports import (
    MAX_COLLECTIONS,
    CollectionStats,
    OriginState,
    TagChange,
    TaggedPhoto,
    WriteStatus,
    Written,
)
from miradouro.core.query import IndexQuery, Matches, TextClause, VectorClause
from miradouro.core.spaces import Space, resolve_space
from miradouro.core.storable import check_same_spaces, check_storable, check_vectors, more_than, other_root
from miradouro.core.understood import Vocabulary

_KNOWN_FOR_S = 5.0  # the time after which a moved alias is noticed
T = TypeVar("T")


class OpenSearchIndex:
    """An index in a cluster. Writes are durable on return, and searchable after the refresh interval. Thread-safe.

    Stores no failures. Every method that sends a request raises Unavailable, Overloaded (retriable) and Unauthenticated. Nothing
    is retried.
    """

    def __init__(self, client: OpenSearch, settings: OpenSearchSettings, tuning: Tuning = TUNING) -> None:
        self._client, self._settings, self._tuning = client, settings, tuning
        self._bulk = BulkWriter(client, tuning, pipeline=settings.opensearch_pipeline)
        self._vocabularies = Vocabularies(client, keep_s=tuning.vocabulary_s)
        self._known: dict[str, tuple[float, Generation]] = {}
        self._lock = threading.Lock()
        self._making = threading.Lock()

    @classmethod
    def open(cls, settings: OpenSearchSettings, *, tuning: Tuning = TUNING) -> Self:
        """An index that connects on first use. Raises ConfigurationError."""
        return cls(connect(settings, timeout_s=tuning.timeout_s), settings, tuning)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._bulk.close()
        self._client.close()

    def check(self) -> None:
        """Returns when the cluster answers. Raises Unavailable, Overloaded, Unauthenticated."""
        with translated():
            self._client.info()

    def audited(self) -> AbstractContextManager[OpenSearchAudit]:
        """Opens an audit with its own connections; see `AuditedIndex`."""
        return open_audit(self._settings)

    def write(self, documents: Sequence[Document]) -> list[Written]:
        """See `PhotoIndex.write`. Writes to the generation that the alias names at that moment.

        Refused documents are written once more when the alias has moved since.
        """
        generations = self._generations(documents)
        written = self._write(documents, generations)
        refused = [i for i, result in enumerate(written) if isinstance(result, InvalidArgument)]
        if refused:
            now = self._generations([documents[i] for i in refused], is_fresh=True)
            if any(generations[name].index != generation.index for name, generation in now.items()):
                again = self._write([documents[i] for i in refused], now)
                for i, result in zip(refused, again, strict=True):
                    written[i] = result
        for document, result in zip(documents, written, strict=True):
            if result is WriteStatus.STORED:
                self._count_one(document.collection)
        return written

    def _generations(self, documents: Sequence[Document], *, is_fresh: bool = False) -> dict[str, Generation]:
        """The generations of the documents' collections; read again when the cached one does not match a document."""
        found = {name: self._generation(name, is_fresh=is_fresh) for name in {document.collection for document in documents}}
        unexplained = {document.collection for document in documents if not found[document.collection].explains(document)}
        return found if is_fresh else {**found, **{name: self._generation(name, is_fresh=True) for name in unexplained}}

    def _write(self, documents: Sequence[Document], generations: dict[str, Generation]) -> list[Written]:
        spaces = {name: generation.names for name, generation in generations.items()}
        documents = [generations[document.collection].fitted(document) for document in documents]
        for document in documents:
            check_storable(document, spaces[document.collection])
        writes = [self._write_of(document, spaces[document.collection]) for document in documents]
        try:
            return self._bulk.write(writes)
        except NotFound:
            for collection in spaces:
                self._forget(collection)
                self._generation(collection)  # raises NotFound with the collection's name
            raise

    def refresh_origins(self, collection: str, origins: dict[str, Origin]) -> None:
        """See `PhotoIndex.refresh_origins`."""
        self._rewrite(collection, list(origins), lambda source: {"origin": origin_source(origins[source["photo_id"]])})

    def tagged(self, collection: str, space: str) -> Iterator[TaggedPhoto]:
        """See `PhotoIndex.tagged`. Reads what is searchable."""
        generation = self._generation(collection)
        return tagged.of_collection(self._client, generation, resolve_space(space, generation.spaces))

    def replace_tags(self, collection: str, changes: Sequence[TagChange]) -> int:
        """See `PhotoIndex.replace_tags`."""
        by_id = {change.photo_id: change for change in changes}

        def change_of(source: dict[str, Any]) -> dict[str, Any] | None:
            change = by_id[source["photo_id"]]
            if source["version"] != change.version:
                return None
            kept = {name: source[name] for name in ("title", "caption", "caption_is_generated")}
            return tags_source(change.tags, **kept)

        return self._rewrite(collection, list(by_id), change_of)

    def _rewrite(self, collection: str, photo_ids: Sequence[str], change: Change) -> int:
        generation = self._generation(collection)
        alias = alias_of(self._settings.opensearch_prefix, collection)
        return rewrite(
            self._client, self._bulk, generation, alias=alias, collection=collection, photo_ids=photo_ids, change=change
        )

    def origins(self, collection: str, *, within: str = "") -> Iterator[OriginState]:
        """See `PhotoIndex.origins`."""
        return states.of_collection(self._client, self._generation(collection), within)

    def states(self, collection: str, photo_ids: Sequence[str]) -> Sequence[OriginState]:
        """See `PhotoIndex.states`. Reads the latest writes, also before a refresh."""
        return states.of_photos(self._client, self._generation(collection), collection, photo_ids)

    def same_bytes(self, collection: str, sha256: str) -> Sequence[OriginState]:
        """See `PhotoIndex.same_bytes`."""
        return states.of_bytes(self._client, self._generation(collection), sha256)

    def search(self, query: IndexQuery) -> Matches:
        """See `PhotoIndex.search`. Sends one request, or two for facets with very many values on several shards."""

        def ask(generation: Generation) -> Matches:
            space = None
            if isinstance(query.clause, VectorClause):
                space = resolve_space(query.clause.space, generation.spaces)
                if query.clause.provenance != space.provenance:
                    raise ProvenanceMismatch(space.name, space.provenance, query.clause.provenance)
                check_vectors(query.clause.vector[None], (1, space.dimension), space.storage, field="vector")
            scanned = space.vectors_per_photo * generation.photos if space else 0
            planned = plan(query, space, scans=scanned <= self._settings.exact_vectors)
            answer = self._ask(generation, planned)
            if wider := counting_more(planned, answer):
                answer = self._ask(generation, wider)
            return read(planned, answer)

        return self._on_generation(query.collection, ask)

    def _ask(self, generation: Generation, planned: Plan) -> dict[str, Any] | None:
        if planned.body is None:
            return None
        # Weight words by their frequency in the whole collection, not in one shard.
        options = {"search_type": "dfs_query_then_fetch"} if isinstance(planned.query.clause, TextClause) else {}
        return search(self._client, generation.index, planned.body, **options)

    def vocabulary(self, collection: str) -> Vocabulary:
        """See `PhotoIndex.vocabulary`."""
        return self._on_generation(collection, lambda generation: self._vocabularies.of(generation.index))

    def get(self, collection: str, photo_id: str) -> Document:
        """See `PhotoIndex.get`. Reads the latest write, also before a refresh."""
        return document_of(self._source(collection, photo_id, exclude=UNREAD))

    def vector(self, collection: str, photo_id: str, space: str) -> Vectors:
        """See `PhotoIndex.vector`."""
        found = resolve_space(space, self._generation(collection).spaces)
        vectors = vectors_of(self._source(collection, photo_id, include=["photo_id", "deleted", field_of(found)]), found)
        if vectors is None:
            raise NotFound(f"photo {shown(photo_id)} of collection {shown(collection)} has no vectors of {found.name}")
        return vectors

    def get_whole(self, collection: str, photo_id: str) -> Document:
        """See `PhotoIndex.get_whole`; one request."""
        source = self._source(collection, photo_id, exclude=["words_*", "vocabulary"])
        held = {space.name: space for space in self._generation(collection).spaces}
        vectors = {name: rows for name, space in held.items() if (rows := vectors_of(source, space)) is not None}
        return replace(document_of(source), vectors=vectors, provenances={name: held[name].provenance for name in vectors})

    def spaces_of(self, collection: str, photo_id: str) -> Sequence[str]:
        """See `PhotoIndex.spaces_of`."""
        held = self._source(collection, photo_id, include=["deleted", "spaces"])["spaces"]
        return [space.name for space in self._generation(collection).spaces if space.name in held]

    def spaces(self, collection: str) -> Sequence[Space]:
        """See `PhotoIndex.spaces`."""
        return self._generation(collection).spaces

    def ensure_collection(
        self, collection: str, *, spaces: Sequence[Space], root: str = "", at_most: int = MAX_COLLECTIONS
    ) -> None:
        """See `IndexAdmin.ensure_collection`. An empty `root` leaves the collection's root as it is.

        Concurrent processes may each create one collection more than `at_most`.
        """
        check_collection(collection)
        try:
            generation = self._generation(collection, is_fresh=True)
        except NotFound:
            with self._making:
                if len(collection_names(self._client, self._settings.opensearch_prefix)) >= at_most:
                    raise more_than(at_most, collection) from None
                create(self._client, self._settings, self._tuning, collection=collection, spaces=spaces, root=root)
            generation = self._generation(collection, is_fresh=True)  # another process may have created it
        check_same_spaces(collection, generation.spaces, spaces)
        if root and root != generation.root:
            if generation.root or self._holds_anything(generation):
                raise other_root(collection, generation.root, root)
            with translated():
                self._client.indices.put_mapping(index=generation.index, body={"_meta": meta_of(generation.spaces, root=root)})
            self._forget(collection)

    def stats(self) -> Sequence[CollectionStats]:
        """See `IndexAdmin.stats`. `failed` is 0: this index stores no failures."""
        names = collection_names(self._client, self._settings.opensearch_prefix)
        return [stats_of(self._client, name, self._generation(name, is_fresh=True)) for name in names]

    def size_bytes(self) -> int:
        """See `IndexAdmin.size_bytes`. Counts every copy of every shard of the indices with this prefix."""
        with translated():
            stats = self._client.indices.stats(index=f"{alias_of(self._settings.opensearch_prefix, '')}*", metric="store")
        return int(stats["_all"]["total"].get("store", {}).get("size_in_bytes", 0))

    def _write_of(self, document: Document, spaces: dict[str, Space]) -> Write:
        alias = alias_of(self._settings.opensearch_prefix, document.collection)
        try:
            body = JSON.dumps(source_of(document, spaces))
            return Write(alias, id_of(document.collection, document.photo_id), document.version, body)
        except (SerializationError, UnicodeEncodeError) as exc:
            raise InvalidArgument(
                "document", f"a text of {shown(document.photo_id)} is no Unicode; remove the surrogate in it"
            ) from exc

    def _source(
        self, collection: str, photo_id: str, *, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, Any]:
        options: dict[str, Any] = {"_source_includes": include} if include else {"_source_excludes": exclude}
        missing = NotFound(f"photo {shown(photo_id)} is not in collection {shown(collection)}")

        def read_one(generation: Generation) -> dict[str, Any]:
            with translated():
                try:
                    hit = self._client.transport.perform_request(
                        "GET",
                        f"/{generation.index}/_doc/{id_of(collection, photo_id)}",
                        params={name: ",".join(fields) for name, fields in options.items()},
                    )
                except TransportError as exc:
                    if not is_closed_file(exc):
                        raise
                    hit = self._searched(generation, id_of(collection, photo_id), include or {"excludes": exclude})
                    if hit is None:
                        raise
            source: dict[str, Any] = hit["_source"]
            return source

        try:
            source = self._on_generation(collection, read_one)
        except NotFoundError as exc:
            raise missing from exc
        if source["deleted"]:
            raise missing
        return source

    def _searched(self, generation: Generation, document_id: str, source: object) -> dict[str, Any] | None:
        """Reads a document by a search, which opens vector files only for vectors in `source`; None when the search fails."""
        body = {"query": {"ids": {"values": [document_id]}}, "_source": source}
        try:
            hits = search(self._client, generation.index, body)["hits"]["hits"]
        except Unavailable:
            return None
        return dict(hits[0]) if hits else None

    def _holds_anything(self, generation: Generation) -> bool:
        with translated():
            self._client.indices.refresh(index=generation.index)
        return count(self._client, generation.index) > 0

    def _on_generation(self, collection: str, call: Callable[[Generation], T]) -> T:
        """Calls with the cached generation; again with the current one when the cached index does not exist."""
        try:
            return call(self._generation(collection))
        except NotFoundError as exc:
            if exc.error != "index_not_found_exception":
                raise
        return call(self._generation(collection, is_fresh=True))

    def _generation(self, collection: str, *, is_fresh: bool = False) -> Generation:
        with self._lock:
            known_at, known = self._known.get(collection, (float("-inf"), None))
        if known is not None and not is_fresh and time.monotonic() - known_at < _KNOWN_FOR_S:
            return known
        alias = alias_of(self._settings.opensearch_prefix, collection)
        try:
            with translated():
                indices = self._client.indices.get_mapping(index=alias)
        except NotFoundError as exc:
            self._forget(collection)
            raise NotFound(f"collection {shown(collection)} does not exist; index or publish some photos first") from exc
        if len(indices) != 1:
            raise Unavailable(
                f"alias {alias!r} names {', '.join(indices) or 'nothing'}; let it name one index, moved in one step"
            )
        [(index, description)] = indices.items()
        with translated():
            photos = int(self._client.count(index=index)["count"])  # without missing shards: it only selects a plan
        meta = description["mappings"].get("_meta", {})
        if meta.get("format") != FORMAT:
            raise FailedPrecondition(
                f"index {index} is none of this version's: its _meta has format {shown(meta.get('format'))}, not {FORMAT}; "
                f"let alias {alias} name another, or delete the index and index the photos anew"
            )
        found = Generation(index, meta["root"], spaces_of(meta), photos).after(known)
        with self._lock:
            self._known[collection] = (time.monotonic(), found)
        return found

    def _count_one(self, collection: str) -> None:
        """Adds one to the cached number of photos, so that it is not below the writes of this process until the next count."""
        with self._lock:
            if collection in self._known:
                known_at, known = self._known[collection]
                self._known[collection] = (known_at, replace(known, photos=known.photos + 1))

    def _forget(self, collection: str) -> None:
        with self._lock:
            self._known.pop(collection, None)
