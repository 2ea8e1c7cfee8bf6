"""`miradouro up`, and the command talking to it: one folder, one writer, the same answers."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from miradouro.adapters.sqlite_index import read_holder
from miradouro.v1.embedding_service_pb2 import DescribeSpacesRequest, EmbedRequest, PhotoInput
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from miradouro.v1.ingest_service_pb2 import ListFailuresRequest
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.search_service_pb2 import GetPhotoRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from tests.e2e.command import ONE_BY_ONE, START_S, channel_to, run, start, up
from tests.e2e.conftest import make_photos
from tests.e2e.many_machines import eventually
from tests.pictures import jpeg

pytestmark = pytest.mark.usefixtures("models_dir")
QUESTIONS = (
    ("--keyword", "harbour"),
    ("--text", "dawn"),
    ("--like", "b.jpg"),
    ("--like", "a.jpg", "--space", "vgg16-conv/pool5/regions", "--limit", "2"),
    ("--like", "a.jpg", "--space", "nowhere"),
    ("--like", "a.jpg", "--limit", "0"),
    ("--like", "nowhere.jpg"),
    ("--keyword", "harbour", "--collection", "trips"),
)


def _answers(photos: Path, *words: object) -> list[object]:
    """Answers and errors, without the time that they took."""
    answers: list[object] = []
    for question in (*QUESTIONS, ("--photo", photos / "a.jpg"), ("--photo", photos / "b.json")):
        done = run("search", *question, *words, "--json")
        answer = json.loads(done.out) if done.code == 0 else done.err
        if isinstance(answer, dict):
            assert answer.pop("took_ms") > 0
        answers.append(answer)
    return answers


def test_answers_are_the_same_without_a_server(tmp_path, monkeypatch):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "b.jpg", "c.jpg"]), tmp_path / "data"
    (photos / "b.json").write_text(json.dumps({"caption": "Boats at dawn", "tags": ["harbour"]}))
    assert run("index", photos, "--data", data, "--json").json["indexed"] == 3
    here = _answers(photos, "--data", data)
    stats = run("stats", "--data", data, "--json").json["collections"]
    with up(data) as address:
        assert _answers(photos, "--data", data) == here
        monkeypatch.setenv("MIRADOURO_TOKEN_FILE", str(data / "token"))
        assert _answers(photos, "--server", address) == here
        for place in (("--data", data), ("--server", address)):
            assert run("stats", *place, "--json").json["collections"] == stats
        assert "exclude each other" in run("stats", "--server", address, "--data", data).err

        second = run("up", "--data", data, "--listen", "127.0.0.1:0")
        assert second.code == 1
        assert f"serving at {address}" in second.err

        (photos / "d.jpg").write_bytes(jpeg(240, 200, seed=20))
        (photos / "bad.jpg").write_bytes(b"no photo")
        report = run("index", photos, "--data", data, "--json").json
        assert (report["indexed"], report["unchanged"], [one["path"] for one in report["failed"]]) == (1, 3, ["bad.jpg"])
        assert run("search", "--like", "d.jpg", "--data", data, "--json").json["total"] == 4
        elsewhere = run("index", tmp_path, "--data", data)
        assert elsewhere.code == 1
        assert "--collection" in elsewhere.err
        _check_every_service(address, data, photos)
    assert run("search", "--like", "d.jpg", "--data", data, "--json").json["total"] == 4


def test_a_writing_command_waits_for_a_starting_server(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg"]), tmp_path / "data"
    server = start("up", "--data", data, "--listen", "127.0.0.1:0")
    try:
        eventually("the server has the folder", lambda: (holder := read_holder(data)) is not None and holder.will_serve)
        assert run("index", photos, "--data", data, "--json").json["indexed"] == 1
        holder = read_holder(data)
        assert holder is not None
        assert holder.pid == server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=START_S)
    assert server.returncode == 0, err


def _check_every_service(address: str, data: Path, photos: Path) -> None:
    with channel_to(address, data) as channel:
        health = HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=START_S)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        embedding = EmbeddingServiceStub(channel)
        spaces = [
            space.name
            for bundle in embedding.DescribeSpaces(DescribeSpacesRequest(), timeout=START_S).bundles
            for space in bundle.spaces
        ]
        assert "vgg16-conv/pool5/rmac" in spaces
        photo = PhotoInput(encoded=(photos / "a.jpg").read_bytes())
        [result] = embedding.Embed(EmbedRequest(photos=[photo], spaces=["efficientnet-lite0/features"]), timeout=START_S).results
        assert result.embedding.vectors[0].dimension == 1_280
        [failure] = IngestServiceStub(channel).ListFailures(ListFailuresRequest(), timeout=START_S).failures
        assert (failure.photo_id, failure.reason) == ("bad.jpg", "not_a_photo")
        got = SearchServiceStub(channel).GetPhoto(GetPhotoRequest(photo_id="b.jpg"), timeout=START_S).photo
        assert (got.caption, got.width, got.height, len(got.spaces)) == ("Boats at dawn", 240, 200, 8)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _ids(data: Path, collection: str) -> set[str]:
    done = run("search", "--sort", "taken", "--all", "--collection", collection, "--data", data, "--json")
    return {hit["photo_id"] for hit in json.loads(done.out)["hits"]} if done.code == 0 else set()


def test_watched_folders_are_indexed_while_questions_are_answered(tmp_path):
    pictures, trips = make_photos(tmp_path / "a=b", ["a.jpg", "b.jpg"]), make_photos(tmp_path / "trips", ["c.jpg"])
    data = tmp_path / "data"
    with up(data, "--photos", pictures, "--photos", f"trips={trips}"):
        _until(lambda: (_ids(data, "photos"), _ids(data, "trips")) == ({"a.jpg", "b.jpg"}, {"c.jpg"}))
        make_photos(pictures, ["new/d.jpg"], first_seed=7)
        (trips / "c.jpg").rename(trips / "e.jpg")
        make_photos(trips, ["f.jpg", "g.jpg"], first_seed=8)
        _until(lambda: _ids(data, "photos") == {"a.jpg", "b.jpg", "new/d.jpg"})
        assert run("index", pictures, "--data", data, "--json").json["unchanged"] == 3
    (pictures / "a.jpg").unlink()
    make_photos(pictures, ["1.jpg"], first_seed=9)
    with up(data, "--photos", pictures, "--ignore", "/1.jpg"):
        _until(lambda: _ids(data, "photos") == {"b.jpg", "new/d.jpg"})


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["one", "two"], 2, "collection photos has"),
        (["x=one", "x=two"], 2, "--photos NAME=DIR"),
        (["nowhere"], 1, "there is no folder"),
        (["Not A Name=one"], 1, "there is no folder"),
    ],
)
def test_folders_that_cannot_be_watched_are_refused(tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    options = [part for word in words for part in ("--photos", word)]
    done = run("up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--http", "off", *options)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_an_interrupted_first_scan_continues_next_start(tmp_path):
    photos, data = make_photos(tmp_path / "photos", [f"{i:03}.jpg" for i in range(14)]), tmp_path / "data"
    server = start("up", "--data", data, "--listen", "127.0.0.1:0", "--photos", photos, constants=ONE_BY_ONE)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("ready: ")  # before everything is indexed
    _until(lambda: bool(_ids(data, "photos")))
    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=START_S)
    assert (server.returncode, "Traceback" in err) == (0, False), err
    [collection] = run("stats", "--data", data, "--json").json["collections"]
    assert 0 < collection["photos"] < 14
    with up(data, "--photos", photos):
        _until(lambda: len(_ids(data, "photos")) == 14)


@pytest.mark.parametrize(
    ("listen", "message"),
    [("0.0.0.0:0", "reaches beyond this machine"), ("nonsense", "is not host:port"), ("[::]:0", "reaches beyond this machine")],
)
def test_a_public_address_is_refused_before_anything_opens(tmp_path, listen, message):
    done = run("up", "--data", tmp_path / "data", "--listen", listen)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: --listen='{listen}'")
    assert message in done.err
    assert not (tmp_path / "data").exists()


def test_missing_models_are_reported_when_pulling_is_forbidden(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    make_photos(tmp_path / "photos", ["a.jpg"])
    for words in (["up", "--listen", "127.0.0.1:0"], ["index", tmp_path / "photos"]):
        done = run(*words, "--data", tmp_path / "data", "--offline")
        assert done.code == 1
        assert "miradouro models pull efficientnet-lite0 --precision int8" in done.err


def test_a_wrong_setting_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRADOURO_EXACT_VECTORS", "many")
    done = run("stats", "--data", tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: MIRADOURO_EXACT_VECTORS='many': ")
