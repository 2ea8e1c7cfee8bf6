"""The checks before every HTTP handler: Host, token, Origin, and the security headers of answers.

Every page that a user opens can reach a server on loopback. A page of another origin cannot read the answers (there is no CORS),
but it can send requests, and by DNS rebinding it can use the server's origin. Therefore both Host and Origin are checked.

Every request needs a token. Programs send it as a bearer token; browsers ask the user for it, as the password of any user name.
A browser may send a cookie of a sign-in link instead (see `http_sign_in`); then a request that changes something must come from
the server's own page.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miradouro.core.error_text import shown
from miradouro.runtime.addresses import Address
from miradouro.runtime.call import Caller
from miradouro.runtime.http_body import Refusal
from miradouro.runtime.http_errors import error_response
from miradouro.runtime.http_sign_in import KEY, SIGN_IN, SignIn, refused_page
from miradouro.runtime.rpc import HTTP_CODES
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
    """The accepted values of Host: `here` exactly, `named` with any port unless they contain one."""

    here: frozenset[str]
    named: frozenset[str] = frozenset()
    scheme: str = "http"

    def means_us(self, host: str) -> bool:
        """Whether a Host header is accepted."""
        host = host.lower()
        return host in self.here or host in self.named or _without_port(host) in self.named

    def is_ours(self, origin: str, host: str) -> bool:
        """Whether an Origin header names the server's own page, for a request to `host`.

        Accepts both schemes for a named host: a proxy in front of it may or may not use TLS.
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
        self,
        application: ASGIApp,
        *,
        hosts: Hosts,
        security: ServerSecurity,
        sign_in: SignIn | None = None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._application, self._hosts, self._security = application, hosts, security
        self._sign_in, self._refused = sign_in, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._application)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """The refusal of a request; None when it is accepted, with its caller in `scope`."""
        host = headers.get("host", "")
        if not self._hosts.means_us(host):
            message = f"Host: {shown(host)} is not this server; allowed: {self._hosts}, and what MIRADOURO_HTTP_HOSTS names"
            return error_response("INVALID_ARGUMENT", message, code=421)
        peer = (scope.get("client") or ("", 0))[0]
        caller, has_cookie = self._security.identify(headers.get("authorization", ""), peer=peer), False
        if caller is None and self._sign_in and (cookie_id := self._sign_in.caller_id(headers)):
            caller, has_cookie = Caller(peer, cookie_id, is_owner=False), True
        if self._sign_in and (key := _key_of_link(scope)):
            return self._counted(self._sign_in.redeem(key, is_in=caller is not None))
        if caller is None:
            return self._counted(self._unknown(scope, headers))
        scope["caller"] = caller
        if scope["method"] not in _READING and not self._is_from_our_page(headers, host, has_cookie=has_cookie):
            message = f"Origin: pages of {shown(headers.get('origin'))} may not do this; allowed: {self._hosts}"
            return error_response("UNAUTHENTICATED", message, code=403)
        return None

    def _unknown(self, scope: Scope, headers: Headers) -> Response | Refusal:
        # A browser would ask for a password before it shows a page, so a page comes without that challenge.
        is_page = scope["method"] in _READING and "text/html" in headers.get("accept", "")
        if self._sign_in and is_page and scope["path"] != SIGN_IN:
            return refused_page()
        refusal = error_response("UNAUTHENTICATED", _UNKNOWN_CALLER)
        for challenge in _CHALLENGES:  # a header for each: browsers read one challenge from a header
            refusal.headers.append("WWW-Authenticate", challenge)
        return refusal if scope["method"] in _READING else Refusal(refusal)

    def _counted(self, answer: Response | Refusal) -> Response | Refusal:
        if answer.status_code == HTTP_CODES["UNAUTHENTICATED"]:
            self._refused()
        return answer

    def _is_from_our_page(self, headers: Headers, host: str, *, has_cookie: bool) -> bool:
        """Whether the request does not come from another origin's page. Programs send no Origin; browsers with cookies do."""
        origin = headers.get("origin")
        if origin is None:
            return not has_cookie or headers.get("sec-fetch-site") == "same-origin"
        return self._hosts.is_ours(origin, host)


def _key_of_link(scope: Scope) -> str:
    """The key of a link that is opened, empty for any other request."""
    return QueryParams(scope["query_string"]).get(KEY, "") if (scope["method"], scope["path"]) == ("GET", "/") else ""


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdigit() else host
