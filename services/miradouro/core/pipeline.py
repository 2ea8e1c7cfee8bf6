"""Both data paths on one screen: a photo event becomes a document, a question becomes hits.

    photo event ─► fetch ─► decode ─► fingerprint ─► embed ─► tag ─► caption ─► document ─► index      (ingest)
    question    ─► understand ─► decode ─► embed ─► plan ─► search ─► hits                               (query)

A step of ingest is a processor: a function that takes a PhotoInProgress and returns it with more fields filled. A YAML file names
the processors in their order (`miradouro pipeline show`); each is in the file of its name in `processors/`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from miradouro.core.codes import stored_form, unit_vectors
from miradouro.core.document import Document, Float32, Tag
from miradouro.core.embedding import Embedding, Priority, check_replicas
from miradouro.core.errors import InvalidArgument, MiradouroError, NotFound
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.more_of_kind import MIXED_IN, mixed
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.photo_names import stored_photo_id
from miradouro.core.ports import Embedder, PhotoIndex, PhotoReader
from miradouro.core.query import Order
from miradouro.core.question import (
    Answer,
    Example,
    Like,
    QueryVector,
    Question,
    Text,
    offered_space,
    page_of,
    plan,
    searched_space,
)
from miradouro.core.spaces import Preset, Space
from miradouro.core.understand import understand
from miradouro.core.understood import Lexicon

if TYPE_CHECKING:
    from miradouro.core.decode import Decoded


@dataclass(frozen=True)
class PhotoInProgress:
    """One photo between its event and its document; each processor fills its fields and leaves the others as they are.

    `event` has passed its check. `spaces` are those of the collection. `attributes` are added to the event's and override them.
    `sha256` has 64 hexadecimal digits, `perceptual_hash` 16; `provenances` are the embedder's, by space. A field that is empty
    or None is not filled yet. `reused` is the stored document of the same bytes when its vectors and tags are reused;
    `embedding` has no labels then. `left_out` names the steps that were skipped by their condition, or whose failure was
    ignored. `failure` is the error of the failed step, for the steps of its `on_failure` alone.
    """

    event: PhotoEvent
    spaces: tuple[Space, ...]
    data: bytes | None = None
    decoded: "Decoded | None" = None
    sha256: str = ""
    perceptual_hash: str = ""
    embedding: Embedding | None = None
    reused: Document | None = None
    provenances: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[Tag, ...] = ()
    caption: str = ""
    caption_is_generated: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    failure: MiradouroError | None = None

    @property
    def key(self) -> str:
        """The photo and its version as one name, for PhotoReader."""
        return f"{self.event.collection}/{self.event.photo_id}@{self.event.version}"


class Processor(Protocol):
    """One step. It is called from several threads at once, with one photo each.

    It raises BadPhoto or InvalidArgument for a fault of the photo, a retriable error for one of a peer, and ConfigurationError
    for one of the pipeline.
    """

    def __call__(self, photo: PhotoInProgress, /) -> PhotoInProgress:
        """The photo with this step's fields filled."""
        ...


def ingest(event: PhotoEvent, *, processors: Sequence[Processor], spaces: Sequence[Space]) -> Document:
    """Makes the document of one photo event: runs every processor in order. Sources check their events: see `EventSource`."""
    if event.kind is EventKind.DELETED:
        return tombstone(event)
    photo = PhotoInProgress(event, tuple(spaces))
    for process in processors:
        photo = process(photo)
    return document(photo)


def document(photo: PhotoInProgress) -> Document:
    """The document of a photo when every processor has run. Raises InvalidArgument for a vector that has no codes."""
    event, decoded, embedding = photo.event, photo.decoded, photo.embedding
    spaces = {space.name: space for space in photo.spaces}
    return Document(
        collection=event.collection,
        photo_id=event.photo_id,
        version=event.version,
        uri=event.uri,
        media_type=decoded.media_type if decoded else event.media_type,
        sha256=photo.sha256,
        perceptual_hash=photo.perceptual_hash,
        width=decoded.width if decoded else 0,
        height=decoded.height if decoded else 0,
        title=event.title,
        caption=photo.caption,
        caption_is_generated=photo.caption_is_generated,
        tags=photo.tags,
        owner=event.owner,
        attributes={**event.attributes, **photo.attributes},
        place=event.place,
        taken_at=event.taken_at,
        origin=event.origin,
        vectors={
            name: stored_form(vectors, spaces[name]) if name in spaces else vectors
            for name, vectors in (embedding.vectors if embedding else {}).items()
        },
        provenances=photo.provenances,
    )


def tombstone(event: PhotoEvent) -> Document:
    """The document that replaces a deleted photo: its id, its version and the mark."""
    return Document(collection=event.collection, photo_id=event.photo_id, version=event.version, deleted=True)


def answer(
    question: Question,
    *,
    embedder: Embedder,
    reader: PhotoReader,
    index: PhotoIndex,
    original: Callable[[Document], bytes],
    lexicon: Callable[[], Lexicon],
    default_space: str,
    preset_of: Callable[[str], Preset | None] = lambda _: None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    remaining_s: Callable[[], float | None] = lambda: None,
    stage: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> Answer:
    """Answers one question. A question in words needs no embedding.

    `original` reads the photo of a document again. `lexicon` is called for a question that needs it. `preset_of`: see
    `searched_space`. `stage` is entered around each of the stages understand, embed, plan and search, and may measure them.
    Raises NotFound (collection, photo), InvalidArgument (space, region), BadPhoto, ProvenanceMismatch, and what the embedder,
    `reader` and `original` raise.
    """
    if isinstance(like := question.sought, Like):
        stored = stored_photo_id(index, question.collection, like.photo_id)
        question = replace(question, sought=replace(like, photo_id=stored))
    with stage("understand"):
        question, understood = understand(question, index=index, lexicon=lexicon)
    with stage("embed"):
        query_vector = _query_vector(
            question,
            embedder=embedder,
            reader=reader,
            index=index,
            original=original,
            default_space=default_space,
            preset_of=preset_of,
            limits=limits,
            remaining_s=remaining_s,
        )
    mixed_in: tuple[str, ...] = ()
    if question.more and query_vector is not None:
        with stage("search"):
            query_vector, mixed_in = _more_of_kind(question, query_vector, index=index)
    with stage("plan"):
        query = plan(question, query_vector, understood)
    with stage("search"):
        matches, next_page = page_of(question, query, index.search(query))
    has_region = isinstance(question.sought, Example | Like) and question.sought.region is not None
    return Answer(
        matches,
        space=query_vector.space.name if query_vector else "",
        next_page=next_page,
        mixed_in=mixed_in,
        whole_photos=has_region and query_vector is not None and not query_vector.space.compares_regions,
        understood=understood,
        is_text=isinstance(question.sought, Text),
    )


def _more_of_kind(question: Question, query_vector: QueryVector, *, index: PhotoIndex) -> tuple[QueryVector, tuple[str, ...]]:
    """The query vector mixed with its first hits, and the ids of these hits. Every page searches the first hits again.

    Raises InvalidArgument for a space of regions: a hit there is a part of a photo, and the stored row 0 is not its vector.
    """
    space = query_vector.space
    if space.regions:
        raise InvalidArgument("more", f"{space.name} compares parts of photos; name another space, or leave it out")
    itself = question.sought.photo_id if isinstance(question.sought, Like) else None
    first = replace(question, page=0, limit=MIXED_IN + 1, order=Order.RELEVANCE, facets=())
    query = replace(plan(first, query_vector), with_documents=False)
    found: dict[str, Float32] = {}
    for match in index.search(query).matches:
        if match.photo_id != itself and len(found) < MIXED_IN:
            with suppress(NotFound):  # it was deleted meanwhile
                stored = index.vector(question.collection, match.photo_id, space.name)
                found[match.photo_id] = unit_vectors(stored, space)[0]
    [example] = unit_vectors(query_vector.vector[None], space)
    [vector] = stored_form(mixed(example, list(found.values()))[None], space)
    return replace(query_vector, vector=vector), tuple(found)


def _query_vector(
    question: Question,
    *,
    embedder: Embedder,
    reader: PhotoReader,
    index: PhotoIndex,
    original: Callable[[Document], bytes],
    default_space: str,
    preset_of: Callable[[str], Preset | None],
    limits: DecodeLimits,
    remaining_s: Callable[[], float | None],
) -> QueryVector | None:
    """The vector that photos are compared with; None for a question in words."""
    sought = question.sought
    if not isinstance(sought, Example | Like):
        return None
    space = searched_space(question, index.spaces(question.collection), default_space=default_space, preset_of=preset_of)
    if isinstance(sought, Like) and sought.region is None:
        vectors, provenance = index.vector(question.collection, sought.photo_id, space.name), space.provenance
    else:
        data = sought.data if isinstance(sought, Example) else original(index.get(question.collection, sought.photo_id))
        bundle, offered = offered_space(space, embedder.describe())
        geometries = bundle.needed_geometries([space.name], tags=False)
        decoded = reader.decode(
            data, geometries, limits=limits, region=sought.region, priority=Priority.INTERACTIVE, timeout_s=remaining_s()
        )
        [embedding] = embedder.embed(
            [decoded.tensors],
            spaces=[space.name],
            priority=Priority.INTERACTIVE,
            timeout_s=remaining_s(),
        )
        vectors = stored_form(embedding.vectors[space.name], space)
        check_replicas(embedding, held={space.name: space.provenance}, described={space.name: offered.provenance})
        provenance = embedding.provenances[space.name]
    # Row 0 of a space of regions is the vector of the whole embedded picture: the photo, or the region cut out of it.
    return QueryVector(space, provenance, vectors[0])
