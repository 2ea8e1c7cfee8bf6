"""Peer: BentoML, one worker with threads. Imports nothing of Miradouro.

Its guide recommends adaptive batching where batches gain, which they do not on a CPU, and `threads` for blocking methods.
"""

import bentoml
from peer_network import from_environment

THREADS = 8
LIMIT = 64


@bentoml.service(
    name="network",
    workers=1,
    threads=THREADS,
    traffic={"timeout": 120, "concurrency": THREADS, "max_concurrency": LIMIT},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Service:
    def __init__(self) -> None:
        self.network = from_environment()

    @bentoml.api(route="/embed")
    def embed(self, photo: bytes, /) -> bytes:
        return self.network.embed(photo)
