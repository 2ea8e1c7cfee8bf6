"""The JSON object of a sidecar file."""

from collections.abc import Mapping

from pydantic_core import from_json

from miradouro.core.error_text import shown
from miradouro.core.sidecars.values import NotValidError

MAX_SIDECAR_BYTES = 1024 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"


def read_object(data: bytes) -> Mapping[str, object]:
    """The keys and values of a JSON object in UTF-8, with a byte order mark or without.

    The parser bounds the depth; MAX_SIDECAR_BYTES bounds everything else. Raises NotValidError.
    """
    try:
        found = from_json(data.removeprefix(_UTF8_MARK))
    except ValueError as exc:
        raise NotValidError(f"it is not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise NotValidError(f"it holds {shown(found)}, not an object")
    return found
