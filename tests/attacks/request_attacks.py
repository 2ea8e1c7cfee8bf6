"""Attacks by requests: large, deep, wrong or many."""

import json
from pathlib import Path

import grpc
from miradouro.v1.ingest_service_pb2 import ListFailuresRequest, PutEventsRequest
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from miradouro.v1.search_service_pb2 import Filter, KeywordQuery, NotFilter, SearchRequest

from tests.attacks.attacker import Attacker
from tests.attacks.photo_attacks import PUT_EVENTS

_SEARCH = "/miradouro.v1.SearchService/Search"
_FAILURES = "/miradouro.v1.IngestService/ListFailures"
_HTTP_SEARCH = "/v1/search"
_LARGE = 31 * 2**20
_FLOOD = 32 * 2**20


def health_floods(attacker: Attacker) -> None:
    """Health/Check on the main port without a token: 33 MiB plain, and as much in 33 kB of gzip."""
    message = _field(1, bytes(_FLOOD))
    with attacker.channel() as channel:
        while attacker.goes_on():
            for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
                attacker.call(channel, "/grpc.health.v1.Health/Check", message, token=False, compression=compression)


def huge_values(attacker: Attacker) -> None:
    """Wrong values of 31 MB, which an error could repeat."""
    text, message = _huge_json(), _huge_message()
    with attacker.channel() as channel:
        while attacker.goes_on():
            attacker.json(_HTTP_SEARCH, text)
            attacker.http("GET", f"/v1/stats?{'x' * 15_000}=1")
            attacker.call(channel, _SEARCH, message)


def json_brackets(attacker: Attacker) -> None:
    """31 MB of `[],`, and brackets that nest 100,000 deep."""
    brackets = _brackets()
    while attacker.goes_on():
        attacker.json(_HTTP_SEARCH, brackets)
        attacker.json(_HTTP_SEARCH, b'{"filters": ' + b"[" * 100_000)


def filter_floods(attacker: Attacker) -> None:
    """4,096 conditions in 20 kB, 32,768 in nested negations, and 31 MB of them."""
    messages, text = _filter_messages(), _filter_json()
    with attacker.channel() as channel:
        while attacker.goes_on():
            for message in messages:
                attacker.call(channel, _SEARCH, message)
            attacker.json(_HTTP_SEARCH, text)


def error_floods(attacker: Attacker) -> None:
    """Broken photos with 1 MB of no time in their sidecars, in a watched folder; events that are wrong in their largest field."""
    folder = Path(attacker.target.watched) / attacker.source
    folder.mkdir(exist_ok=True)
    for number in range(5):
        (folder / f"{number}.json").write_text(json.dumps({"taken_at": "x" * 1_000_000}))
        (folder / f"{number}.jpg").write_bytes(b"no photo")
    wrong = _wrong_events()
    with attacker.channel() as channel:
        while attacker.goes_on():
            attacker.call(channel, PUT_EVENTS, wrong)
            attacker.call(channel, _FAILURES, ListFailuresRequest(page_size=1_000).SerializeToString())
            attacker.http("GET", "/v1/failures?page_size=1000")


def page_token_floods(attacker: Attacker) -> None:
    """Tokens that are nested, large, or unsigned."""
    large = _field(ListFailuresRequest.PAGE_TOKEN_FIELD_NUMBER, b"[" * _LARGE)
    search = _QUESTION + _field(SearchRequest.PAGE_TOKEN_FIELD_NUMBER, b"A" * _LARGE)
    with attacker.channel() as channel:
        while attacker.goes_on():
            for token in ("[" * 10_000, "%5B" * 4_000, "A" * 10_000, '["a",1]', "%00"):
                attacker.http("GET", f"/v1/failures?page_token={token}".replace('"', "%22"))
            attacker.call(channel, _FAILURES, large)
            attacker.call(channel, _SEARCH, search)


def _huge_json() -> bytes:
    return b'{"limit": "' + b"9" * _LARGE + b'"}'


def _huge_message() -> bytes:
    word = _field(KeywordQuery.WORDS_FIELD_NUMBER, b"x" * _LARGE)
    return _field(SearchRequest.KEYWORD_FIELD_NUMBER, word)


def _brackets() -> bytes:
    return b'{"filters": [' + b"[]," * (_LARGE // 3) + b"[]]}"


def _filter_messages() -> list[bytes]:
    """Each is a question by keyword with too many conditions: side by side, in negations of negations, and 31 MB of them."""
    nested = Filter(tag="a")
    for _ in range(5):
        outer = Filter()
        getattr(outer, "not").CopyFrom(NotFilter(filters=[nested] * 8))
        nested = outer
    one, deep = (_field(SearchRequest.FILTERS_FIELD_NUMBER, each.SerializeToString()) for each in (Filter(tag="a"), nested))
    return [_QUESTION + one * 4_096, _QUESTION + deep, _QUESTION + one * (_LARGE // len(one))]


def _filter_json() -> bytes:
    one = b'{"tag":"a"}'
    return b'{"keyword": {"words": ["a"]}, "filters": [' + b",".join([one] * (_LARGE // len(one) // 2)) + b"]}"


def _wrong_events() -> bytes:
    """Each is wrong in another field, by a megabyte."""
    large = "x" * 2**20
    right = {"event_id": "1", "kind": PHOTO_EVENT_KIND_UPLOADED, "photo_id": "a", "version": 1, "uri": "file:///a"}
    fields = ("event_id", "collection", "photo_id", "uri", "sha256", "title", "caption", "owner", "media_type")
    return PutEventsRequest(events=[PhotoEvent(**{**right, name: large}) for name in fields]).SerializeToString()


def _field(number: int, data: bytes) -> bytes:
    """A field of a message as protobuf writes it: text, bytes or a message within."""
    size, prefix = len(data), bytearray([number << 3 | 2])
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + data


_QUESTION = SearchRequest(keyword=KeywordQuery(words=["a"])).SerializeToString()
