"""Bearer tokens (RFC 6750) in a file, one a line: who shows one of them is let in; our own clients show the first.

So a token is changed without a refused call: add the new one as the second line, everywhere; then move it to the first; then take
the old one out. The file is read again whenever it was changed or swapped.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import Path

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.call import TOKEN_ID_CHARS
from miradouro.runtime.swapped_files import SwappedFiles

MIN_TOKEN_CHARS = 32
TOKEN_FILE = "MIRADOURO_TOKEN_FILE"  # noqa: S105 # a variable's name
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Tokens:
    """The tokens of a file. Raises ConfigurationError naming the setting and the line, never the token."""

    def __init__(self, path: Path) -> None:
        self._file = SwappedFiles([path], lambda: tuple(_Token(text, _digest(text)) for text in _read(path)))

    @property
    def first(self) -> str:
        """The token that our clients send."""
        return self._file.current()[0].text

    def find(self, shown: str) -> str:
        """The id (see `Caller.token_id`) of the token that equals `shown`, empty if none does; in constant time."""
        digest = _digest(shown)
        found = ""
        for token in self._file.current():
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


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as exc:
        raise ConfigurationError(f"{TOKEN_FILE}={str(path)!r}: {exc.strerror}; name a file with one token a line") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{TOKEN_FILE}={str(path)!r}: it is no text; name a file with one token a line") from exc
    tokens = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token:
            continue
        if len(token) < MIN_TOKEN_CHARS or not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                f"{TOKEN_FILE}={str(path)!r}: line {number} is no token: {len(token)} characters, "
                f"wanted {MIN_TOKEN_CHARS} or more, of letters, digits and ._~+/- alone; make one with `openssl rand -hex 32`"
            )
        tokens.append(token)
    if not tokens:
        raise ConfigurationError(f"{TOKEN_FILE}={str(path)!r}: it is empty; make a token with `openssl rand -hex 32`")
    return tuple(tokens)
