"""Forty queries, ten of each kind, sent to both engines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.development.demo.agreement import Agreement, Ranked, keywords_agree, texts_agree, vectors_agree
from miradouro.development.demo.story import COLLECTION, picture
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.photo_event_pb2 import Region

OF_EACH_KIND = 10
_EVERY = 1_000
_TEXTS = (
    "cat",
    "orange",
    '"space suit"',
    "cat -mug",
    "night",
    '"from above"',
    "photographer",
    "stone arches",
    "wooden table lake",
    "changed on the way",
)
_REGIONS = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0), (0.0, 0.0, 1.0, 0.5), (0.25, 0.25, 0.5, 0.5), (0.0, 0.5, 1.0, 0.5))
Search = Callable[[pb.SearchRequest], pb.SearchResponse]
_AGREE: dict[str, Callable[[Sequence[Ranked], Sequence[Ranked]], Agreement]] = {
    "keyword": keywords_agree,
    "text": texts_agree,
    "photo": vectors_agree,
    "region": vectors_agree,
}


@dataclass(frozen=True)
class Asked:
    """A query and the comparison of its answers."""

    kind: str
    question: str
    agreement: Agreement


def ask_both(many_machines: Search, embedded: Search, folder: Path) -> Iterator[Asked]:
    """Sends every query to both engines and yields the comparison."""
    for kind, question, request in _questions(embedded, folder):
        request.collection, request.limit = COLLECTION, _EVERY
        found, reference = many_machines(request), embedded(request)
        agreement = _AGREE[kind](_ranked(found), _ranked(reference))
        if agreement.holds and found.total != reference.total:
            agreement = Agreement(False, f"{found.total} photos in all, expected {reference.total}")
        yield Asked(kind, question, agreement)


def _questions(embedded: Search, folder: Path) -> Iterator[tuple[str, str, pb.SearchRequest]]:
    for tag in _commonest_tags(embedded):
        yield "keyword", tag, pb.SearchRequest(keyword=pb.KeywordQuery(words=[tag]))
    for text in _TEXTS:
        yield "text", text, pb.SearchRequest(text=pb.TextQuery(text=text))
    photos = sorted(path for path in folder.iterdir() if path.suffix in {".jpg", ".png"})[:OF_EACH_KIND]
    for path in photos:
        middle = pb.ExampleQuery(data=picture(path, (0.1, 0.1, 0.9, 0.9)))
        yield "photo", f"the middle of {path.name}", pb.SearchRequest(photo=middle, exact=True)
    for i, path in enumerate(photos):
        x, y, width, height = _REGIONS[i % len(_REGIONS)]
        part = pb.ExampleQuery(data=picture(path), region=Region(x=x, y=y, width=width, height=height))
        yield "region", f"{path.name} at {x:g},{y:g},{width:g},{height:g}", pb.SearchRequest(photo=part, exact=True)


def _commonest_tags(embedded: Search) -> list[str]:
    facet = pb.Facet(field=pb.FACET_FIELD_TAG, size=OF_EACH_KIND)
    answer = embedded(pb.SearchRequest(collection=COLLECTION, everything=pb.EverythingQuery(), facets=[facet]))
    return [count.value for count in answer.facets[0].counts]


def _ranked(answer: pb.SearchResponse) -> list[Ranked]:
    return [Ranked(hit.photo_id, hit.score, hit.distance if hit.HasField("distance") else 0.0) for hit in answer.hits]
