"""The search service's messages: requests checked and read as questions, answers written."""

from collections.abc import Callable, Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from miradouro.core.document import Document, Place, Tag, TagKind, TakenAt
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, MAX_PHOTO_ID_BYTES, MAX_TAG_CHARS, check_collection
from miradouro.core.ports import CollectionStats
from miradouro.core.query import DEFAULT_LIMIT, MAX_LIMIT, MAX_RANKED, MAX_WORDS, Match
from miradouro.core.question import Answer, Example, Keywords, Like, Question, Text
from miradouro.core.spaces import Region
from miradouro.core.text import fold_tag
from miradouro.core.text_query import parse_text
from miradouro.query.filters import conditions_from
from miradouro.v1 import photo_event_pb2, search_service_pb2

MAX_DISTANCE = 2.0  # between vectors of length 1
_TAG_KINDS = {
    TagKind.USER: search_service_pb2.TAG_KIND_USER,
    TagKind.LABEL: search_service_pb2.TAG_KIND_LABEL,
    TagKind.PARENT: search_service_pb2.TAG_KIND_PARENT,
}
_TAG_ORDER = {kind: place for place, kind in enumerate(_TAG_KINDS)}


def question_from(request: search_service_pb2.SearchRequest, *, read_page: Callable[[str], int] = lambda _: 0) -> Question:
    """The checked question; `read_page` gives the offset of a page token.

    Raises InvalidArgument naming the field in the proto's spelling, the value and what is allowed.
    """
    collection = collection_from(request.collection)
    sought = _sought(request)
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"{limit:,}; allowed: 1 to {MAX_LIMIT:,}")
    max_distance = request.max_distance if request.HasField("max_distance") else None
    if isinstance(sought, Keywords | Text):
        for name, is_set in (("max_distance", max_distance is not None), ("space", bool(request.space))):
            if is_set:
                raise InvalidArgument(name, f"it is set, but words have no {name}; leave it out, or ask by photo or like")
    elif max_distance is not None and not 0 <= max_distance <= MAX_DISTANCE:
        raise InvalidArgument("max_distance", f"{max_distance}; allowed: 0 to {MAX_DISTANCE:g}")
    offset = read_page(request.page_token)
    if offset >= MAX_RANKED:
        raise InvalidArgument("page_token", f"answers can be paged up to hit {MAX_RANKED:,}; narrow the question with filters")
    return Question(
        collection=collection,
        sought=sought,
        conditions=conditions_from(request),
        space=request.space,
        limit=limit,
        offset=offset,
        max_distance=max_distance,
        exact=request.exact,
    )


def question_bytes(request: search_service_pb2.SearchRequest) -> bytes:
    """What makes two requests pages of one answer: everything but page token and size of the page."""
    question = search_service_pb2.SearchRequest()
    question.CopyFrom(request)
    question.collection = request.collection or DEFAULT_COLLECTION
    question.ClearField("page_token")
    question.ClearField("limit")
    return question.SerializeToString(deterministic=True)


def collection_from(name: str) -> str:
    """The collection that a request names. Raises InvalidArgument."""
    return check_collection(name or DEFAULT_COLLECTION)


def photo_id_from(photo_id: str, *, field: str) -> str:
    """The photo id that a request names. Raises InvalidArgument."""
    size = len(photo_id.encode())
    if not 1 <= size <= MAX_PHOTO_ID_BYTES:
        raise InvalidArgument(field, f"{size:,} bytes; allowed: 1 to {MAX_PHOTO_ID_BYTES:,}")
    return photo_id


def _sought(request: search_service_pb2.SearchRequest) -> Keywords | Text | Example | Like:
    match request.WhichOneof("query"):
        case "keyword":
            return Keywords(_words(request.keyword.words))
        case "text":
            return Text(parse_text(request.text.text, field="text.text"))
        case "photo":
            return Example(request.photo.data)
        case "like":
            return Like(photo_id_from(request.like.photo_id, field="like.photo_id"))
        case _:
            raise InvalidArgument("query", "it is missing; allowed: one of keyword, text, photo, like")


def _words(words: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(words) <= MAX_WORDS:
        raise InvalidArgument("keyword.words", f"{len(words):,} words; allowed: 1 to {MAX_WORDS}")
    for word in words:
        if len(word) > MAX_TAG_CHARS or not fold_tag(word):
            raise InvalidArgument(
                "keyword.words",
                f"{word!r} has {len(word):,} characters; allowed: 1 to {MAX_TAG_CHARS}, not all of them white space",
            )
    return tuple(words)


def response_of(answer: Answer, *, took_ms: float, next_page_token: str) -> search_service_pb2.SearchResponse:
    """The answer as a message; `took_ms` in milliseconds."""
    matches = answer.matches
    return search_service_pb2.SearchResponse(
        hits=[_hit(match, answer.space) for match in matches.matches],
        total=matches.total,
        total_is_exact=matches.total_is_exact,
        truncated=matches.truncated,
        exact=matches.exact,
        took_ms=took_ms,
        next_page_token=next_page_token,
    )


def _hit(match: Match, space: str) -> search_service_pb2.Hit:
    document = match.document
    assert document is not None, "the plan asks for documents"
    return search_service_pb2.Hit(
        photo_id=match.photo_id,
        uri=document.uri,
        score=match.score,
        distance=match.distance,
        space=space,
        tags=_tags(document.tags),
        caption=document.caption,
        caption_is_generated=document.caption_is_generated,
        region=None if match.region is None else _region(match.region),
        title=document.title,
    )


def photo_of(document: Document, *, spaces: Iterable[str]) -> search_service_pb2.Photo:
    """What is stored about a photo; `spaces` are the names of those that hold its vectors."""
    return search_service_pb2.Photo(
        collection=document.collection,
        photo_id=document.photo_id,
        version=document.version,
        uri=document.uri,
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
    """What every collection holds; `size_bytes` is that of the whole store."""
    return search_service_pb2.StatsResponse(
        collections=[
            search_service_pb2.CollectionStats(
                name=one.name,
                root=one.root,
                photos=one.photos,
                deleted=one.deleted,
                failed=one.failed,
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
    """A person's first, then labels by probability, then parents."""
    ordered = sorted(tags, key=lambda tag: (_TAG_ORDER[tag.kind], -tag.score, tag.label))
    return [search_service_pb2.Tag(label=tag.label, score=tag.score, kind=_TAG_KINDS[tag.kind]) for tag in ordered]


def _region(region: Region) -> photo_event_pb2.Region:
    return photo_event_pb2.Region(x=region.x, y=region.y, width=region.width, height=region.height)


def _place(place: Place) -> photo_event_pb2.Place:
    return photo_event_pb2.Place(latitude=place.latitude, longitude=place.longitude)


def _taken_at(taken_at: TakenAt) -> photo_event_pb2.TakenAt:
    instant = Timestamp()
    instant.FromDatetime(taken_at.instant)
    return photo_event_pb2.TakenAt(instant=instant, utc_offset_minutes=taken_at.utc_offset_minutes)
