"""Keywords learned from the tags that people gave: on stored photos and on new ones, on either index."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document, Tag, TagKind
from miradouro.core.errors import Corrupt, FailedPrecondition, InvalidArgument, MiradouroError, NotFound, Unavailable
from miradouro.core.keywords import MAX_KEYWORDS
from miradouro.core.ports import TagChange
from miradouro.runtime.call import Call
from miradouro.v1 import ingest_service_pb2  # its TestKeywordsRequest is no class of tests
from miradouro.v1.ingest_service_pb2 import (
    EVENT_STATUS_STORED,
    KeywordReport,
    LearnKeywordsRequest,
    ListKeywordsRequest,
    RemoveKeywordsRequest,
)
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPDATED, PHOTO_EVENT_KIND_UPLOADED, PhotoEvent

from tests.conformance.engines import INDICES, Index, with_markers
from tests.ingest_fixture import IngestFixture, open_ingest
from tests.photo_documents import photo, user_tag
from tests.pictures import encode

SPACE = "tiny/deep"
COLOURS = {"Red things": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 210)}


@pytest.fixture(params=with_markers(["sqlite", "opensearch"]))
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    with INDICES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def ingest(tmp_path: Path, index: Index) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest", index=index) as opened:
        yield opened


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest") as opened:
        yield opened


def picture(colour: str, seed: int) -> bytes:
    """A picture of the colour, with noise."""
    noise = np.random.default_rng(seed).normal(0, 12, (40, 40, 3))
    return encode(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8), "PNG")


def event_of(colour: str, seed: int, *tags: str, version: int = 1, collection: str = "", data: bytes = b"") -> PhotoEvent:
    photo_id = f"{colour} {seed}.png"
    return PhotoEvent(
        event_id=photo_id,
        kind=PHOTO_EVENT_KIND_UPDATED if version > 1 else PHOTO_EVENT_KIND_UPLOADED,
        collection=collection or "photos",
        photo_id=photo_id,
        version=version,
        data=data or picture(colour, seed),
        tags=tags,
    )


def send(ingest: IngestFixture, *events: PhotoEvent) -> None:
    for result in ingest.put(*events).results:
        assert result.status == EVENT_STATUS_STORED, result


def put(ingest: IngestFixture, colour: str, seed: int, *tags: str, version: int = 1, data: bytes = b"") -> str:
    """Sends one photo; gives its id."""
    event = event_of(colour, seed, *tags, version=version, data=data)
    send(ingest, event)
    return event.photo_id


def put_some(ingest: IngestFixture, *colours: str, each: int = 6, collection: str = "") -> None:
    """Photos of the colours, tagged with their names."""
    send(ingest, *(event_of(colour, seed, colour, collection=collection) for colour in colours for seed in range(each)))


def learn(ingest: IngestFixture, **fields: object) -> KeywordReport:
    request = LearnKeywordsRequest(**{"space": SPACE, **fields})
    return list(ingest.service.LearnKeywords(request, Call()))[-1].report


def learned(document: Document) -> list[str]:
    return [tag.label for tag in document.tags if tag.kind is TagKind.LEARNED]


def test_stored_and_new_photos_get_learned_keywords(ingest: IngestFixture, index: Index) -> None:
    put_some(ingest, *COLOURS)
    put(ingest, "green", 90, "rare")
    untagged = {colour: put(ingest, colour, 91) for colour in COLOURS}
    before = index.get("photos", untagged["blue"])
    runs = len(ingest.networks.runs)
    report = learn(ingest)
    assert len(ingest.networks.runs) == runs, "vectors are stored"
    assert [(one.label, one.photos) for one in report.keywords] == [("blue", 6), ("green", 6), ("Red things", 6)]
    assert list(report.left_out) == ["rare"]
    assert report.top1 == 1
    assert report.changed == 4
    for colour, photo_id in untagged.items():
        assert learned(index.get("photos", photo_id)) == [colour]
    assert learned(index.get("photos", "blue 0.png")) == [], "a person's tag is not repeated"
    assert learned(index.get("photos", put(ingest, "blue", 92))) == ["blue"]
    put(ingest, "blue", 0, version=2)
    assert learned(index.get("photos", "blue 0.png")) == ["blue"], "its person took the tag back"
    assert learn(ingest, only=["RED THINGS", "green"]).changed > 0
    assert "blue" not in learned(index.get("photos", untagged["blue"])), "learning again replaces them"
    list(ingest.service.RemoveKeywords(RemoveKeywordsRequest(), Call()))
    assert index.get("photos", untagged["blue"]) == before
    assert learned(index.get("photos", put(ingest, "blue", 93))) == []
    assert list(ingest.service.ListKeywords(ListKeywordsRequest(), Call()).collections) == []


class FailsOnce(SqliteIndex):
    """The first replacement of tags fails."""

    has_failed = False

    def replace_tags(self, collection: str, changes: Sequence[TagChange]) -> int:
        if not self.has_failed:
            self.has_failed = True
            raise Unavailable("the disk is full")
        return super().replace_tags(collection, changes)


def test_the_same_call_continues_after_a_failure(tmp_path: Path) -> None:
    with FailsOnce.open(tmp_path / "index", writer=True) as index, open_ingest(tmp_path / "ingest", index=index) as ingest:
        put_some(ingest, "green", "blue")
        untagged = put(ingest, "blue", 91)
        with pytest.raises(Unavailable, match="the disk is full"):
            learn(ingest, hidden=4)
        [kept] = ingest.service.ListKeywords(ListKeywordsRequest(), Call()).collections
        assert learned(index.get("photos", untagged)) == []
        report = learn(ingest, hidden=4)
        assert (report.provenance, report.changed) == (kept.provenance, 1)
        assert learned(index.get("photos", untagged)) == ["blue"]
        assert learn(ingest, hidden=4).changed == 0


def test_a_keyword_below_the_precision_is_given_to_no_photo(embedded: IngestFixture) -> None:
    put_some(embedded, "green")
    same = picture("blue", 0)
    send(embedded, *(event_of("blue", seed, ("calm", "loud")[seed % 2], data=same) for seed in range(12)))
    untagged = put(embedded, "blue", 91, data=same)
    by_label = {one.label: one for one in learn(embedded, precision=0.9).keywords}
    assert by_label["green"].HasField("threshold")
    assert not by_label["calm"].HasField("threshold")
    assert by_label["calm"].precision < 0.9
    assert learned(embedded.index.get("photos", untagged)) == []


def test_keywords_are_measured_on_another_collection(embedded: IngestFixture) -> None:
    put_some(embedded, "green", "blue")
    put_some(embedded, "green", each=3, collection="held")
    send(embedded, event_of("blue", 0, "green", collection="held"))
    learn(embedded)
    report = embedded.service.TestKeywords(ingest_service_pb2.TestKeywordsRequest(on="held"), Call()).report
    green = next(one for one in report.keywords if one.label == "green")
    assert (report.photos, report.top1, green.photos, green.precision, green.recall) == (4, 0.75, 4, 1, 0.75)
    with pytest.raises(NotFound, match="miradouro keywords learn"):
        embedded.service.TestKeywords(ingest_service_pb2.TestKeywordsRequest(collection="held"), Call())


def test_odd_names_are_learned_as_they_are(embedded: IngestFixture) -> None:
    odd = ["../../Ção \n\t“x”", "🎈\u202e=cmd|' /C'!A0"]
    for colour, tag in zip(("green", "blue"), odd, strict=True):
        send(embedded, *(event_of(colour, seed, tag) for seed in range(5)))
    untagged = put(embedded, "green", 91)
    assert {one.label for one in learn(embedded).keywords} == set(odd)
    assert learned(embedded.index.get("photos", untagged)) == odd[:1]
    assert [path.name for path in (embedded.data / "keywords").iterdir()] == ["photos.onnx"]


@pytest.mark.parametrize(
    ("tagged", "fields", "error", "sentence"),
    [
        ({}, {}, FailedPrecondition, "no keyword has 5 photos or more; tag more photos"),
        ({"green": 6}, {}, FailedPrecondition, "only 'green' has 5 photos or more; tag more photos, with several keywords"),
        ({"green": 6, "blue": 4}, {}, FailedPrecondition, "only 'green' has 5 photos or more, 1 have fewer"),
        ({"green": 6, "blue": 6}, {"only": ["cyan"]}, InvalidArgument, "only: no photo has the tag 'cyan'"),
        ({"green": 6, "blue": 6}, {"space": "tiny/deepest"}, InvalidArgument, "'tiny/deepest' is not a known space; allowed"),
        ({"green": 6, "blue": 6}, {"hidden": 5_000}, InvalidArgument, "hidden: 5,000; allowed: 0, for a perceptron, to 4,096"),
        ({"green": 6, "blue": 6}, {"precision": 0.0}, InvalidArgument, "precision: 0; allowed: above 0, up to 1"),
        ({"green": 6, "blue": 6}, {"collection": "none"}, NotFound, "collection 'none' does not exist"),
    ],
)
def test_what_cannot_be_learned_is_said(
    embedded: IngestFixture, tagged: dict[str, int], fields: dict, error: type[MiradouroError], sentence: str
) -> None:
    put(embedded, "Red things", 0)
    for colour, each in tagged.items():
        put_some(embedded, colour, each=each)
    with pytest.raises(error) as raised:
        learn(embedded, **fields)
    assert sentence in raised.value.message
    assert not (embedded.data / "keywords").exists()


def test_photos_without_vectors_are_named(embedded: IngestFixture) -> None:
    put(embedded, "green", 0)
    tagged = [Document("photos", f"{i}.jpg", 1, tags=(user_tag(f"kind {i % 2}"),)) for i in range(12)]
    embedded.index.write(tagged)
    with pytest.raises(FailedPrecondition, match="12 tagged photos have no vectors of tiny/deep; index these photos again"):
        learn(embedded)


def test_too_many_keywords_are_refused(embedded: IngestFixture) -> None:
    put(embedded, "green", 0)
    [space] = [space for space in embedded.index.spaces("photos") if space.name == SPACE]
    tags = tuple(user_tag(f"word {i}") for i in range(2_000))
    embedded.index.write([photo(f"{i}.jpg", spaces=(space,), tags=tags) for i in range(5)])
    sentence = f"2,000 keywords of collection 'photos' have 5 photos or more; allowed: 2 to {MAX_KEYWORDS:,}; name those"
    with pytest.raises(InvalidArgument, match=sentence):
        learn(embedded)


def test_a_damaged_file_is_refused_until_removed(embedded: IngestFixture) -> None:
    put_some(embedded, "green", "blue")
    learn(embedded)
    file = embedded.data / "keywords" / "photos.onnx"
    whole = file.read_bytes()
    for damaged in (whole[:100], whole.replace(b"green", b"groan")):
        file.write_bytes(damaged)
        with pytest.raises(Corrupt, match="learn the keywords again with `miradouro keywords learn`, or remove them"):
            put(embedded, "green", 95)
    list(embedded.service.RemoveKeywords(RemoveKeywordsRequest(), Call()))
    assert learned(embedded.index.get("photos", put(embedded, "green", 95))) == []


def test_vectors_of_another_provenance_are_refused(tmp_path: Path, embedded: IngestFixture) -> None:
    put_some(embedded, "green", "blue")
    learn(embedded)
    with open_ingest(tmp_path / "other") as other:
        spaces = [space for space in embedded.index.spaces("photos") if space.name == "wee/features"]
        other.index.ensure_collection("photos", spaces=spaces)
        (other.data / "keywords").mkdir()
        (other.data / "keywords" / "photos.onnx").write_bytes((embedded.data / "keywords" / "photos.onnx").read_bytes())
        with pytest.raises(FailedPrecondition, match="learned in tiny/deep, a space that it does not hold"):
            put(other, "green", 0)


def test_a_network_label_of_the_same_name_stays(embedded: IngestFixture) -> None:
    put_some(embedded, "green", "blue")
    name = put(embedded, "green", 91)
    document = embedded.index.get("photos", name)
    label = Tag("green", 0.25, TagKind.LABEL)
    embedded.index.replace_tags("photos", [TagChange(name, 1, (*document.tags, label))])
    learn(embedded)
    assert [tag.kind for tag in embedded.index.get("photos", name).tags if tag.label == "green"] == ["learned", "label"]
    list(embedded.service.RemoveKeywords(RemoveKeywordsRequest(), Call()))
    assert label in embedded.index.get("photos", name).tags
