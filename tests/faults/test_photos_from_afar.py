"""Photos at URLs of events: reachable ones become searchable, the others dead letters, and the consumer never waits long."""

import hashlib
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import grpc
import pytest
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.photo_event_pb2 import Region

from tests.cloud_storage import s3_service
from tests.e2e.many_machines import Deployment, deployed, eventually, search_stub
from tests.e2e.tiny_embedding import tiny_embedding
from tests.pictures import jpeg
from tests.web_photos import LOOPBACK, body, in_turn, redirect, web_photos

COLLECTION = "afar"
# Hosts that are on the list of sources, each of which is this machine or one beside it.
FORBIDDEN = ("127.0.0.1", "[::1]", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1")
RIGHT = Region(x=0.5, y=0, width=0.5, height=1)


def uploaded(name: str, uri: str = "", data: bytes | None = None, *, version: int = 1) -> PhotoEvent:
    return PhotoEvent(f"{name}-{version}", EventKind.UPLOADED, COLLECTION, name, version, uri=uri, data=data)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:  # until the client hangs up
        handler.wfile.write(bytes(65_536))


def hang(handler: BaseHTTPRequestHandler) -> None:
    handler.server.stopping.wait()  # type: ignore[attr-defined] # of the test's server


def dead_letters(here: Deployment) -> dict[str, str]:
    return {one.photo_id: one.reason for one in here.dead_letters.list(limit=1_000)[0]}


def test_photos_from_afar_are_found_or_dead_letters(kafka: str, opensearch: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        web, mute = stack.enter_context(web_photos(tmp_path / "web")), stack.enter_context(web_photos(tmp_path / "mute"))
        cloud, here = stack.enter_context(s3_service()), stack.enter_context(deployed(kafka, opensearch))
        forbidden = [mute.url("/", host=host) for host in FORBIDDEN]
        here.environment |= {
            "MIRADOURO_EMBEDDING_ADDRESS": stack.enter_context(tiny_embedding(tmp_path / "bundles")),
            "MIRADOURO_DEFAULT_SPACE": "tiny/deep",
            "MIRADOURO_PHOTO_SOURCES": " ".join([web.url("/"), "s3://photos/uploads/", *forbidden]),
            "MIRADOURO_PHOTO_PRIVATE_HOSTS": LOOPBACK,
            "MIRADOURO_PHOTO_CA_FILE": web.ca_file,
            "MIRADOURO_S3_ENDPOINT": cloud.endpoint,
            "MIRADOURO_INLINE_STORE": "s3://photos/inline",
        }
        ingest, query = here.start("ingest"), here.start("query")
        eventually("both services are ready", lambda: ingest.is_ready() and query.is_ready())

        pictures = {name: jpeg(seed=i) for i, name in enumerate(("web.jpg", "moved.jpg", "late.jpg", "s3.jpg", "inline.jpg"))}
        bad = {
            "gone.jpg": ("vanished", body(b"", status=404)),
            "broken.jpg": ("unreachable", body(b"", status=500)),
            "hangs.jpg": ("unreachable", hang),
            "page.jpg": ("not_a_photo", body(b"<!doctype html><title>Log in</title>", Content_Type="image/jpeg")),
            "endless.jpg": ("too_many_bytes", endless),
            "inward.jpg": ("invalid_argument", redirect(f"{forbidden[0]}secret")),
            "beside.jpg": ("invalid_argument", redirect("https://elsewhere.example/a.jpg")),
            "round.jpg": ("unreadable", redirect("/round.jpg")),
        }
        here.publish(*(uploaded(name, web.put(f"/{name}", answer)) for name, (_, answer) in bad.items()))
        refused = {f"refused{i}.jpg": url + "a.jpg" for i, url in enumerate(forbidden)}
        refused |= {
            "user.jpg": web.url("/a.jpg", host="me@localhost"),
            "other.jpg": "s3://secrets/a.jpg",
            "gs.jpg": "gs://photos/a.jpg",
        }
        here.publish(*(uploaded(name, uri) for name, uri in refused.items()))
        web.put("/final.jpg", body(pictures["moved.jpg"]))
        here.publish(
            uploaded("web.jpg", web.put("/web.jpg", body(pictures["web.jpg"]))),
            uploaded("moved.jpg", web.put("/moved.jpg", redirect("final.jpg"))),
            uploaded("late.jpg", web.put("/late.jpg", in_turn(body(b"", status=503), body(pictures["late.jpg"])))),
            uploaded("s3.jpg", cloud.put("uploads/s3.jpg", pictures["s3.jpg"])),
            uploaded("inline.jpg", data=pictures["inline.jpg"]),
            uploaded("words.jpg", data=b"no picture at all"),
        )

        eventually("what can be had is indexed", lambda: here.versions(COLLECTION) == dict.fromkeys(pictures, (1, False)))
        wanted = {name: reason for name, (reason, _) in bad.items()} | dict.fromkeys(refused, "invalid_argument")
        eventually("the rest are dead letters", lambda: dead_letters(here) == wanted | {"words.jpg": "not_a_photo"})
        eventually("everything is committed", lambda: here.lag() == 0)
        assert here.audit("--settled", "--sample", 0).json["photos"] == len(pictures), "the auditor finds nothing amiss"
        assert mute.connections == [], "no packet went to a forbidden host"

        sha256 = hashlib.sha256(pictures["inline.jpg"]).hexdigest()
        assert here.index.get(COLLECTION, "inline.jpg").uri == f"s3://photos/inline/{sha256[:2]}/{sha256}"
        stub = search_stub(query, stack)
        for name in pictures:  # a part of an indexed photo: the query service reads the original again
            like = pb.SearchRequest(collection=COLLECTION, like=pb.LikeQuery(photo_id=name, region=RIGHT))
            assert len(stub.Search(like).hits) == len(pictures)
            assert query.get(f"/photos/{COLLECTION}/{name}") == pictures[name]
        web.put("/web.jpg", body(b"", status=503))
        like = pb.SearchRequest(collection=COLLECTION, like=pb.LikeQuery(photo_id="web.jpg", region=RIGHT))
        with pytest.raises(grpc.RpcError) as caught:
            stub.Search(like)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

        here.publish(uploaded("hangs.jpg", web.url("/hangs.jpg"), version=2))  # what is being fetched does not hold up the end
        eventually("it is being fetched", lambda: web.requests.count("/hangs.jpg") > 1)
        assert (ingest.end(), query.end()) == (0, 0)
        assert dead_letters(here) == wanted | {"words.jpg": "not_a_photo"}
