"""What an operator sees of three services that guard themselves: metrics, traces in logs, the page over OpenSearch, their end."""

import base64
import json
import re
import signal
import ssl
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.runtime.tracing import new_trace
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from tests.certificates import self_signed, signed, token, write_secret
from tests.documentation import rows, section
from tests.e2e.many_machines import Deployment, ServiceProcess, deployed, eventually, search_stub
from tests.pictures import jpeg

COLLECTION = "holidays"
SERVICES = ("embedding", "ingest", "query")


def exposed(address: str) -> dict[str, str]:
    """The names of our metrics at an address and what they say of themselves."""
    with urllib.request.urlopen(address, timeout=30) as reply:
        text = reply.read().decode()
    rows = re.findall(r"^# HELP (miradouro_\S+) (.*)$", text, re.M)
    return {name: help_text for name, help_text in rows if not name.endswith("_created")}


def value(address: str, name: str) -> float:
    """The sum of a metric's samples."""
    with urllib.request.urlopen(address, timeout=30) as reply:
        samples = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", reply.read().decode(), re.M)
    return sum(map(float, samples))


def entries(path: Path) -> list[dict[str, Any]]:
    """The log's lines, each of which must be a JSON object."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


@dataclass(frozen=True)
class Page:
    """The HTTP door of a query service, as a browser meets it: a certificate of `authority`, and a token as password."""

    url: str
    authority: Path
    token: str
    traceparent: str

    def get(self, path: str = "", data: bytes | None = None) -> tuple[str, bytes]:
        """The media type and the body of an answer; a request with `data` is a POST."""
        password = base64.b64encode(f"operator:{self.token}".encode()).decode()
        headers = {"Authorization": f"Basic {password}", "traceparent": self.traceparent}
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        context = ssl.create_default_context(cafile=self.authority)
        with urllib.request.urlopen(request, timeout=60, context=context) as reply:
            return reply.headers["Content-Type"], reply.read()


@pytest.mark.usefixtures("models_dir")
def test_three_services_expose_metrics_logs_and_traces(kafka: str, opensearch: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "boat.jpg").write_bytes(jpeg(400, 300, seed=3))
    trace, asked, secret = new_trace(), new_trace(), token()
    authority = self_signed(tmp_path, "authority")
    ours = signed(tmp_path, "ours", authority)
    write_secret(tmp_path / "token", secret)
    with deployed(kafka, opensearch) as here, ExitStack() as stack:
        here.environment |= {
            "MIRADOURO_TLS_CERT_FILE": str(ours.certificate),
            "MIRADOURO_TLS_KEY_FILE": str(ours.key),
            "MIRADOURO_TLS_CA_FILE": str(authority.certificate),
            "MIRADOURO_TOKEN_FILE": str(tmp_path / "token"),
            "MIRADOURO_METRICS_LISTEN": "127.0.0.1:0",
            "MIRADOURO_LOG_LEVEL": "debug",
            "MIRADOURO_PHOTO_ROOTS": str(photos),
            "MIRADOURO_CACHE_DIR": str(tmp_path),
        }
        running = {}
        for name in SERVICES:
            running[name] = here.start(name, log=tmp_path / f"{name}.log")
            if name == "embedding":
                here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = running[name].address
        eventually("every service is ready", lambda: all(one.is_ready() for one in running.values()))
        metrics = {name: service.metrics for name, service in running.items()}

        here.publish(
            PhotoEvent(
                "e-1", EventKind.UPLOADED, COLLECTION, "boat.jpg", 1,
                uri=(photos / "boat.jpg").as_uri(), tags=("harbour",), caption="secret words", traceparent=trace.header,
            ),
            PhotoEvent("e-2", EventKind.UPLOADED, COLLECTION, "bad.jpg", 1, data=b"no photo", traceparent=trace.header),
            PhotoEvent("e-3", EventKind.UPLOADED, COLLECTION, "inline.jpg", 1, data=jpeg(200, 150, seed=4)),
        )  # fmt: skip
        eventually("all are indexed", lambda: set(here.versions(COLLECTION)) == {"boat.jpg", "inline.jpg"})

        page = Page(running["query"].page, authority.certificate, secret, asked.header)
        _the_page_answers_as_grpc_does(here, running["query"], page, (photos / "boat.jpg").read_bytes(), stack)
        eventually("the lag is reported", lambda: value(metrics["ingest"], "miradouro_ingest_lag_events") == 0)
        assert value(metrics["ingest"], "miradouro_ingest_dead_letters_total") == 1
        assert value(metrics["ingest"], "miradouro_ingest_photo_bytes_total") > 1_000
        assert value(metrics["embedding"], "miradouro_embedding_photos_total") >= 3
        assert value(metrics["query"], "miradouro_peer_up") == 2

        _every_metric_is_documented(metrics)
        for service in (running["ingest"], running["query"], running["embedding"]):
            assert service.end(signal.SIGTERM) == 0

        [letter] = here.dead_letters.list(limit=10)[0]
        assert letter.traceparent.split("-")[1] == trace.trace_id
    logs = {name: entries(tmp_path / f"{name}.log") for name in SERVICES}
    of_trace = {name: [line for line in lines if line.get("trace_id") == trace.trace_id] for name, lines in logs.items()}
    assert {"stored", "dead letter"} <= {line["event"] for line in of_trace["ingest"]}
    assert {line["event_id"] for line in of_trace["ingest"] if "event_id" in line} == {"e-1", "e-2"}
    assert "Embed" in {line.get("method") for line in of_trace["embedding"]}
    of_question = [line for line in logs["embedding"] if line.get("trace_id") == asked.trace_id]
    assert "Embed" in {line.get("method") for line in of_question}, "from an HTTP header to the embedding service"
    text = "".join((tmp_path / f"{name}.log").read_text() for name in SERVICES)
    assert secret not in text
    assert "secret words" not in text
    assert "harbour" not in text
    assert "Traceback" not in text


def _every_metric_is_documented(metrics: dict[str, str]) -> None:
    found = {name: exposed(address) for name, address in metrics.items()}
    written = {row[0].strip("`"): row[1:] for row in rows(section("Metrics, logs, traces"))}
    everywhere = set.intersection(*map(set, found.values()))
    for metric in sorted(set(written) | set().union(*found.values())):
        services = [name for name in SERVICES if metric in found[name]]
        assert services, f"{metric} is documented, but no service has it"
        where = "all" if metric in everywhere else ", ".join(services)
        assert written.get(metric) == [where, found[services[0]][metric]]


def _the_page_answers_as_grpc_does(here: Deployment, query: ServiceProcess, page: Page, photo: bytes, stack: ExitStack) -> None:
    assert page.url.startswith("https://")
    kind, html = page.get()
    assert (kind, b"<title>" in html) == ("text/html; charset=utf-8", True)
    eventually("the index is refreshed", lambda: sum(one.photos for one in here.index.stats()) == 2)
    stats = json.loads(page.get("v1/stats")[1])
    assert [one["name"] for one in stats["collections"]] == [COLLECTION]
    hits = json.loads(page.get(f"v1/search/photo?collection={COLLECTION}&limit=2", photo)[1])["hits"]
    stub = search_stub(query, stack)
    over_grpc = stub.Search(pb.SearchRequest(collection=COLLECTION, photo=pb.ExampleQuery(data=photo), limit=2)).hits
    assert [hit["photoId"] for hit in hits] == [hit.photo_id for hit in over_grpc] == ["boat.jpg", "inline.jpg"]
    assert page.get(f"photos/{COLLECTION}/boat.jpg") == ("image/jpeg", photo)
    small = page.get(f"thumbnails/{COLLECTION}/boat.jpg?size=160")
    assert small[0].startswith("image/")
    assert len(small[1]) < len(photo)
    assert page.get(f"thumbnails/{COLLECTION}/boat.jpg?size=160") == small, "from the folder of thumbnails"
    with pytest.raises(urllib.error.HTTPError, match="409"):
        page.get("v1/failures")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        replace(page, token=token()).get("v1/stats")
    with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
        stub.Search(pb.SearchRequest(collection=COLLECTION, page_token="x" * 80))
    with grpc.secure_channel(query.address, grpc.ssl_channel_credentials(page.authority.read_bytes())) as channel:
        stranger = SearchServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            stranger.Stats(pb.StatsRequest(), timeout=30)
