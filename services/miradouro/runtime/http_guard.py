"""What stands before every HTTP handler: whose name the request uses, who sent it, and what browsers may do with answers.

A server on loopback is reached by every page that a person opens. A page of another origin can't read our answers (there is
no CORS), but it may send requests, and by DNS rebinding it may become our origin by name: hence both checks. With tokens set,
every request needs one: programs send it as a bearer, browsers ask a person for it, as the password of any user.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miradouro.runtime.addresses import Address
from miradouro.runtime.call import Caller
from miradouro.runtime.http_body import Refusal
from miradouro.runtime.http_errors import error_response
from miradouro.runtime.security import ServerSecurity

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
_PORTS = {"http": 80, "https": 443}
_READING = {"GET", "HEAD"}
_UNKNOWN_CALLER = "a token is needed: send `Authorization: Bearer TOKEN`, or Basic with any user and the token as password"
_CHALLENGES = ('Basic realm="miradouro", charset="UTF-8"', 'Bearer realm="miradouro"')


@dataclass(frozen=True)
class Hosts:
    """The values of Host that mean us: `here` as they stand, `named` with any port unless they tell one themselves."""

    here: frozenset[str]
    named: frozenset[str] = frozenset()
    scheme: str = "http"

    def means_us(self, host: str) -> bool:
        """Whether a Host header does."""
        host = host.lower()
        return host in self.here or host in self.named or _without_port(host) in self.named

    def is_ours(self, origin: str, host: str) -> bool:
        """Whether an Origin header tells of our own page, for a request to `host`.

        In front of a named host there may be a proxy, which speaks TLS or not.
        """
        scheme, _, page = origin.lower().partition("://")
        if page in self.here:
            return scheme == self.scheme
        return scheme in {"http", "https"} and page in {host.lower()} | self.named

    def __str__(self) -> str:
        return ", ".join(sorted(self.here | self.named))


def own_hosts(address: Address, named: Iterable[str] = (), *, scheme: str = "http") -> Hosts:
    """Those by which we are called: the address we listen at and localhost, with our port (left out where it is the scheme's),
    and `named`. `scheme` is what we speak ourselves."""
    names = {str(address.here), f"localhost:{address.port}"}
    if address.port == _PORTS[scheme]:
        names |= {name.removesuffix(f":{address.port}") for name in names}
    return Hosts(frozenset(names), frozenset(name.lower() for name in named), scheme)


class Guard:
    """Refuses requests for another host (421), without a token (401), and changes asked by another origin's page (403).

    Adds the security headers to every answer. What the application gets has its Caller in `scope["caller"]`.
    """

    def __init__(
        self, application: ASGIApp, *, hosts: Hosts, security: ServerSecurity, refused: Callable[[], None] = lambda: None
    ) -> None:
        self._application, self._hosts, self._security, self._refused = application, hosts, security, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SECURITY_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        scope["caller"] = self._security.identify(headers.get("authorization", ""), peer=(scope.get("client") or ("", 0))[0])
        refusal = self._refusal(scope["method"], headers, scope["caller"])
        await (refusal or self._application)(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers, caller: Caller | None) -> ASGIApp | None:
        host = headers.get("host", "")
        if not self._hosts.means_us(host):
            message = f"Host: {host!r} is not this server; allowed: {self._hosts}, and what MIRADOURO_HTTP_HOSTS names"
            return error_response("INVALID_ARGUMENT", message, code=421)
        if caller is None:
            self._refused()
            refusal = error_response("UNAUTHENTICATED", _UNKNOWN_CALLER)
            for challenge in _CHALLENGES:  # a header for each: browsers read one challenge from a header
                refusal.headers.append("WWW-Authenticate", challenge)
            return refusal if method in _READING else Refusal(refusal)
        origin = headers.get("origin")
        if method not in _READING and origin is not None and not self._hosts.is_ours(origin, host):
            message = f"Origin: pages of {origin!r} may not do this; allowed: {self._hosts}"
            return error_response("UNAUTHENTICATED", message, code=403)
        return None


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdigit() else host
