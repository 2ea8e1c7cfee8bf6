"""A real embedding service on two tiny networks, in this process: for tests of what surrounds it, with many photos."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.embedding.composition import run_embedding
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.runtime.server_limits import ServerLimits
from prometheus_client import CollectorRegistry

from tests.reading import READING
from tests.tiny_bundle import tiny_bundles


@contextmanager
def tiny_embedding(folder: Path) -> Iterator[str]:
    """Its address; the networks are written into `folder`."""
    networks = OnnxEmbedder(tiny_bundles(folder), threads=1)
    with (
        run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts,
        running([parts.service], security=OPEN_TO_ALL, listen="127.0.0.1:0", limits=ServerLimits()) as server,
    ):
        yield server.target
