"""Request bodies: read whole, but never more, slower or more at a time than is allowed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from miradouro.core.errors import DeadlineExceeded, InvalidArgument, Overloaded, Unavailable

LINGER_S = 2.0  # for a sender that does not look at answers before it has sent everything


class TooLarge(InvalidArgument):
    """The body passes the limit; it has not been read."""


class TooSlow(DeadlineExceeded):
    """The body did not arrive in time; the rest of it has not been read."""


class BodyReader:
    """Reads bodies of at most `max_bytes` within `timeout_s` seconds, all of them together at most `pending_bytes`.

    Used on the event loop only.
    """

    def __init__(self, *, max_bytes: int, timeout_s: float, pending_bytes: int) -> None:
        self._max_bytes, self._timeout_s, self._free = max_bytes, timeout_s, max(pending_bytes, max_bytes)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which counts against the limit of all until the block ends.

        Raises TooLarge, as early as its length is told, TooSlow, Overloaded and Unavailable (the sender hung up).
        """
        told = request.headers.get("content-length", "")
        self._check(int(told) if told.isascii() and told.isdigit() else 0)
        held = 0
        try:
            chunks: list[bytes] = []
            try:
                async with asyncio.timeout(self._timeout_s):
                    async for chunk in request.stream():
                        self._check(held + len(chunk))
                        self._take(len(chunk))
                        held += len(chunk)
                        chunks.append(chunk)
            except TimeoutError as exc:
                raise TooSlow(f"the body did not arrive within {self._timeout_s:g} s; send it faster") from exc
            except ClientDisconnect as exc:
                raise Unavailable("the sender hung up before the end of the body") from exc
            body = b"".join(chunks)
            chunks.clear()
            yield body
        finally:
            self._free += held

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLarge("body", f"it has {size:,} bytes or more; allowed: {self._max_bytes:,}")

    def _take(self, size: int) -> None:
        if size > self._free:
            raise Overloaded("other requests' bodies fill the memory set aside for them; ask again after a pause")
        self._free -= size


class Refusal:
    """Answers at once and hangs up, but listens for a moment first: a sender that is reset would never see the answer."""

    def __init__(self, response: Response) -> None:
        self._response = response

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
