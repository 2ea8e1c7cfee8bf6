"""The connection to the cluster, and its errors in our terms."""

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
    ConnectionError,  # noqa: A004 # its own name
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

CLOSED = "index_closed_exception"  # the type of an error, by which no document is at fault
_OUT_OF_SHARDS = re.compile(r"^400 validation_exception: .*this action would add \[\d+\] total (\w+ )?shards", re.DOTALL)
_BLOCKED = "cluster_block_exception"  # a full disk above all


class FastJSON(JSONSerializer):
    """The client's JSON, and our documents': arrays of float32 are written some fifteen times as fast, and half as long."""

    def dumps(self, data: Any) -> Any:
        """UTF-8 text of `data`, numpy arrays included. Raises SerializationError (text that is no Unicode)."""
        if isinstance(data, str | bytes):
            return data
        try:
            return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as exc:
            raise SerializationError(data, exc) from exc

    def loads(self, s: str) -> Any:
        """The inverse. Raises SerializationError."""
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as exc:
            raise SerializationError(s, exc) from exc


JSON = FastJSON()


def connect(settings: OpenSearchSettings, *, timeout_s: float = TUNING.timeout_s) -> OpenSearch:
    """A client, which connects when it is used first; a request may take `timeout_s` seconds.

    Raises ConfigurationError (URL, a file that can't be read).
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
            max_retries=0,  # the caller decides, by `retriable`
            retry_on_timeout=False,
            http_compress=False,
            serializer=JSON,
            pool_maxsize=32,
        )
    except (ValueError, ImproperlyConfigured, OSError) as exc:
        urls = settings.opensearch_url
        said = public_error(exc, urls)
        raise ConfigurationError(f"MIRADOURO_OPENSEARCH_URL={shown(public_uri(urls))}: {said}") from exc


@contextmanager
def translated() -> Iterator[None]:
    """Raises the cluster's errors as ours: what may pass as Unavailable or Overloaded.

    So may what the cluster never says: a page of a proxy that stands before it.
    """
    try:
        yield
    except NotFoundError as exc:
        if isinstance(exc.info, dict):
            raise  # callers know what was not found
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
    """Whether a document could not be read since OpenSearch had closed a file that it still needs.

    OpenSearch 3.5 does so to the vectors of the segments that a scroll or a `_reindex` went through (issue 3458 of its k-NN
    plug-in): until they are merged, their documents can't be read by id, with vectors or without.
    """
    return "already_closed_exception" in reason_text(exc)


def is_out_of_shards(exc: TransportError) -> bool:
    """Whether an index can't be made since the cluster holds as many shards as it may (`cluster.max_shards_per_node` and the
    like): nothing else is wrong, and indices that are there take photos as before."""
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
    """The first cause in the error of a response."""
    causes = error.get("root_cause") or [error]
    return f"{causes[0].get('type', '')}: {causes[0].get('reason', '')}"


def reason_text(exc: TransportError) -> str:
    """The status and the first cause of an error of the cluster."""
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
