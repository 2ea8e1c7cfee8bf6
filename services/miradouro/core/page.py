"""Page tokens: the start of the next page of an answer, signed. A token can't be forged or used for another question."""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime

from miradouro.core.errors import InvalidArgument
from miradouro.core.query import After, Behind

_MAC_BYTES = 16
MIN_KEY_BYTES = 16

Page = int | After | Behind  # the number of its first hit, from 0; or the hit before it


def sign_page(page: Page, *, question: bytes, key: bytes) -> str:
    """A token for that `page` of the answer to `question`.

    `question` is any encoding that differs between different questions; `key` is secret, at least 16 bytes. A token is valid as
    long as the key is in use; it does not expire.
    """
    head = _written(page)
    return base64.urlsafe_b64encode(_mac(head, question, key) + head).rstrip(b"=").decode("ascii")


def read_page(token: str, *, question: bytes, key: bytes) -> Page:
    """The page in `token`, 0 for an empty one. Raises InvalidArgument when it is altered, of another question or another key."""
    if not token:
        return 0
    wrong = InvalidArgument(
        "page_token",
        "not a token of this question from this server as it runs now; ask again with an empty page_token for the first page",
    )
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise wrong from exc
    head = raw[_MAC_BYTES:]
    # The whole text is compared as well: base64 has several spellings of the same bytes.
    signed = base64.urlsafe_b64encode(_mac(head, question, key) + head).rstrip(b"=")
    if not hmac.compare_digest(signed, token.encode()):
        raise wrong
    return _read(head)


def _written(page: Page) -> bytes:
    if isinstance(page, After):
        taken = page.taken_at.isoformat() if page.taken_at else None
        return json.dumps([page.photo_id, page.score, taken], separators=(",", ":")).encode("ascii")
    if isinstance(page, Behind):
        return json.dumps([page.offset, page.photo_id, page.distance], separators=(",", ":")).encode("ascii")
    return str(page).encode("ascii")


def _read(head: bytes) -> Page:
    fields = json.loads(head)
    if isinstance(fields, int):
        return fields
    if isinstance(fields[0], int):
        return Behind(*fields)
    photo_id, score, taken = fields
    return After(photo_id, score, datetime.fromisoformat(taken) if taken else None)


def _mac(head: bytes, question: bytes, key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes; at least {MIN_KEY_BYTES} are needed")
    return hmac.new(key, hashlib.sha256(question).digest() + head, hashlib.sha256).digest()[:_MAC_BYTES]
