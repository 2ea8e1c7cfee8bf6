"""Translates the messages of the search service: requests into checked questions, answers into responses."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from miradouro.core.document import Document, GeoPoint, Tag, TagKind, TakenAt
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, MAX_PHOTO_ID_BYTES, MAX_TAG_CHARS, check_collection
from miradouro.core.highlights import highlighted, searched_stems
from miradouro.core.page import Page
from miradouro.core.ports import CollectionStats
from miradouro.core.query import (
    DEFAULT_FACET_SIZE,
    DEFAULT_LIMIT,
    MAX_FACET_SIZE,
    MAX_LIMIT,
    MAX_RANKED,
    MAX_WORDS,
    Facet,
    FacetCounts,
    FacetField,
    Match,
    Order,
)
from miradouro.core.question import Answer, Everything, Example, Keywords, Like, Question, Text, offset_of
from miradouro.core.redaction import public_uri
from miradouro.core.region import check_region
from miradouro.core.spaces import Region
from miradouro.core.text import fold_tag
from miradouro.core.text_query import parse_text, unfinished_word
from miradouro.core.understood import TermOrigin, UnderstoodWord
from miradouro.query.filters import conditions_from
from miradouro.v1 import photo_event_pb2, search_service_pb2, searched_text_pb2

MAX_DISTANCE = 2.0  # between vectors of length 1
_TAG_KINDS = {
    TagKind.USER: search_service_pb2.TAG_KIND_USER,
    TagKind.LEARNED: search_service_pb2.TAG_KIND_LEARNED,
    TagKind.LABEL: search_service_pb2.TAG_KIND_LABEL,
    TagKind.PARENT: search_service_pb2.TAG_KIND_PARENT,
}
_TERM_ORIGINS = {
    TermOrigin.EXACT: searched_text_pb2.TERM_ORIGIN_EXACT,
    TermOrigin.INFLECTION: searched_text_pb2.TERM_ORIGIN_INFLECTION,
    TermOrigin.SYNONYM: searched_text_pb2.TERM_ORIGIN_SYNONYM,
    TermOrigin.PARENT: searched_text_pb2.TERM_ORIGIN_PARENT,
    TermOrigin.SPELLING: searched_text_pb2.TERM_ORIGIN_SPELLING,
    TermOrigin.COMPLETION: searched_text_pb2.TERM_ORIGIN_COMPLETION,
}
_ORDERS: dict[int, Order] = {
    search_service_pb2.SORT_ORDER_UNSPECIFIED: Order.RELEVANCE,
    search_service_pb2.SORT_ORDER_RELEVANCE: Order.RELEVANCE,
    search_service_pb2.SORT_ORDER_TAKEN: Order.TAKEN,
}
_FACET_FIELDS = {
    search_service_pb2.FACET_FIELD_TAG: FacetField.TAG,
    search_service_pb2.FACET_FIELD_OWNER: FacetField.OWNER,
    search_service_pb2.FACET_FIELD_YEAR: FacetField.YEAR,
    search_service_pb2.FACET_FIELD_CAMERA: FacetField.CAMERA,
}
_FACET_FIELDS_ON_THE_WIRE = {field: number for number, field in _FACET_FIELDS.items()}
_TAG_ORDER = {kind: place for place, kind in enumerate(_TAG_KINDS)}


def question_from(request: search_service_pb2.SearchRequest, *, read_page: Callable[[str], Page] = lambda _: 0) -> Question:
    """Returns the checked question; `read_page` decodes a page token.

    Raises InvalidArgument naming the field in the proto's spelling, the value and what is allowed.
    """
    collection = collection_from(request.collection)
    sought = _sought(request)
    conditions = conditions_from(request)  # before the page token, whose check reads the whole question
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"{limit:,}; allowed: 1 to {MAX_LIMIT:,}")
    max_distance = request.max_distance if request.HasField("max_distance") else None
    order = _order(request.sort)
    if isinstance(sought, Keywords | Text | Everything):
        for name, is_set in (("max_distance", max_distance is not None), ("space", bool(request.space)), ("more", request.more)):
            if is_set:
                raise InvalidArgument(name, f"it is set, but words have no {name}; leave it out, or ask by photo or like")
    elif max_distance is not None and not 0 <= max_distance <= MAX_DISTANCE:
        raise InvalidArgument("max_distance", f"{max_distance}; allowed: 0 to {MAX_DISTANCE:g}")
    elif order is Order.TAKEN and max_distance is None:
        raise InvalidArgument(
            "sort", "every photo has some distance, so all would be listed; set max_distance too, or ask without an example"
        )
    if request.more and isinstance(sought, Example | Like) and sought.region:
        raise InvalidArgument("more", "it is set, and so is a region; ask for more of the kind of whole photos")
    page = read_page(request.page_token)
    if offset_of(page) >= MAX_RANKED:
        raise InvalidArgument("page_token", f"answers can be paged up to hit {MAX_RANKED:,}; narrow the question with filters")
    return Question(
        collection=collection,
        sought=sought,
        conditions=conditions,
        space=request.space,
        limit=limit,
        page=page,
        max_distance=max_distance,
        exact=request.exact,
        order=order,
        facets=_facets(request.facets),
        more=request.more,
    )


def question_bytes(request: search_service_pb2.SearchRequest) -> bytes:
    """Returns the bytes that are equal for the pages of one answer: the request without page token, limit and facets."""
    question = search_service_pb2.SearchRequest()
    question.CopyFrom(request)
    question.collection = request.collection or DEFAULT_COLLECTION
    question.ClearField("page_token")
    question.ClearField("limit")
    question.ClearField("facets")
    return question.SerializeToString(deterministic=True)


def collection_from(name: str) -> str:
    """Returns the collection of a request. Raises InvalidArgument."""
    return check_collection(name or DEFAULT_COLLECTION)


def photo_id_from(photo_id: str, *, field: str) -> str:
    """Returns the photo id of a request. Raises InvalidArgument."""
    size = len(photo_id.encode())
    if not 1 <= size <= MAX_PHOTO_ID_BYTES:
        raise InvalidArgument(field, f"{size:,} bytes; allowed: 1 to {MAX_PHOTO_ID_BYTES:,}")
    return photo_id


def _sought(request: search_service_pb2.SearchRequest) -> Keywords | Text | Everything | Example | Like:
    match request.WhichOneof("query"):
        case "keyword":
            return Keywords(_words(request.keyword.words))
        case "text":
            text = request.text.text
            return Text(parse_text(text, field="text.text"), unfinished_word(text), request.text.is_typing)
        case "photo":
            return Example(request.photo.data, _region_from(request.photo, "photo.region"))
        case "like":
            region = _region_from(request.like, "like.region")
            return Like(photo_id_from(request.like.photo_id, field="like.photo_id"), region)
        case "everything":
            return Everything()
        case _:
            raise InvalidArgument("query", "it is missing; allowed: one of keyword, text, photo, like, everything")


def _region_from(message: search_service_pb2.ExampleQuery | search_service_pb2.LikeQuery, field: str) -> Region | None:
    if not message.HasField("region"):
        return None
    box = message.region
    return check_region(Region(box.x, box.y, box.width, box.height), field=field)


def _order(sort: int) -> Order:
    if sort not in _ORDERS:  # a later version's
        raise InvalidArgument("sort", f"{sort} is no order of this version; allowed: SORT_ORDER_RELEVANCE, SORT_ORDER_TAKEN")
    return _ORDERS[sort]


def _facets(asked: Sequence[search_service_pb2.Facet]) -> tuple[Facet, ...]:
    facets: dict[FacetField, Facet] = {}
    for number, one in enumerate(asked):
        if one.field not in _FACET_FIELDS:
            raise InvalidArgument(
                f"facets[{number}].field", f"{one.field} is no field to count; allowed: tag, owner, year, camera"
            )
        size = one.size if one.HasField("size") else DEFAULT_FACET_SIZE
        if not 1 <= size <= MAX_FACET_SIZE:
            raise InvalidArgument(f"facets[{number}].size", f"{size:,}; allowed: 1 to {MAX_FACET_SIZE:,}")
        field = _FACET_FIELDS[one.field]
        if field in facets:
            raise InvalidArgument(f"facets[{number}].field", f"{field.value} is asked twice; ask once")
        facets[field] = Facet(field, size)
    return tuple(facets.values())


def _words(words: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(words) <= MAX_WORDS:
        raise InvalidArgument("keyword.words", f"{len(words):,} words; allowed: 1 to {MAX_WORDS}")
    for word in words:
        if len(word) > MAX_TAG_CHARS or not fold_tag(word):
            raise InvalidArgument(
                "keyword.words",
                f"{shown(word)} has {len(word):,} characters; allowed: 1 to {MAX_TAG_CHARS}, not all of them white space",
            )
    return tuple(words)


def response_of(answer: Answer, *, took_ms: float, next_page_token: str) -> search_service_pb2.SearchResponse:
    """Returns the answer as a message; `took_ms` in milliseconds."""
    matches = answer.matches
    stems = searched_stems(answer.understood) if answer.is_text else frozenset()
    return search_service_pb2.SearchResponse(
        hits=[_hit(match, answer.space, stems) for match in matches.matches],
        total=matches.total,
        total_is_exact=matches.total_is_exact,
        truncated=matches.truncated,
        exact=matches.exact,
        took_ms=took_ms,
        next_page_token=next_page_token,
        facets=map(_facet_counts, matches.facets),
        mixed_in=answer.mixed_in,
        whole_photos=answer.whole_photos,
        understood=map(_understood, answer.understood),
    )


def _understood(word: UnderstoodWord) -> searched_text_pb2.UnderstoodWord:
    return searched_text_pb2.UnderstoodWord(
        word=word.word,
        terms=[
            searched_text_pb2.SearchedTerm(text=term.text, origin=_TERM_ORIGINS[term.origin], weight=term.weight)
            for term in word.terms
        ],
    )


def _facet_counts(counts: FacetCounts) -> search_service_pb2.FacetCounts:
    return search_service_pb2.FacetCounts(
        field=_FACET_FIELDS_ON_THE_WIRE[counts.field],
        counts=[search_service_pb2.FacetCount(value=one.value, photos=one.photos) for one in counts.counts],
        values=counts.values,
    )


def _hit(match: Match, space: str, stems: frozenset[str]) -> search_service_pb2.Hit:
    document = match.document
    assert document is not None, "the plan asks for documents"
    return search_service_pb2.Hit(
        photo_id=match.photo_id,
        uri=public_uri(document.uri),
        score=match.score,
        distance=match.distance,
        space=space,
        tags=_tags(document.tags),
        caption=document.caption,
        caption_is_generated=document.caption_is_generated,
        region=None if match.region is None else _region(match.region),
        title=document.title,
        taken_at=None if document.taken_at is None else _taken_at(document.taken_at),
        title_parts=_parts(document.title, stems),
        caption_parts=_parts(document.caption, stems),
    )


def _parts(text: str, stems: frozenset[str]) -> Iterator[searched_text_pb2.TextPart]:
    if stems:
        for part in highlighted(text, stems):
            yield searched_text_pb2.TextPart(text=part.text, is_match=part.is_match)


def photo_of(document: Document, *, spaces: Iterable[str]) -> search_service_pb2.Photo:
    """Returns the stored document as a message; `spaces` are the names of the spaces with vectors of the photo."""
    return search_service_pb2.Photo(
        collection=document.collection,
        photo_id=document.photo_id,
        version=document.version,
        uri=public_uri(document.uri),
        media_type=document.media_type,
        sha256=document.sha256,
        perceptual_hash=document.perceptual_hash,
        width=document.width,
        height=document.height,
        title=document.title,
        caption=document.caption,
        caption_is_generated=document.caption_is_generated,
        tags=_tags(document.tags),
        owner=document.owner,
        attributes=document.attributes,
        place=None if document.place is None else _place(document.place),
        taken_at=None if document.taken_at is None else _taken_at(document.taken_at),
        spaces=spaces,
    )


def stats_of(collections: Iterable[CollectionStats], *, size_bytes: int) -> search_service_pb2.StatsResponse:
    """Returns the sizes of all collections; `size_bytes` is the size of the whole store."""
    return search_service_pb2.StatsResponse(
        collections=[
            search_service_pb2.CollectionStats(
                name=one.name,
                root=one.root,
                photos=one.photos,
                deleted=one.deleted,
                failed=one.failed,
                preset=one.preset or "",
                spaces=[
                    search_service_pb2.SpaceStats(
                        name=space.name, dimension=space.dimension, provenance=space.provenance, vectors=space.vectors
                    )
                    for space in one.spaces
                ],
            )
            for one in collections
        ],
        bytes=size_bytes,
    )


def _tags(tags: Iterable[Tag]) -> list[search_service_pb2.Tag]:
    """Tags of people first, then labels by probability, then parents."""
    ordered = sorted(tags, key=lambda tag: (_TAG_ORDER[tag.kind], -tag.score, tag.label))
    return [search_service_pb2.Tag(label=tag.label, score=tag.score, kind=_TAG_KINDS[tag.kind]) for tag in ordered]


def _region(region: Region) -> photo_event_pb2.Region:
    return photo_event_pb2.Region(x=region.x, y=region.y, width=region.width, height=region.height)


def _place(place: GeoPoint) -> photo_event_pb2.GeoPoint:
    return photo_event_pb2.GeoPoint(latitude=place.latitude, longitude=place.longitude)


def _taken_at(taken_at: TakenAt) -> photo_event_pb2.TakenAt:
    instant = Timestamp()
    instant.FromDatetime(taken_at.instant)
    return photo_event_pb2.TakenAt(instant=instant, utc_offset_minutes=taken_at.utc_offset_minutes)
