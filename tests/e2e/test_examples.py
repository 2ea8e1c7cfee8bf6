"""The programs of `examples/`, and the snippets of the API pages, run against `miradouro up`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import item_of

from tests.documentation import ROOT, marked
from tests.e2e.command import COMMAND, start
from tests.e2e.conftest import make_photos
from tests.kafka_records import records_of
from tests.kafka_topics import own_topics

EXAMPLES = ROOT / "examples"
TIMEOUT_S = 120


def run(*words: object, **environment: str) -> str:
    """Standard output of a program that must succeed."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=TIMEOUT_S, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Server:
    """A running `miradouro up` on the data folder of a person's home; the collection photos is `home`/Pictures."""

    def __init__(self, home: Path) -> None:
        self.home, data = home, home / ".local/share/miradouro"
        self.token = data / "token"
        make_photos(home / "Pictures", ["lisbon/tram.jpg"])
        (home / "Pictures/lisbon/tram.json").write_text('{"tags": ["cat"], "caption": "A tram"}')
        make_photos(home, ["holiday.jpg"], first_seed=9)
        run(COMMAND, "index", home / "Pictures", "--data", data)
        self._process = start("up", "--data", data, "--listen", "127.0.0.1:0")
        assert self._process.stdout is not None
        self.address, self.url = (self._process.stdout.readline().split()[-1] for _ in range(2))

    def client(self, *words: object) -> str:
        return run(sys.executable, EXAMPLES / "client.py", "--server", self.address, "--token-file", self.token, *words)

    def snippet(self, text: str, *program: str) -> str:
        """Output of a program of the documentation, at this server's addresses, in the person's home."""
        text = text.replace("127.0.0.1:7350", self.address).replace("http://127.0.0.1:7351", self.url.rstrip("/"))
        done = subprocess.run(
            [*program, text],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=self.home,
            env={**os.environ, "HOME": str(self.home)},
        )
        assert done.returncode == 0, text + done.stdout + done.stderr
        return done.stdout

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        _, err = self._process.communicate(timeout=TIMEOUT_S)
        assert self._process.returncode == 0, err


@pytest.fixture(scope="module")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert models_dir.is_dir()
    running = Server(tmp_path_factory.mktemp("home"))
    yield running
    running.end()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path, ["a.jpg", "b.jpg"])


def test_the_client_puts_searches_and_embeds(server: Server, photos: Path) -> None:
    stored = server.client("put", photos / "a.jpg", photos / "b.jpg")
    assert stored.split() == ["a.jpg", "EVENT_STATUS_STORED", "b.jpg", "EVENT_STATUS_STORED"]
    embedded = dict(line.split()[:2] for line in server.client("embed", photos / "a.jpg").splitlines())
    assert embedded["vgg16-conv/pool5/regions"] == "14x256"
    [best, *_] = json.loads(run(COMMAND, "search", "--like", "a.jpg", "--data", server.token.parent, "--json"))["hits"]
    found = server.client("search", best["tags"][0]["label"])
    assert "a.jpg" in found


def test_curl_puts_an_event(server: Server, photos: Path) -> None:
    renamed = (photos / "a.jpg").rename(photos / "curl.jpg")
    answer = json.loads(run(EXAMPLES / "put_event.sh", renamed, server.url, server.token))
    assert [one["status"] for one in answer["results"]] == ["EVENT_STATUS_STORED"]


def test_every_documented_http_request_is_answered(server: Server) -> None:
    function, *requests = marked("http")
    described = json.loads((ROOT / "services/miradouro/query/openapi.json").read_text())
    assert len(requests) == sum(len(methods) for methods in described["paths"].values())
    strict = 'set -o pipefail; curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
    answers = [server.snippet(f"{strict}{function}{request}", "bash", "-c") for request in requests]
    assert [hit["photoId"] for hit in json.loads(answers[0])["hits"]] == ["lisbon/tram.jpg"]
    for name in ("tram.jpg", "small.jpg"):
        assert (server.home / name).read_bytes().startswith(b"\xff\xd8")


def test_the_documented_client_in_python_runs(server: Server) -> None:
    [example] = marked("python")
    assert server.snippet(example, sys.executable, "-c") == "1.00  lisbon/tram.jpg  A tram\n"


def test_the_producer_publishes_an_event(kafka: str) -> None:
    topic = own_topics(kafka, partitions=1).kafka_topic
    program = [sys.executable, EXAMPLES / "produce_event.py", "--bootstrap", kafka, "--topic", topic]
    run(*program, "s3://uploads/2024/cat.jpg", "--title", "A cat")
    [record] = records_of(kafka, topic)
    event = item_of(SourceRecord(topic, 0, record.offset, record.key, record.value, tuple(record.headers)))
    assert isinstance(event, PhotoEvent)
    assert (event.kind, event.collection, event.photo_id) == (EventKind.UPLOADED, "photos", "cat.jpg")
    assert (event.uri, event.title) == ("s3://uploads/2024/cat.jpg", "A cat")


@pytest.mark.usefixtures("models_dir")
def test_the_processor_runs_once_installed(photos: Path, tmp_path: Path) -> None:
    package = shutil.copytree(EXAMPLES / "processor", tmp_path / uuid.uuid4().hex)  # setuptools writes into it
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run(*pip, "--target", installed, package)
    pipeline = str(EXAMPLES / "processor" / "pipeline.yaml")
    stored = run(
        *(COMMAND, "pipeline", "simulate", photos / "a.jpg", "--json"), PYTHONPATH=str(installed), MIRADOURO_PIPELINE=pipeline
    )
    assert 0 < float(json.loads(stored)["document"]["attributes"]["brightness"]) < 1


def test_a_packaged_bundle_is_found_once_installed(tmp_path: Path) -> None:
    package = shutil.copytree(EXAMPLES / "bundle", tmp_path / uuid.uuid4().hex)
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run(*pip, "--target", installed, package)
    (installed / "miradouro_edges" / "__init__.py").write_text("raise RuntimeError('a bundle is data: nothing of it is run')")
    environment = {"PYTHONPATH": str(installed), "MIRADOURO_MODELS_DIR": str(tmp_path / "models")}
    run(COMMAND, "models", "pull", "edges", **environment)
    found = {each["name"]: each for each in json.loads(run(COMMAND, "models", "list", "--json", **environment))["bundles"]}
    assert (found["edges"]["origin"], found["edges"]["spaces"]) == ("package", ["edges/edges/flat"])
    assert [file["state"] for file in found["edges"]["files"]] == ["ready"]


def test_the_packaged_network_is_as_its_program_makes_it(tmp_path: Path) -> None:
    package = shutil.copytree(EXAMPLES / "bundle", tmp_path / "bundle")
    made = package / "miradouro_edges" / "edges.onnx"
    made.unlink()
    run(sys.executable, package / "make_network.py")
    assert made.read_bytes() == (EXAMPLES / "bundle" / "miradouro_edges" / "edges.onnx").read_bytes()
