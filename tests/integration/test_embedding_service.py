"""The embedding service through its door: encoded photos and tensors over gRPC, tiny networks and a real one."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.bundles.registry import open_bundle
from miradouro.core.decode import DecodeLimits, decode
from miradouro.core.embedding import Embedding
from miradouro.core.errors import DeadlineExceeded, Overloaded, Unavailable
from miradouro.core.provenance import DECODE_RECIPE
from miradouro.development.engines import free_ports
from miradouro.embedding.composition import run_embedding
from miradouro.query import question_embedder
from miradouro.query.question_embedder import QuestionEmbedder
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import embedding_service_pb2 as pb
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from prometheus_client import CollectorRegistry

from tests.pictures import blocks, encode, jpeg
from tests.processes import eventually
from tests.reading import READING, reading
from tests.tiny_bundle import LABELS, SPACES, TINY, WEE, GatedNetworks, photo, tiny_bundles
from tests.waiting import WAIT_S

NAME = "miradouro.v1.EmbeddingService"


@dataclass
class Door:
    stub: EmbeddingServiceStub
    channel: grpc.Channel
    target: str
    networks: GatedNetworks
    registry: CollectorRegistry


@pytest.fixture
def door(tmp_path) -> Iterator[Door]:
    networks, registry = GatedNetworks(tiny_bundles(tmp_path)), CollectorRegistry()
    with (
        run_embedding(networks, reading=reading(DecodeLimits(200_000, 1_000_000)), registry=registry) as parts,
        running([parts.service], security=OPEN_TO_ALL, registry=registry) as server,
        open_channel(server.target) as channel,
    ):
        yield Door(EmbeddingServiceStub(channel), channel, server.target, networks, registry)
        networks.gate.set()


TINY_ON_WIRE = pb.Geometry(fit=pb.FIT_SQUASH, width=16, height=16, filter=pb.RESIZE_FILTER_BILINEAR)
WEE_ON_WIRE = pb.Geometry(fit=pb.FIT_SHORT_SIDE_CENTER_CROP, width=8, height=8, short_side=10, filter=pb.RESIZE_FILTER_BICUBIC)
ON_WIRE = {TINY: TINY_ON_WIRE, WEE: WEE_ON_WIRE}


def tensors(seed: int, first: pb.Tensor | None = None) -> pb.PhotoInput:
    """A photo of noise in both geometries; `first` replaces the tensor in TINY."""
    sent = [pb.Tensor(geometry=ON_WIRE[geometry], pixels=array.tobytes()) for geometry, array in photo(seed).items()]
    return pb.PhotoInput(tensors=pb.Tensors(tensors=[first or sent[0], *sent[1:]]))


def embed(
    door: Door, *photos: pb.PhotoInput, spaces: tuple[str, ...] = SPACES, timeout: float = WAIT_S, **options
) -> pb.EmbedResponse:
    return door.stub.Embed(pb.EmbedRequest(photos=photos, spaces=spaces, **options), timeout=timeout)


def refusal(door: Door, request: pb.EmbedRequest) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        door.stub.Embed(request, timeout=WAIT_S)
    return caught.value


def floats(row: pb.SpaceVectors) -> np.ndarray:
    return np.frombuffer(row.values, "<f4").reshape(-1, row.dimension)


def test_describe_spaces_returns_bundles_geometries_and_the_provider(door):
    answer = door.stub.DescribeSpaces(pb.DescribeSpacesRequest(), timeout=WAIT_S)
    assert answer.provider == "cpu"
    tiny, wee = answer.bundles
    assert (tiny.name, tiny.precision, tiny.can_tag, len(tiny.sha256)) == ("tiny", "fp32", True, 64)
    assert (list(tiny.geometries), list(wee.geometries)) == ([TINY_ON_WIRE], [WEE_ON_WIRE])
    assert [space.name for bundle in answer.bundles for space in bundle.spaces] == list(SPACES)
    regions = tiny.spaces[3]
    assert (regions.vectors_per_photo, regions.dimension) == (3, 8)
    assert regions.regions[2] == pb.RegionBox(x=0.5, y=0, width=0.5, height=1)


def test_encoded_photos_give_their_tensors_and_size(door):
    data = jpeg(90, 60)
    decoded = decode(data, [TINY, WEE]).tensors
    sent = pb.Tensors(
        tensors=[pb.Tensor(geometry=ON_WIRE[geometry], pixels=decoded[geometry].tobytes()) for geometry in (TINY, WEE)]
    )
    answer = embed(door, pb.PhotoInput(encoded=data), pb.PhotoInput(tensors=sent), tags=True)
    first, second = (result.embedding for result in answer.results)
    assert (first.photo_width, first.photo_height, second.photo_width, second.photo_height) == (90, 60, 0, 0)
    assert [row.space for row in first.vectors] == list(SPACES)
    for one, other in zip(first.vectors, second.vectors, strict=True):
        np.testing.assert_array_equal(floats(one), floats(other))
    assert {label.label for label in first.labels} == set(LABELS)
    assert first.labels == second.labels


def test_tensors_of_another_decode_recipe_wait(door):
    sent = tensors(1)
    sent.tensors.decode_recipe = DECODE_RECIPE
    assert embed(door, sent).results[0].HasField("embedding")
    sent.tensors.decode_recipe = DECODE_RECIPE + 1
    error = refusal(door, pb.EmbedRequest(photos=[sent], spaces=SPACES))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    versions = f"decoded by version {DECODE_RECIPE + 1} of the decode recipe, this embedding service has {DECODE_RECIPE}"
    assert versions in error.details()


def test_a_bad_photo_fails_alone_in_a_batch(door):
    good = jpeg(64, 64)
    photos = [good, b"", b"hello, I am no photo", good[: len(good) // 2], good, encode(blocks(2000, 600), "PNG"), b"x" * 200_001]
    answer = embed(door, *(pb.PhotoInput(encoded=data) for data in photos), tensors(1))
    reasons = [result.error.reason if result.WhichOneof("outcome") == "error" else "" for result in answer.results]
    assert reasons == ["", "empty", "not_a_photo", "truncated", "", "too_many_pixels", "too_many_bytes", ""]
    assert all(result.error.message and not result.error.retriable for result in answer.results if result.HasField("error"))
    assert "200,001" in answer.results[6].error.message
    refused = door.registry.get_sample_value("miradouro_embedding_refused_photos_total", {"reason": "not_a_photo"})
    assert refused == 1


def test_all_bad_photos_give_only_errors(door):
    answer = embed(door, pb.PhotoInput(encoded=b"no"), pb.PhotoInput(encoded=b""))
    assert [result.error.reason for result in answer.results] == ["not_a_photo", "empty"]
    assert door.networks.runs[-1][0] == "wee"  # nothing ran since the warm-up


PIXELS = photo(1)[TINY].tobytes()


@pytest.mark.parametrize(
    ("tensor", "field", "message"),
    [
        (
            pb.Tensor(
                geometry=pb.Geometry(fit=pb.FIT_SQUASH, width=17, height=16, filter=pb.RESIZE_FILTER_BICUBIC), pixels=PIXELS
            ),
            "photos[1].tensors[0].geometry",
            "squash to 17 x 16, bicubic, which no loaded bundle takes; allowed: tiny: squash to 16 x 16, bilinear; wee:",
        ),
        (
            pb.Tensor(geometry=pb.Geometry(width=16, height=16), pixels=PIXELS),
            "photos[1].tensors[0].geometry",
            "needs a fit and a filter",
        ),
        (
            pb.Tensor(geometry=TINY_ON_WIRE, pixels=PIXELS[:-1]),
            "photos[1].tensors[0].pixels",
            "767 bytes; height x width x 3 is 768",
        ),
        (
            pb.Tensor(geometry=WEE_ON_WIRE, pixels=b"\0" * 192),
            "photos[1].tensors[1].geometry",
            "short side 10, centre crop 8 x 8, bicubic has a tensor already",
        ),
    ],
)
def test_a_wrong_tensor_is_refused_at_its_place(door, tensor, field, message):
    error = refusal(door, pb.EmbedRequest(photos=[tensors(1), tensors(1, tensor)], spaces=SPACES))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith(f"{field}: ")
    assert message in error.details()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.EmbedRequest(photos=[tensors(1)] * 65, spaces=SPACES), "photos: 65 photos"),
        (pb.EmbedRequest(photos=[tensors(1)], spaces=["tiny/x"]), "spaces[0]: 'tiny/x' is not a known space; allowed: tiny"),
        (pb.EmbedRequest(photos=[tensors(1), pb.PhotoInput()], spaces=SPACES), "photos[1].input: is not set"),
        (pb.EmbedRequest(photos=[tensors(1)], spaces=SPACES, priority=7), "priority: 7 is not a priority; allowed: PRIORITY"),
    ],
)  # fmt: skip
def test_a_wrong_request_names_field_and_alternatives(door, request_, message):
    error = refusal(door, request_)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in error.details()
    assert dict(error.trailing_metadata())["retriable"] == "false"


def test_only_messages_above_the_limit_are_refused(tmp_path):
    with (
        run_embedding(GatedNetworks(tiny_bundles(tmp_path)), reading=READING, registry=CollectorRegistry()) as parts,
        running([parts.service], security=OPEN_TO_ALL) as server,
        grpc.insecure_channel(server.target, options=[("grpc.max_send_message_length", -1)]) as channel,
    ):
        stub = EmbeddingServiceStub(channel)
        data = jpeg(64, 64)
        padded = data + b"\0" * (32 * 2**20 - len(data))
        answer = stub.Embed(pb.EmbedRequest(photos=[pb.PhotoInput(encoded=padded)], spaces=["tiny/deep"]), timeout=WAIT_S)
        assert answer.results[0].HasField("embedding")
        with pytest.raises(grpc.RpcError) as caught:
            stub.Embed(
                pb.EmbedRequest(photos=[pb.PhotoInput(encoded=padded + b"\0" * 2**20)], spaces=["tiny/deep"]), timeout=WAIT_S
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_photos_that_wait_to_be_decoded_are_bounded(tmp_path):
    networks = GatedNetworks(tiny_bundles(tmp_path))
    with (
        run_embedding(networks, decode_pending_bytes=32 * 2**20, reading=READING, registry=CollectorRegistry()) as parts,
        running([parts.service], security=OPEN_TO_ALL) as server,
        open_channel(server.target) as channel,
    ):
        data = jpeg(64, 64)
        photos = [pb.PhotoInput(encoded=data + b"\0" * (17 * 2**20 - len(data)))]
        stub = EmbeddingServiceStub(channel)
        assert stub.Embed(pb.EmbedRequest(photos=photos, spaces=["tiny/deep"]), timeout=WAIT_S).results[0].HasField("embedding")
        half = pb.PhotoInput(encoded=data + b"\0" * (16_600_000 - len(data)))
        # Two that just do not fit together, in one request.
        with pytest.raises(grpc.RpcError) as caught:
            stub.Embed(
                pb.EmbedRequest(photos=[half, half, pb.PhotoInput(encoded=data + b"\0" * 400_000)], spaces=["tiny/deep"]),
                timeout=WAIT_S,
            )
        assert caught.value.code().name == Overloaded.status
        assert "wait to be decoded" in caught.value.details()


def test_overload_is_reported_before_any_decoding(door):
    with door.networks.closed():
        full = pb.EmbedRequest(photos=[tensors(1)] * 64, spaces=SPACES)
        waiting = [door.stub.Embed.future(full, timeout=WAIT_S) for _ in range(5)]  # 640 tensors for a queue of 512
        eventually(lambda: any(call.done() for call in waiting))
        error = refusal(door, pb.EmbedRequest(photos=[pb.PhotoInput(encoded=b"no photo")] * 64, spaces=SPACES))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(error.trailing_metadata())["retriable"] == "true"
    answered = [call for call in waiting if call.code() is grpc.StatusCode.OK]
    assert [len(call.result().results) for call in answered] == [64] * 4


def test_an_abandoned_request_is_not_embedded(door):
    with door.networks.closed():
        first = door.stub.Embed.future(pb.EmbedRequest(photos=[tensors(1)], spaces=["wee/features"]), timeout=WAIT_S)
        assert door.networks.arrived.wait(WAIT_S)
        second = door.stub.Embed.future(pb.EmbedRequest(photos=[tensors(2)], spaces=["tiny/deep"]), timeout=WAIT_S)
        waits = {"priority": "interactive"}
        eventually(lambda: door.registry.get_sample_value("miradouro_embedding_queue_tensors", waits) == 1)
        second.cancel()
        cancelled = {"service": NAME, "method": "Embed", "status": "CANCELLED"}
        eventually(lambda: door.registry.get_sample_value("miradouro_rpc_calls_total", cancelled) == 1)
    assert len(first.result().results) == 1
    embed(door, tensors(3), spaces=("wee/features",))
    assert [run[0] for run in door.networks.runs] == ["wee", "wee"]


def test_health_and_reflection_answer(door):
    reply = health_pb2_grpc.HealthStub(door.channel).Check(health_pb2.HealthCheckRequest(service=NAME), timeout=WAIT_S)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    assert NAME in ProtoReflectionDescriptorDatabase(door.channel).get_services()


def test_questions_wait_for_a_service_that_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(question_embedder, "_PATIENCE_S", WAIT_S)
    networks, address = GatedNetworks(tiny_bundles(tmp_path)), f"127.0.0.1:{free_ports(1)[0]}"
    with (
        run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts,
        GrpcEmbedder(address) as client,
        ExitStack() as servers,
    ):
        is_back: list[bool] = []

        class Restarted:
            """An embedder whose service starts once the first question has failed."""

            def embed(self, *args: Any, **kwargs: Any) -> list[Embedding]:
                try:
                    return client.embed(*args, **kwargs)
                except Unavailable:
                    if not is_back:
                        servers.enter_context(running([parts.service], security=OPEN_TO_ALL, listen=address))
                        is_back.append(True)
                    raise

            describe = client.describe

        with pytest.raises(Unavailable, match=address):  # the adapter tries once
            client.embed([photo(1)], spaces=["tiny/deep"], timeout_s=WAIT_S)
        with pytest.raises((Unavailable, DeadlineExceeded), match=address):
            QuestionEmbedder(client).embed([photo(1)], spaces=["tiny/deep"], timeout_s=0.2)
        assert len(QuestionEmbedder(Restarted()).embed([photo(1)], spaces=["tiny/deep"], timeout_s=WAIT_S)) == 1


def test_a_real_network_gives_equal_vectors_over_grpc(models_dir):
    bundle = open_bundle("efficientnet-lite0", precision="int8", folder=models_dir)
    networks = OnnxEmbedder([bundle], threads=2)
    data = jpeg(320, 240)
    [geometry] = bundle.description.needed_geometries(["efficientnet-lite0/features"], tags=True)
    tensor = decode(data, [geometry]).tensors[geometry]
    expected = networks.run(
        "efficientnet-lite0", {geometry: tensor[np.newaxis]}, spaces=["efficientnet-lite0/features"], tags=True
    )
    with (
        run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts,
        running([parts.service], security=OPEN_TO_ALL) as server,
        open_channel(server.target) as channel,
        GrpcEmbedder(server.target) as client,
    ):
        request = pb.EmbedRequest(photos=[pb.PhotoInput(encoded=data)], spaces=["efficientnet-lite0/features"], tags=True)
        embedding = EmbeddingServiceStub(channel).Embed(request, timeout=WAIT_S).results[0].embedding
        by_tensor = client.embed([{geometry: tensor}], spaces=["efficientnet-lite0/features"], tags=True)[0]
        assert client.describe() == networks.descriptions
    np.testing.assert_allclose(floats(embedding.vectors[0]), expected.vectors["efficientnet-lite0/features"][0], atol=1e-6)
    np.testing.assert_array_equal(by_tensor.vectors["efficientnet-lite0/features"], floats(embedding.vectors[0]))
    assert embedding.vectors[0].dimension == 1280
    assert embedding.labels[0].probability == pytest.approx(expected.probabilities.max())
    assert [label.label for label in by_tensor.labels] == [label.label for label in embedding.labels]


def serve_embedding(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", "from miradouro.cli.main import main; main()", "serve", "embedding", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_serve_embedding_reports_address_metrics_and_ends_cleanly(models_dir):
    environment = {
        "MIRADOURO_MODELS_DIR": str(models_dir),
        "MIRADOURO_BUNDLES": "efficientnet-lite0",
        "MIRADOURO_METRICS_LISTEN": "127.0.0.1:0",
    }
    with serve_embedding("--no-token", "--listen", "127.0.0.1:0", **environment) as process:
        try:
            metrics_line, ready = process.stdout.readline(), process.stdout.readline()
            assert ready.startswith("embedding service ready on 127.0.0.1:")
            assert ready.rstrip().endswith("(cpu: efficientnet-lite0 int8)")
            with open_channel(ready.split()[4]) as channel:
                request = pb.EmbedRequest(photos=[pb.PhotoInput(encoded=jpeg())], spaces=["efficientnet-lite0/features"])
                assert EmbeddingServiceStub(channel).Embed(request, timeout=WAIT_S).results[0].HasField("embedding")
            with urllib.request.urlopen(metrics_line.split()[-1], timeout=WAIT_S) as reply:
                assert b'miradouro_embedding_photos_total{priority="interactive"} 1.0' in reply.read()
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "environment", "parts"),
    [
        (["--listen", "0.0.0.0:50051"], {}, ["--listen='0.0.0.0:50051'", "MIRADOURO_TLS_CERT_FILE", "MIRADOURO_TOKEN_FILE"]),
        ([], {"MIRADOURO_EMBEDDING_LISTEN": "10.0.0.1:1"}, ["MIRADOURO_EMBEDDING_LISTEN='10.0.0.1:1'"]),
        (["--no-token"], {"MIRADOURO_MODELS_DIR": "/nowhere"}, ["/nowhere", "miradouro models pull"]),
        (["--no-token"], {"MIRADOURO_PROVIDER": "tpu"}, ["MIRADOURO_PROVIDER='tpu'"]),
        (["--no-token"], {"MIRADOURO_BUNDLES": "alexnet"}, ["alexnet"]),
    ],
)
def test_serve_embedding_refuses_a_start_in_one_line(arguments, environment, parts):
    with serve_embedding(*arguments, **environment) as process:
        try:
            _, errors = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
    assert process.returncode == 1
    for part in parts:
        assert part in errors
    assert "Traceback" not in errors
