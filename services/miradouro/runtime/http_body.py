"""Reads whole request bodies within limits of size, time and total memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from miradouro.core.errors import InvalidArgument, Unavailable
from miradouro.runtime.byte_budget import ByteBudget
from miradouro.runtime.call_limits import CallSlot

LINGER_S = 2.0  # for a sender that does not look at answers before it has sent everything


class TooLarge(InvalidArgument):
    """The body passes the limit; it has not been read."""


class BodyReader:
    """Reads bodies within `timeout_s` seconds, all of them together within `budget`. Used on the event loop only."""

    def __init__(self, *, timeout_s: float, budget: ByteBudget) -> None:
        self._timeout_s, self._budget = timeout_s, budget

    @asynccontextmanager
    async def read(self, request: Request, *, max_bytes: int) -> AsyncIterator[bytes]:
        """The body of a request in a CallSlot, of at most `max_bytes`; it counts against the budget until the block ends.

        Raises TooLarge, as early as its length is known, TooSlow, Overloaded and Unavailable (the sender hung up).
        """
        slot: CallSlot = request.scope["slot"]
        length = request.headers.get("content-length", "")
        _check(int(length) if length.isascii() and length.isdigit() else 0, max_bytes)
        held = 0
        try:
            chunks: list[bytes] = []
            try:
                async with slot.receiving(self._timeout_s):
                    async for chunk in request.stream():
                        _check(held + len(chunk), max_bytes)
                        self._budget.take(len(chunk))
                        held += len(chunk)
                        chunks.append(chunk)
            except ClientDisconnect as exc:
                raise Unavailable("the sender hung up before the end of the body") from exc
            body = b"".join(chunks)
            chunks.clear()
            yield body
        finally:
            self._budget.give(held)


def _check(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge("body", f"it has {size:,} bytes or more; allowed: {max_bytes:,}")


class Refusal:
    """Answers at once, keeps reading for a moment and closes: after a reset the sender would not see the answer."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status_code = response.status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # every ASGI application takes it
        """Sends the answer."""
        headers = [*self._response.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self._response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(self._response.body), "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})
