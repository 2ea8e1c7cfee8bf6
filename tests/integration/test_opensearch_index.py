"""What only the OpenSearch index does: graphs beyond its exact size, bulk requests in parts, and a cluster that is not there."""

import itertools
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.client import connect
from miradouro.core.codes import stored_form
from miradouro.core.errors import ConfigurationError, FailedPrecondition, Unavailable
from miradouro.core.ports import WriteStatus
from miradouro.core.query import (
    AttributeIn,
    Clause,
    EverythingClause,
    Facet,
    FacetField,
    IndexQuery,
    KeywordClause,
    OwnerIs,
    TextClause,
    VectorClause,
)

from tests.photo_documents import COLLECTION, PARTS, SPACES, WHOLE, asked, label, photo, tombstone, unit

PHOTOS = 400
SMALL_PARTS = Tuning(refresh="true", bulk_bytes=64 * 1024, timeout_s=60)  # for a loaded machine


@pytest.fixture
def settings(opensearch: str) -> Iterator[OpenSearchSettings]:
    prefix = f"t{uuid.uuid4().hex}"
    made = OpenSearchSettings(
        opensearch_url=opensearch,
        opensearch_prefix=prefix,
        exact_vectors=0,
    )
    yield made
    client = connect(made)
    client.indices.delete(index=f"{prefix}.*")
    client.close()


def test_graphs_find_the_nearest_and_report_inexactness(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        documents = [photo(f"{i:03}.jpg", attributes={"third": str(i % 3)}, owner=f"o{i % 2}") for i in range(PHOTOS)]
        index.write([*documents, tombstone("gone.jpg", 1)])
        for space in SPACES:
            vector = asked(0, space)
            for conditions, passing in (((), PHOTOS), ((AttributeIn("third", ("1",)),), len(range(1, PHOTOS, 3)))):
                answers = []
                for exact in (False, True):
                    clause = VectorClause(space.name, space.provenance, vector, exact=exact)
                    query = IndexQuery(COLLECTION, clause, conditions, limit=10, facets=(Facet(FacetField.OWNER),))
                    answers.append(index.search(query))
                graphs, exactly = answers
                assert (graphs.exact, exactly.exact) == (False, True)
                assert graphs.total == exactly.total == passing
                assert graphs.facets == exactly.facets
                found = {match.photo_id for match in graphs.matches}
                assert len(found & {match.photo_id for match in exactly.matches}) >= 9
                assert [match.region for match in exactly.matches if match.photo_id in found] == [
                    match.region for match in graphs.matches if match.photo_id in {one.photo_id for one in exactly.matches}
                ]


def test_a_radius_by_graphs_reports_an_inexact_count(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i:03}.jpg") for i in range(PHOTOS)])
        clause = VectorClause(WHOLE.name, WHOLE.provenance, asked(0, WHOLE), 1.2)
        answer = index.search(IndexQuery(COLLECTION, clause, limit=1_000))
        assert 0 < len(answer.matches) == answer.total < PHOTOS
        assert all(match.distance is not None and match.distance <= 1.2 for match in answer.matches)
        assert (answer.exact, answer.total_is_exact) == (False, False)


def test_a_radius_on_several_shards_pages_completely(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings.model_copy(update={"opensearch_shards": 3}), tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i:03}.jpg") for i in range(PHOTOS)])
        for space in (WHOLE, PARTS):
            [vector] = stored_form(unit("asked", 1, space.dimension), space)
            clause = VectorClause(space.name, space.provenance, vector, 1.25)
            exactly = index.search(IndexQuery(COLLECTION, replace(clause, exact=True), limit=1_000))
            assert (exactly.exact, exactly.total_is_exact) == (True, True)
            pages = [
                index.search(IndexQuery(COLLECTION, clause, limit=10, offset=start)) for start in range(0, exactly.total, 10)
            ]
            assert {(page.exact, page.total_is_exact, page.truncated) for page in pages} == {(False, False, False)}
            found = [match.photo_id for page in pages for match in page.matches]
            assert len(set(found)) == len(found) == pages[0].total
            # How complete a radius by graph is depends on the segments that OpenSearch happens to make: 40 of 53 were seen.
            assert len(set(found) & {match.photo_id for match in exactly.matches}) >= 0.7 * exactly.total > 7


def test_facets_find_values_rare_in_every_shard(settings: OpenSearchSettings) -> None:
    """600 owners of one photo each, and one of three, the last by name: no shard returns it among its first."""
    with OpenSearchIndex.open(settings.model_copy(update={"opensearch_shards": 3}), tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        owners = [*(f"o{i:03}" for i in range(600)), *["zoe"] * 3]
        index.write([photo(f"{owner}/{i}.jpg", vectors={}, owner=owner) for i, owner in enumerate(owners)])
        for clause in (EverythingClause(), VectorClause(WHOLE.name, WHOLE.provenance, unit(0, 1, 32)[0])):
            wanted = 603 if isinstance(clause, EverythingClause) else 0
            answer = index.search(IndexQuery(COLLECTION, clause, limit=1, facets=(Facet(FacetField.OWNER, 1),)))
            assert answer.total == wanted
            [facet] = answer.facets
            assert [(one.value, one.photos) for one in facet.counts] == ([("zoe", 3)] if wanted else [])
            assert facet.values == (601 if wanted else 0)


def test_an_oversized_batch_is_split_and_stored_ordered(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        batch = [photo(f"{i}.jpg", version, caption="x" * 8_000) for version in (1, 2) for i in range(40)]
        assert index.write(batch) == [WriteStatus.STORED] * 80
        assert index.write(batch) == [WriteStatus.STALE] * 80
        assert index.stats()[0].photos == 40


def test_an_unreachable_cluster_is_retriable_naming_the_setting() -> None:
    settings = OpenSearchSettings(opensearch_url="http://127.0.0.1:9")
    with OpenSearchIndex.open(settings, tuning=Tuning(timeout_s=1)) as index:
        with pytest.raises(Unavailable, match="MIRADOURO_OPENSEARCH_URL") as caught:
            index.write([photo("a.jpg")])
        assert caught.value.retriable
        with pytest.raises(Unavailable):
            index.check()


def test_a_question_is_one_request(settings: OpenSearchSettings, caplog: pytest.LogCaptureFixture) -> None:
    clauses: list[Clause] = [EverythingClause(), KeywordClause(("word",)), TextClause(("word",), (), ())]
    for space, radius, exact in itertools.product(SPACES, (None, 1.99), (False, True)):
        clauses.append(VectorClause(space.name, space.provenance, asked(0, space), radius, exact=exact))
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index, caplog.at_level("INFO", logger="opensearch"):
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i}.jpg", caption="word", tags=(label("word", 0.5),)) for i in range(20)])
        for clause in clauses:
            facets = tuple(Facet(field) for field in FacetField)
            query = IndexQuery(COLLECTION, clause, (OwnerIs(""),), limit=5, facets=facets)
            index.spaces(COLLECTION)  # which are asked for every few seconds, whatever else is
            caplog.clear()
            assert len(index.search(query).matches) == 5
            assert len([message for message in caplog.messages if "_search" in message]) == len(caplog.messages) == 1, clause


@contextmanager
def proxy(status: int, media_type: str, page: bytes) -> Iterator[OpenSearchIndex]:
    """An index behind something that answers every request alike."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(page)

        do_PUT = do_POST = do_GET  # noqa: N815 # named so by http.server

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with OpenSearchIndex.open(OpenSearchSettings(opensearch_url=f"http://127.0.0.1:{server.server_port}")) as index:
                yield index
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "media_type", "page"),
    [
        (200, "text/html", b"<html>Back soon</html>"),
        (404, "text/html", b"<html>No such page</html>"),
        (200, "application/json", b"{"),
    ],
)
def test_a_proxys_error_page_is_retriable(status: int, media_type: str, page: bytes) -> None:
    with proxy(status, media_type, page) as index:
        for ask in (
            index.check,
            lambda: index.spaces(COLLECTION),
            lambda: index.ensure_collection(COLLECTION, spaces=SPACES),
            lambda: index.write([photo("a.jpg")]),
            lambda: index.search(IndexQuery(COLLECTION, EverythingClause())),
            index.stats,
        ):
            with pytest.raises(Unavailable, match="MIRADOURO_OPENSEARCH_URL"):
                ask()


def test_a_proxys_size_limit_is_named_in_errors() -> None:
    with (
        proxy(413, "text/html", b"<html>Too large</html>") as index,
        pytest.raises(FailedPrecondition, match=r"413.*allow 8 MiB and more"),
    ):
        index.write([photo("a.jpg")])


def test_a_password_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConfigurationError, match="MIRADOURO_OPENSEARCH_PASSWORD_FILE"):
        OpenSearchIndex.open(OpenSearchSettings(opensearch_username="ana", opensearch_password_file="/nowhere/word"))


def test_floats_keep_thirty_two_bits_and_codes_eight(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        document = photo("a.jpg")
        index.write([document])
        for space in SPACES:
            np.testing.assert_array_equal(index.vector(COLLECTION, "a.jpg", space.name), document.vectors[space.name])


def test_vectors_can_be_read_after_an_audit(settings: OpenSearchSettings) -> None:
    with OpenSearchIndex.open(settings, tuning=SMALL_PARTS) as index, index.audited() as audited:
        index.ensure_collection(COLLECTION, spaces=(WHOLE,))
        names = [f"{i}.jpg" for i in range(20)]
        for start in range(0, 20, 5):
            index.write([photo(name, spaces=(WHOLE,)) for name in names[start : start + 5]])
        assert list(audited.collections()) == [COLLECTION]
        assert sorted(found.photo_id for found in audited.documents(COLLECTION)) == sorted(names)
        assert all(WHOLE.name in index.get_whole(COLLECTION, name).vectors for name in names)
