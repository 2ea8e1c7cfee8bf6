"""The connection to the cluster, and the translation of its errors into Miradouro's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from opensearchpy import JSONSerializer, OpenSearch
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,  # noqa: A004 # the library's name
    ImproperlyConfigured,
    NotFoundError,
    SerializationError,
    TransportError,
)

from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import TUNING
from miradouro.core.error_text import shown
from miradouro.core.errors import (
    ConfigurationError,
    FailedPrecondition,
    MiradouroError,
    Overloaded,
    Unauthenticated,
    Unavailable,
)
from miradouro.core.redaction import public_error, public_uri

CLOSED = "index_closed_exception"  # an error type that no document causes
_OUT_OF_SHARDS = re.compile(r"^400 validation_exception: .*this action would add \[\d+\] total (\w+ )?shards", re.DOTALL)
_BLOCKED = "cluster_block_exception"  # mostly a full disk


class FastJSON(JSONSerializer):
    """JSON by orjson, for the client and for documents: float32 arrays are written about 15 times faster and half as long."""

    def dumps(self, data: Any) -> Any:
        """`data` as UTF-8, including numpy arrays. Raises SerializationError (text with a lone surrogate)."""
        if isinstance(data, str | bytes):
            return data
        try:
            return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as exc:
            raise SerializationError(data, exc) from exc

    def loads(self, s: str) -> Any:
        """The inverse of `dumps`. Raises SerializationError."""
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as exc:
            raise SerializationError(s, exc) from exc


JSON = FastJSON()


def connect(settings: OpenSearchSettings, *, timeout_s: float = TUNING.timeout_s) -> OpenSearch:
    """A client that connects on first use. A request may take `timeout_s` seconds.

    Raises ConfigurationError (a wrong URL, an unreadable file).
    """
    auth = None
    if settings.opensearch_username:
        auth = (settings.opensearch_username, _read(settings.opensearch_password_file, "MIRADOURO_OPENSEARCH_PASSWORD_FILE"))
    if settings.opensearch_ca_file:
        _read(settings.opensearch_ca_file, "MIRADOURO_OPENSEARCH_CA_FILE")
    try:
        return OpenSearch(
            hosts=[url.strip() for url in settings.opensearch_url.split(",")],
            http_auth=auth,
            ca_certs=settings.opensearch_ca_file or None,
            timeout=timeout_s,
            max_retries=0,  # the caller owns the retries, by `retriable`
            retry_on_timeout=False,
            http_compress=False,
            serializer=JSON,
            pool_maxsize=32,
        )
    except (ValueError, ImproperlyConfigured, OSError) as exc:
        urls = settings.opensearch_url
        reason = public_error(exc, urls)
        raise ConfigurationError(f"MIRADOURO_OPENSEARCH_URL={shown(public_uri(urls))}: {reason}") from exc


@contextmanager
def translated() -> Iterator[None]:
    """Translates the client's exceptions; retriable ones become Unavailable or Overloaded.

    Responses that do not come from the cluster, such as a proxy's error page, are retriable, too.
    """
    try:
        yield
    except NotFoundError as exc:
        if isinstance(exc.info, dict):
            raise  # the callers translate it: they can name the missing thing
        raise Unavailable(
            f"OpenSearch does not answer: 404 without JSON, {shown(exc.error)}; see MIRADOURO_OPENSEARCH_URL"
        ) from exc
    except (AuthenticationException, AuthorizationException) as exc:
        if _BLOCKED in str(exc):
            raise Unavailable(f"OpenSearch takes no writes now: {reason_text(exc)}; free its disk") from exc
        raise Unauthenticated(f"OpenSearch refuses us: {reason_text(exc)}; see MIRADOURO_OPENSEARCH_USERNAME") from exc
    except ConnectionError as exc:
        raise Unavailable(f"OpenSearch does not answer: {exc.info}; see MIRADOURO_OPENSEARCH_URL") from exc
    except TransportError as exc:
        raise _error(exc) from exc
    except SerializationError as exc:
        raise Unavailable(f"OpenSearch does not answer: no JSON, {exc!s:.200}; see MIRADOURO_OPENSEARCH_URL") from exc


def is_closed_file(exc: TransportError) -> bool:
    """Whether a document could not be read because OpenSearch closed a file that it still needs.

    OpenSearch 3.5 closes the vector files of segments that a scroll or a `_reindex` has read (issue 3458 of its k-NN plug-in).
    Until these segments are merged, their documents cannot be read by id, with or without vectors.
    """
    return "already_closed_exception" in reason_text(exc)


def is_out_of_shards(exc: TransportError) -> bool:
    """Whether the cluster refused a new index because of its limit of shards (`cluster.max_shards_per_node` and similar).

    Existing indices still take photos.
    """
    return exc.status_code == 400 and bool(_OUT_OF_SHARDS.search(reason_text(exc)))


def _error(exc: TransportError) -> MiradouroError:
    if is_closed_file(exc):
        return Unavailable(f"OpenSearch closed a file of vectors that it needs; close and open the index: {reason_text(exc)}")
    if CLOSED in reason_text(exc):
        return Unavailable(f"OpenSearch keeps the index closed: {reason_text(exc)}; open it")
    if exc.status_code == 429:
        return Overloaded(f"OpenSearch has no room now: {reason_text(exc)}")
    if exc.status_code == 413:
        return FailedPrecondition(
            f"OpenSearch, or a proxy before it, takes no request of that size: {reason_text(exc)}; allow "
            f"{TUNING.bulk_bytes // 2**20} MiB and more there"
        )
    if isinstance(exc.status_code, int) and exc.status_code >= 500:
        return Unavailable(f"OpenSearch can't answer now: {reason_text(exc)}")
    return FailedPrecondition(f"OpenSearch refuses the request: {reason_text(exc)}")


def reason_of(error: dict[str, Any]) -> str:
    """The first root cause in the error of a response."""
    causes = error.get("root_cause") or [error]
    return f"{causes[0].get('type', '')}: {causes[0].get('reason', '')}"


def reason_text(exc: TransportError) -> str:
    """The status and the first root cause of an exception of the client."""
    info: Any = exc.info
    if isinstance(info, dict) and isinstance(info.get("error"), dict):
        return f"{exc.status_code} {reason_of(info['error'])}"
    return f"{exc.status_code} {exc.error}"


def _read(path: str, setting: str) -> str:
    if not path:
        raise ConfigurationError(f"{setting} is not set; name the file that holds the password")
    try:
        return Path(path).read_text().rstrip("\n")
    except OSError as exc:
        raise ConfigurationError(f"{setting}={path!r}: {exc.strerror}") from exc
