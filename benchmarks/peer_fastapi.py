"""Peer: FastAPI under uvicorn, photos embedded in threads. Imports nothing of Miradouro.

A handler without `async` runs in the thread pool of the framework, as its guide recommends for blocking work. THREADS of them
answered the most photos a second on two cores.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import Body, FastAPI, Response
from peer_network import from_environment

THREADS = 8
LIMIT = 64

network = from_environment()


@asynccontextmanager
async def few_threads(_: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=few_threads)


@app.post("/embed")
def embed(photo: bytes = Body(media_type="image/jpeg")) -> Response:
    return Response(network.embed(photo), media_type="application/octet-stream")


@app.get("/ready")
def ready() -> str:
    return "ready"


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), limit_concurrency=LIMIT, log_level="error", access_log=False)
