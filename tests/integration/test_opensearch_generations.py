"""Rebuilding a collection: a second physical index beside the live one, to which the alias moves."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from miradouro.adapters.opensearch import OpenSearchSettings
from miradouro.adapters.opensearch.mapping import index_body
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound, ProvenanceMismatch, Unavailable
from miradouro.core.ports import WriteStatus
from miradouro.core.query import EverythingClause, IndexQuery, VectorClause
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_STORED
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED
from miradouro.v1.photo_event_pb2 import PhotoEvent as PhotoEventMessage
from opensearchpy import OpenSearch as Client

from tests.e2e.many_machines import eventually
from tests.ingest_fixture import open_ingest
from tests.opensearch_collection import opened
from tests.photo_documents import COLLECTION, SPACES, WHOLE, photo, unit
from tests.pictures import jpeg

STORED = WriteStatus.STORED


OTHER = replace(WHOLE, provenance="f" * 64)


def move(client: Client, alias: str, *, spaces: tuple[Any, ...] = SPACES, number: int = 2) -> None:
    settings = OpenSearchSettings()
    client.indices.create(index=f"{alias}.00000{number}", body=index_body(spaces, root="", settings=settings))
    remove, add = (
        {verb: {"index": f"{alias}.00000{n}", "alias": alias}} for verb, n in (("remove", number - 1), ("add", number))
    )
    client.indices.update_aliases(body={"actions": [remove, add]})


def test_writes_and_queries_follow_the_alias(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("old.jpg")])
        move(client, alias)
        assert index.write([photo("new.jpg")]) == [STORED], "at once, though the index remembers the first generation"
        assert client.count(index=f"{alias}.000002")["count"] == 1
        client.indices.delete(index=f"{alias}.000001")
        answer = index.search(IndexQuery(COLLECTION, EverythingClause()))
        assert [match.photo_id for match in answer.matches] == ["new.jpg"]
        assert index.get(COLLECTION, "new.jpg").version == 1
        with pytest.raises(NotFound):
            index.get(COLLECTION, "old.jpg")


def test_photos_wait_while_the_alias_is_unusable(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.ensure_collection("other", spaces=SPACES)
        both = [photo("a.jpg"), photo("b.jpg", collection="other")]
        client.indices.close(index=alias)
        with pytest.raises(Unavailable, match="closed"):
            index.write(both)
        with pytest.raises(Unavailable, match="closed"):
            index.search(IndexQuery(COLLECTION, EverythingClause()))
        client.indices.open(index=alias)
        second = f"{alias}.000002"
        client.indices.create(index=second, body=index_body(SPACES, root="", settings=OpenSearchSettings()))
        client.indices.put_alias(index=second, name=alias)
        with pytest.raises(Unavailable, match="in one step"):
            index.write(both)
        client.indices.delete_alias(index=f"{alias}.000001", name=alias)
        assert index.write([photo("a.jpg")]) == [STORED]
        assert client.count(index=second)["count"] == 1


@pytest.mark.parametrize("meta", [{}, {"_meta": {}}, {"_meta": {"format": 1, "root": "", "spaces": []}}])
def test_a_foreign_index_is_refused_without_photo_failures(opensearch: str, tmp_path: Path, meta: dict[str, Any]) -> None:
    with opened(opensearch) as (index, client, alias), open_ingest(tmp_path, index=index) as ingest:
        foreign = f"{alias}.000002"
        client.indices.create(index=foreign, body={"mappings": meta})
        actions = [{verb: {"index": f"{alias}.00000{n}", "alias": alias}} for verb, n in (("remove", 1), ("add", 2))]
        client.indices.update_aliases(body={"actions": actions})
        uploaded = PhotoEventMessage(event_id="1", kind=PHOTO_EVENT_KIND_UPLOADED, photo_id="a.jpg", version=1, data=jpeg())
        with pytest.raises(FailedPrecondition, match=rf"{foreign} is none of this version's"):
            ingest.put(uploaded)
        assert ingest.failures() == {}
        assert client.count(index=foreign)["count"] == 0


def test_vectors_never_enter_a_differently_made_generation(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("old.jpg")])
        move(client, alias, spaces=(OTHER, *SPACES[1:]))
        with pytest.raises(ProvenanceMismatch, match="f" * 64):
            index.write([photo("new.jpg"), photo("second.jpg")])
        client.indices.refresh(index=f"{alias}.000002")
        assert client.count(index=f"{alias}.000002")["count"] == 0
        renewed = photo("new.jpg", provenances={space.name: space.provenance for space in SPACES} | {WHOLE.name: "f" * 64})
        assert index.write([renewed]) == [STORED]
        with pytest.raises(ProvenanceMismatch):
            index.search(IndexQuery(COLLECTION, VectorClause(WHOLE.name, WHOLE.provenance, unit(1, 1, 32)[0])))


def test_a_running_service_follows_generations_with_other_spaces(opensearch: str, tmp_path: Path) -> None:
    with (
        opened(opensearch, spaces=(), collection="other") as (index, client, other),
        open_ingest(tmp_path, index=index) as ingest,
    ):
        alias = f"{other.partition('.')[0]}.{COLLECTION}"

        def put(photo_id: str) -> Sequence[str]:
            message = PhotoEventMessage(
                event_id=photo_id,
                kind=PHOTO_EVENT_KIND_UPLOADED,
                photo_id=photo_id,
                collection=COLLECTION,
                version=1,
                data=jpeg(60, 40),
            )
            [result] = ingest.put(message).results
            assert (result.status, result.message) == (EVENT_STATUS_STORED, "")
            document_id = hashlib.sha256(f"{COLLECTION}/{photo_id}".encode()).hexdigest()
            return client.get(index=alias, id=document_id)["_source"]["spaces"]

        first = put("first.jpg")
        offered = [space for bundle in ingest.embedder.describe() for space in bundle.spaces]
        few = tuple(space for space in offered if space.name in first[1:])
        move(client, alias, spaces=few)
        assert put("second.jpg") == first[1:], "at once, though both the service and the index remember the space"
        eventually("the index knows the generation", lambda: index.spaces(COLLECTION) == few)
        assert put("third.jpg") == first[1:]
        move(client, alias, spaces=tuple(offered), number=3)
        counted = iter(range(1_000))
        eventually("photos get vectors of every space", lambda: put(f"{next(counted)}.jpg") == first)
        assert not ingest.failures()


def test_vectors_of_removed_spaces_are_left_out(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        move(client, alias, spaces=SPACES[1:])
        assert index.write([photo("known.jpg")]) == [STORED]
        assert index.spaces_of(COLLECTION, "known.jpg") == [space.name for space in SPACES[1:]]
        strange = replace(WHOLE, layer="strange")
        with pytest.raises(InvalidArgument, match="strange"):
            index.write([photo("strange.jpg", spaces=(strange,))])


def test_a_write_does_not_recreate_a_deleted_collection(opensearch: str) -> None:
    with opened(opensearch) as (index, client, alias):
        index.write([photo("a.jpg")])
        client.indices.delete(index=f"{alias}.000001")
        with pytest.raises(NotFound, match="'photos'"):
            index.write([photo("b.jpg")])
        assert not client.indices.exists(index=f"{alias}*", params={"allow_no_indices": "false"})
        index.ensure_collection(COLLECTION, spaces=SPACES)
        assert index.write([photo("b.jpg")]) == [STORED]
