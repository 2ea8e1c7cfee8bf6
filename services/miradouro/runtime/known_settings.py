"""The settings of every process, by name: what the environment calls so and is none of them is most likely misspelt.

Processes of one deployment may share an environment, so each takes the settings of all; and none imports the others to know them.
A test holds this list and the settings together.
"""

import difflib
import re
from collections.abc import Mapping

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.settings import ENV_PREFIX

KNOWN = frozenset(
    f"{ENV_PREFIX}{name}"
    for name in (
        "BUNDLES",
        "COLLECTIONS",
        "DATA_DIR",
        "DEFAULT_SPACE",
        "EMBEDDING_ADDRESS",
        "EMBEDDING_LISTEN",
        "EXACT_VECTORS",
        "HEALTH_LISTEN",
        "HTTP_HOSTS",
        "HTTP_LISTEN",
        "INGEST_LISTEN",
        "INGEST_WORKERS",
        "INLINE_STORE",
        "KAFKA_BOOTSTRAP",
        "KAFKA_CA_FILE",
        "KAFKA_DEAD_TOPIC",
        "KAFKA_GROUP",
        "KAFKA_PARTITIONS",
        "KAFKA_PASSWORD_FILE",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_STRICT_EVENTS",
        "KAFKA_TOPIC",
        "KAFKA_USERNAME",
        "LISTEN",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MAX_CALLS_PER_PEER",
        "MAX_CALLS_PER_TOKEN",
        "MAX_PENDING_BYTES",
        "MAX_PHOTO_PIXELS",
        "METRICS_LISTEN",
        "MODELS_DIR",
        "OFFLINE",
        "OPENSEARCH_CA_FILE",
        "OPENSEARCH_PASSWORD_FILE",
        "OPENSEARCH_PIPELINE",
        "OPENSEARCH_PREFIX",
        "OPENSEARCH_REPLICAS",
        "OPENSEARCH_SHARDS",
        "OPENSEARCH_URL",
        "OPENSEARCH_USERNAME",
        "PHOTO_CA_FILE",
        "PHOTO_PRIVATE_HOSTS",
        "PHOTO_ROOTS",
        "PHOTO_SOURCES",
        "PHOTO_PROCESSES",
        "PIPELINE",
        "PRECISION",
        "PROVIDER",
        "QUERY_LISTEN",
        "S3_ENDPOINT",
        "SPACES",
        "TENSORRT_CACHE_DIR",
        "THUMBNAIL_DIR",
        "TLS_CA_FILE",
        "TLS_CERT_FILE",
        "TLS_CLIENT_CA_FILE",
        "TLS_KEY_FILE",
        "TOKEN_FILE",
    )
)
# What our own tests use, and what Kubernetes tells of a Service called miradouro-something.
_OTHERS = re.compile(r"MIRADOURO_((TEST|BENCH)_.*|.*_SERVICE_(HOST|PORT(_.*)?)|(.*_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?)")
_LINK = re.compile(r"(tcp|udp|sctp)://")


def check_names(variables: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a variable that is named as a setting of ours and is none; it tells the nearest one."""
    for name, value in sorted(variables.items()):
        if not name.startswith(ENV_PREFIX) or name in KNOWN or _OTHERS.fullmatch(name):
            continue
        if name.endswith("_PORT") and _LINK.match(value):
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.75)
        advice = f"did you mean {near[0]}?" if near else "docs/settings.md lists them"
        raise ConfigurationError(f"{name} is set, and there is no such setting: {advice}")
