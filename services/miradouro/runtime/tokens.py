"""Bearer tokens (RFC 6750) in a file, one per line. Servers accept all of them; clients send the first.

To rotate a token without a refused call, add the new one as the second line everywhere, then move it to the first line, then
remove the old one. The file of a setting is reloaded when it changes.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from miradouro.runtime.call import TOKEN_ID_CHARS
from miradouro.runtime.swapped_files import SwappedFiles
from miradouro.runtime.token_file import read_tokens

TOKEN_FILE = "MIRADOURO_TOKEN_FILE"  # noqa: S105 # a variable's name


class Tokens:
    """The tokens of a file; see `read_tokens` for `name`. Raises ConfigurationError, which never contains a token.

    The file of a setting is reloaded when it changes. The data folder's own token (`is_own`) is read once: only a new start
    changes it, and calls need not stat its file.
    """

    def __init__(self, path: Path, *, name: str = "", is_own: bool = False) -> None:
        name = name or f"{TOKEN_FILE}={str(path)!r}"

        def read() -> tuple[_Token, ...]:
            return tuple(_Token(text, _digest(text)) for text in read_tokens(path, name=name, is_own=is_own))

        if is_own:
            fixed = read()
            self._current: Callable[[], tuple[_Token, ...]] = lambda: fixed
        else:
            self._current = SwappedFiles([path], read).current

    @property
    def first(self) -> str:
        """The token that clients send."""
        return self._current()[0].text

    def find(self, shown: str) -> str:
        """The id (see `Caller.token_id`) of the token that equals `shown`, empty without one. Compares in constant time."""
        digest = _digest(shown)
        found = ""
        for token in self._current():
            if hmac.compare_digest(token.digest, digest):
                found = digest.hex()[:TOKEN_ID_CHARS]
        return found


@dataclass(frozen=True)
class _Token:
    text: str
    digest: bytes


def token_in(authorization: str) -> str:
    """The token in the value of an Authorization header: as a bearer, or as the password of any user (RFC 7617); else empty."""
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    if scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(shown.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return ""
        return user_and_password.partition(":")[2]
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
