"""Page tokens: where the next page of an answer begins, signed so that none can be made up or used for another question."""

import base64
import binascii
import hashlib
import hmac

from miradouro.core.errors import InvalidArgument

_OFFSET_BYTES = 4
_MAC_BYTES = 16
MIN_KEY_BYTES = 16


def sign_page(offset: int, *, question: bytes, key: bytes) -> str:
    """A token for the page that begins at hit number `offset` (from 0, below 2^32) of the answer to `question`.

    `question` is any encoding that differs between different questions; `key` is secret, at least 16 bytes.
    """
    head = offset.to_bytes(_OFFSET_BYTES, "big")
    return base64.urlsafe_b64encode(head + _mac(head, question, key)).rstrip(b"=").decode("ascii")


def read_page(token: str, *, question: bytes, key: bytes) -> int:
    """The offset in `token`, 0 for an empty one. Raises InvalidArgument when it is altered or of another question."""
    if not token:
        return 0
    wrong = InvalidArgument(
        "page_token", "not a token of this question from this server; ask again with an empty page_token for the first page"
    )
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise wrong from exc
    offset = int.from_bytes(raw[:_OFFSET_BYTES], "big")
    # The whole text is compared: base64 has several spellings of the same bytes.
    if not hmac.compare_digest(sign_page(offset, question=question, key=key), token):
        raise wrong
    return offset


def _mac(head: bytes, question: bytes, key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes; at least {MIN_KEY_BYTES} are needed")
    return hmac.new(key, head + hashlib.sha256(question).digest(), hashlib.sha256).digest()[:_MAC_BYTES]
