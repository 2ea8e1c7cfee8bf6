"""URIs for display: without user information, query and fragment, which may hold passwords, tokens and signatures.

Errors, logs and answers use this form; the stored URI stays complete, because photos are fetched by it.

A malformed URI may hold its secret anywhere: a password that contains a slash or an at sign ends the authority too early.
Everything that may be part of a secret is left out, so the result may be shorter than necessary. Redaction is idempotent.
"""

import re

_LEFT_OUT = "…"

_AT = re.compile(r"@|%(?:25)*40")  # encoded too, and encoded twice
_SCHEME = re.compile(r"\s*([A-Za-z0-9+.-]*):[/\\]{0,2}")
_START = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z0-9+.-]*):[/\\]{2}")  # of a URI within a text; JSON may escape its slashes
_WORD = re.compile(r"\S*")
_PATH = re.compile(r"[^\s?#]*")
_HEAD = re.compile(r"[^?#]*")
_CLOSING = "'\"),.;:!?]}>`"  # behind a URI these belong to the sentence

# When the text after the scheme begins like this, a later at sign belongs to the path.
_FILE = re.compile(r"(?:localhost)?(?:/(?![/\\])|$)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](?=[/?#]|$)")
_HOST = re.compile(r"(?:localhost|(?=[\w.-]{1,253}(?![\w.-]))[\w-]+(?:\.[\w-]+)+|\[[0-9a-fA-F:.]{2,45}\])(?=[/?#]|$)")
_CERTAIN = {"file": _FILE, "s3": _BUCKET, "s3a": _BUCKET, "gs": _BUCKET, "gcs": _BUCKET}
# When it begins like this, it holds no secret unless an at sign follows.
_LEGAL = re.compile(rf"(?:{_LEFT_OUT}|[\w.-]{{0,253}}|\[[0-9a-fA-F:.]{{2,45}}\])(?::[0-9]{{0,5}})?(?=[/?#]|$)")


def public_uri(uri: str) -> str:
    """`uri` without user information, query and fragment; the path of a URI without a scheme is kept."""
    scheme = _SCHEME.match(uri)
    if scheme is None:
        is_path = _FILE.match(uri) or not _AT.search(uri)
        if is_path:
            return _first(_HEAD, uri)
        rest = _public_rest("", uri).strip()
        return rest if rest == uri else public_uri(rest)
    return (scheme[0] + _public_rest(scheme[1], uri[scheme.end() :])).strip()


def public_error(error: Exception, uri: str) -> str:
    """A library's error about `uri`, as text: only its type when the URI has secrets, because the message may repeat them."""
    if public_uri(uri) != uri:
        return type(error).__name__
    return f"{type(error).__name__}: {public_text(str(error))}"


def public_text(text: str) -> str:
    """`text` with each URI that contains // redacted as by `public_uri`.

    White space ends a URI here: pass a URI that may contain white space to `public_uri` first.
    """
    parts, at = [], 0
    start = _START.search(text)
    while start is not None:
        parts.append(text[at : start.end()])
        inner = _START.search(text, start.end())
        before = _first(_PATH, text, start.end(), inner.start() if inner else start.end())
        at = start.end() + len(before)
        if inner is not None and at == inner.start() and _is_certain(start[1], before):
            parts.append(before)  # a list without blanks, or an address in the path of another
            start = inner
        else:
            uri = _first(_WORD, text, start.end()).rstrip(_CLOSING)
            parts.append(_public_rest(start[1], uri))
            at = start.end() + len(uri)
            start = _START.search(text, at)
    return "".join([*parts, text[at:]])


def _public_rest(scheme: str, rest: str) -> str:
    """The part after the scheme, without secrets."""
    head = _first(_HEAD, rest)
    if _is_certain(scheme, rest):
        return head
    signs = list(_AT.finditer(head))
    is_sign_behind = _AT.search(rest, len(head)) is not None  # in a query, or behind a password that contains ? or #
    if not signs:
        return head if _LEGAL.match(rest) and not is_sign_behind else _LEFT_OUT
    if is_sign_behind:
        return _LEFT_OUT
    behind = head[signs[-1].end() :]
    is_authority = "/" not in head[: signs[-1].start()]
    return _public_rest(scheme, behind) if is_authority else f"{_LEFT_OUT}/{behind}"


def _is_certain(scheme: str, rest: str) -> bool:
    return _CERTAIN.get(scheme.lower(), _HOST).match(rest) is not None


def _first(pattern: re.Pattern[str], text: str, at: int = 0, end: int | None = None) -> str:
    found = pattern.match(text, at) if end is None else pattern.match(text, at, end)
    assert found is not None, "it matches an empty text too"
    return found[0]
