"""Sign-in of browsers without a token: a link that works once sets a cookie that is valid while the process runs.

Cookies ignore ports: a browser sends them to every server on the same host name. The server of another user on this machine gets
the cookie when the owner opens a page there. Therefore the cookie is not the token: it permits only searching and viewing, and
becomes invalid with the end of the process.
"""

import hashlib
import secrets
import threading
import time

from miradouro.runtime.call import TOKEN_ID_CHARS

LINK_GOOD_FOR_S = 30 * 60.0  # long enough to wait for the first photos before opening the link
COOKIE_GOOD_FOR_S = 7 * 24 * 3_600  # at most: a restart ends it earlier
_MAX_OPEN = 64  # links and cookies each; the oldest ends


class BrowserSessions:
    """The link keys and cookie values that this process issued. Stores only their digests. Thread-safe."""

    def __init__(self) -> None:
        self._links: dict[str, float] = {}  # digest → end on the clock of time.monotonic
        self._cookies: dict[str, float] = {}
        self._lock = threading.Lock()

    def new_key(self) -> str:
        """The key of a new link, valid for one use within LINK_GOOD_FOR_S seconds."""
        return self._new(self._links, LINK_GOOD_FOR_S)

    def redeem(self, key: str) -> str | None:
        """The value of a new cookie for the key of a link; None when the key was used, has expired or is unknown."""
        with self._lock:
            ends = self._links.pop(_digest(key), 0.0)
        return self._new(self._cookies, COOKIE_GOOD_FOR_S) if time.monotonic() < ends else None

    def find(self, cookie: str) -> str:
        """The id of a valid cookie (as `Caller.token_id`), empty for any other."""
        digest = _digest(cookie)
        with self._lock:
            is_good = time.monotonic() < self._cookies.get(digest, 0.0)
        return digest[:TOKEN_ID_CHARS] if is_good else ""

    def _new(self, among: dict[str, float], good_for_s: float) -> str:
        value = secrets.token_urlsafe(32)
        with self._lock:
            while len(among) >= _MAX_OPEN:
                del among[next(iter(among))]
            among[_digest(value)] = time.monotonic() + good_for_s
        return value


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
