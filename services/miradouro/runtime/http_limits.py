"""The limits of `call_limits` over HTTP: a request counts until its answer is sent."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from miradouro.core.errors import Overloaded
from miradouro.runtime.call_limits import CallLimits
from miradouro.runtime.http_body import Refusal
from miradouro.runtime.http_errors import response_of


class Limited:
    """Answers requests beyond `limits` with 503 at once. The application finds its CallSlot in `scope["slot"]`."""

    def __init__(self, application: ASGIApp, *, limits: CallLimits, refused: Callable[[], None]) -> None:
        self._application, self._limits, self._refused = application, limits, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            slot = scope["slot"] = self._limits.enter(scope["caller"])
        except Overloaded as exc:
            self._refused()
            await Refusal(response_of(exc))(scope, receive, send)
            return
        try:
            await self._application(scope, receive, send)
        finally:
            slot.release()
