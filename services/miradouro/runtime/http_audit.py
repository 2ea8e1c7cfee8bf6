"""Refused requests over HTTP in the audit log."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miradouro.runtime.audit_log import RefusedCalls

# Without a token, of another origin's page, for another host, and beyond the limits.
_REFUSALS = {401: "UNAUTHENTICATED", 403: "FOREIGN_ORIGIN", 421: "FOREIGN_HOST", 503: "RESOURCE_EXHAUSTED"}


class Audited:
    """Counts the answers of `application` that refuse a request."""

    def __init__(self, application: ASGIApp, refused: RefusedCalls) -> None:
        self._application, self._refused = application, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                caller = scope.get("caller")
                peer = (scope.get("client") or ("", 0))[0]
                self._refused.add(_REFUSALS[message["status"]], peer=peer, token_id=caller.token_id if caller else "")
            await send(message)

        await self._application(scope, receive, send_counted)
