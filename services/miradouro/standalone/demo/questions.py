"""One question of each kind, sent over gRPC as by any client, and its answer in the form of the contact sheet."""

import io
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from miradouro.core.document import Tag, TagKind
from miradouro.core.ports import PhotoReader
from miradouro.core.spaces import Fit, Geometry, Region, Resample
from miradouro.standalone.demo.contact_sheet import Answer, Picture, thumbnail
from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

HITS = 5
WALL = 60
TIMEOUT_S = 30.0
SURE = 0.3  # the least probability of a tag that becomes a question

_MIDDLE = Region(0.25, 0.25, 0.5, 0.5)
_CUT = Geometry(Fit.SHORT_SIDE_CENTER_CROP, 384, 384, 384, Resample.BICUBIC)
_KINDS = {
    wire.TAG_KIND_LABEL: TagKind.LABEL,
    wire.TAG_KIND_PARENT: TagKind.PARENT,
    wire.TAG_KIND_USER: TagKind.USER,
    wire.TAG_KIND_LEARNED: TagKind.LEARNED,
}


@dataclass(frozen=True)
class Questions:
    """The questions: a tag, words of a caption, a photo whose middle is cut out, and a photo to compare with."""

    keyword: str
    text: str
    cut_from: str
    like: str


def cut(data: bytes, reader: PhotoReader) -> bytes:
    """The middle of an encoded photo, half as wide and half as high, as a JPEG that is not in the index. Raises BadPhoto."""
    out = io.BytesIO()
    Image.fromarray(reader.decode(data, [_CUT], region=_MIDDLE).tensors[_CUT]).save(out, "JPEG", quality=90)
    return out.getvalue()


def questions_about(stub: SearchServiceStub, photos: tuple[str, str]) -> Questions:
    """Questions with hits in a collection of unknown photos; `photos` are the one to compare with and the one to cut."""
    like, cut_from = photos
    hits = stub.Search(wire.SearchRequest(like=wire.LikeQuery(photo_id=like), limit=WALL), timeout=TIMEOUT_S).hits
    counts = Counter(tag.label for hit in hits for tag in hit.tags if tag.score >= SURE)
    several = [label for label, count in counts.most_common() if count <= max(1, len(hits) // 2)]
    words = re.findall(r"\w{4,}", " ".join(hit.caption for hit in hits[:HITS])) or [like]
    return Questions((several or [*counts, like])[0], max(words, key=len), cut_from, like)


def ask(
    stub: SearchServiceStub, questions: Questions, *, root: Path, cut_file: Path, command: Sequence[str], reader: PhotoReader
) -> tuple[Answer, ...]:
    """The answers, in the order keyword, text, photo, like. Writes the cut photo to `cut_file`.

    `command` begins a search on the command line: the page shows the command of each question.
    """
    cut_file.write_bytes(cut((root / questions.cut_from).read_bytes(), reader))
    asked = (
        (
            "keyword",
            f"Photos tagged “{questions.keyword}”",
            ("--keyword", questions.keyword),
            b"",
            wire.SearchRequest(keyword=wire.KeywordQuery(words=[questions.keyword]), limit=HITS),
        ),
        (
            "text",
            f"Photos described as “{questions.text}”",
            ("--text", questions.text),
            b"",
            wire.SearchRequest(text=wire.TextQuery(text=questions.text), limit=HITS),
        ),
        (
            "photo",
            "Which photo was this cut from?",
            ("--photo", str(cut_file)),
            cut_file.read_bytes(),
            wire.SearchRequest(photo=wire.ExampleQuery(data=cut_file.read_bytes()), limit=HITS),
        ),
        (
            "like",
            f"Photos like {questions.like}",
            ("--like", questions.like),
            (root / questions.like).read_bytes(),
            wire.SearchRequest(like=wire.LikeQuery(photo_id=questions.like), limit=HITS),
        ),
    )
    return tuple(
        _answer(kind, title, shlex.join([*command, *words]), shown, root, request, stub, reader)
        for kind, title, words, shown, request in asked
    )


def wall(stub: SearchServiceStub, questions: Questions, *, root: Path, reader: PhotoReader) -> tuple[Picture, ...]:
    """Up to WALL photos of the collection, those most similar to the photo of the question `like` first."""
    request = wire.SearchRequest(like=wire.LikeQuery(photo_id=questions.like), limit=WALL)
    return tuple(_picture(hit, root, reader, best=1.0) for hit in stub.Search(request, timeout=TIMEOUT_S).hits)


def _answer(
    kind: str,
    title: str,
    command: str,
    shown: bytes,
    root: Path,
    request: wire.SearchRequest,
    stub: SearchServiceStub,
    reader: PhotoReader,
) -> Answer:
    response = stub.Search(request, timeout=TIMEOUT_S)
    found = f"{response.total} photo{'' if response.total == 1 else 's'}"
    if request.HasField("photo") or request.HasField("like"):
        summary = f"{found} compared in {response.took_ms:.0f} ms, the nearest first"
    else:
        summary = f"{found} found in {response.took_ms:.0f} ms"
    best = max((hit.score for hit in response.hits), default=1.0) or 1.0
    hits = tuple(_picture(hit, root, reader, best=best) for hit in response.hits)
    return Answer(kind, title, command, thumbnail(shown, reader) if shown else "", summary, hits)


def _picture(hit: wire.Hit, root: Path, reader: PhotoReader, *, best: float) -> Picture:
    tags = tuple(Tag(tag.label, tag.score, _KINDS[tag.kind]) for tag in hit.tags)
    near = hit.HasField("distance")
    return Picture(
        hit.photo_id,
        thumbnail((root / hit.photo_id).read_bytes(), reader),
        hit.caption,
        hit.score if near else hit.score / best,
        f"distance {hit.distance:.2f}" if near else f"score {hit.score:.2f}",
        tags,
    )
