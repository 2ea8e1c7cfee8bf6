"""A TCP relay whose connections come from a chosen address of loopback: grpcio cannot choose the address that it calls from."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.attacks.target import split

_CHUNK = 2**16


@contextmanager
def relay(target: str, source: str) -> Iterator[str]:
    """The address of a relay to `target` that connects from `source`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(_serve(target, source), loop).result()
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(target: str, source: str) -> asyncio.Server:
    host, port = split(target)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(host, port, local_addr=(source, 0))
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):  # the relay ends: nothing awaits this
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    return await asyncio.start_server(accept, source, 0)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _end() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
