"""What stands before every HTTP handler: whose name the request uses, whose page sent it, and what browsers may do with answers.

A server on loopback is reached by every page that a person opens. A page of another origin can't read our answers (there is
no CORS), but it may send requests, and by DNS rebinding it may become our origin by name: hence both checks.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miradouro.runtime.addresses import Address
from miradouro.runtime.http_errors import error_response

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "connect-src 'self'",
        "img-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_READING = {"GET", "HEAD"}


def own_hosts(address: Address) -> frozenset[str]:
    """The values of Host that mean us: the address we listen at, and localhost, with our port (left out where it is 80)."""
    names = {str(Address(address.host, address.port)), f"localhost:{address.port}"}
    if address.port == 80:
        names |= {name.removesuffix(":80") for name in names}
    return frozenset(names)


class Guard:
    """Refuses requests for another host (421) and changes asked by another origin's page (403); adds the security headers."""

    def __init__(self, application: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._application = application
        self._hosts = frozenset(hosts)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._application)(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> ASGIApp | None:
        allowed = ", ".join(sorted(self._hosts))
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            return error_response("INVALID_ARGUMENT", f"Host: {host!r} is not this server; allowed: {allowed}", code=421)
        origin = headers.get("origin")
        if method not in _READING and origin is not None and origin.lower() not in self._origins:
            return error_response("UNAUTHENTICATED", f"Origin: pages of {origin!r} may not do this; allowed: {allowed}", code=403)
        return None
