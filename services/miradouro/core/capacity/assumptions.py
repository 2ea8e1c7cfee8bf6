"""Assumptions of capacity plans, each with its source. Times are of one core of an AMD EPYC with AVX2."""

from collections.abc import Sequence

from miradouro.core.capacity.demand import Demand
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Storage

# Sources by their short names; a plan prints those that it used.
SOURCES = {
    "given": "what you asked for",
    "ours": "our choice",
    "code": "what the code of this version does",
    "measured": "measured by the makers on two cores of an AMD EPYC with AVX2",
    "lucene": "file formats of Lucene 10.3, checked against files that OpenSearch 3.5 wrote: `make bench ONLY=capacity`",
    "knn": "OpenSearch documentation, k-NN engines and vector quantization: stated there, not measured by us",
    "breaker": "OpenSearch documentation, k-NN settings: knn.memory.circuit_breaker.limit is 50 % of what the heap leaves",
    "shards": "OpenSearch documentation, introduction: shards of 10 to 50 GB",
    "heap": "OpenSearch documentation, important settings: half of the memory; compressed object pointers end below 32 GB",
    "disk": "OpenSearch documentation: disks stay below the low watermark of 85 %, up to 20 % may be deleted documents",
    "quorum": "OpenSearch documentation, creating a cluster: three dedicated cluster managers",
    "many": "AWS, Amazon OpenSearch Service lens: at most 25 shards for each GiB of heap",
}

BUSY = 0.7  # load of a processor at the busiest time; the rest is for peaks and for a lost machine
# Photos/s of one core through one network: half the rate of two threads on two cores. EfficientNet-Lite0 runs twice on a photo
# for `look`, which takes 2.27 times as long in int8 and 2.2 times in fp32.
EMBED_RATES = {
    ("vgg16-conv", "int8"): 11.9 / 2,
    ("vgg16-conv", "fp32"): 6.1 / 2,
    ("efficientnet-lite0", "int8"): 199 / 2 / 2.27,
    ("efficientnet-lite0", "fp32"): 170 / 2 / 2.2,
    ("filters", "fp32"): 75.0,
}
INGEST_PHOTO_S = 0.025  # a JPEG of 12 megapixels: decoded for both networks, and fingerprints
INGEST_NUMBER_S = 0.04e-6  # each number of a vector, written as JSON
REPLICA_CORES = 2  # of an ingest or embedding replica on the CPU
QUESTION_S = 0.007 + INGEST_PHOTO_S  # of the query service: 50 hits, and a photo of 12 megapixels decoded
LEAST_REPLICAS = 2  # of every service, so that one may fail
EVENT_BYTES = 700.0  # key, headers and value of an event that names its photo by URI
LEAST_PARTITIONS, PARTITIONS_PER_REPLICA = 6, 2
KAFKA_COPIES = 3
# Processor time of a data node for a document, for each vector that goes into a graph, and for each number of it; with merges, as
# of 60,000 photos. Larger segments cost more.
INDEX_DOCUMENT_S, INDEX_VECTOR_S, INDEX_NUMBER_S = 0.0010, 0.0007, 1.2e-6
# Processor time of the data nodes for a question, and for each segment that it visits. The latter was half as much in graphs of
# 500 vectors; full graphs are larger.
SEARCH_S, SEARCH_SEGMENT_S = 0.008, 0.0010
HEAP_LIMIT_BYTES, HEAP_SHARE = 31e9, 0.5
SYSTEM_BYTES = 1e9  # of a node, beside heap and cache
BREAKER = 0.5
SHARDS_OF_HEAP_GIB = 25
DISK_FULL, DELETED = 0.85, 0.20
CLUSTER_MANAGERS = 3
MAX_SHARDS = 1_024  # what MIRADOURO_OPENSEARCH_SHARDS takes


def embed_rate(demand: Demand) -> float:
    """Photos/s that one core embeds through every network that the spaces need, one after the other.

    Raises InvalidArgument for a network that was never measured: its rate must be given.
    """
    if demand.cpu_rate is not None:
        return demand.cpu_rate
    return 1 / sum(1 / _rate(bundle, demand.precision) for bundle in bundles(demand))


def bundles(demand: Demand) -> Sequence[str]:
    """The networks that every photo passes, by name: those of the spaces, and the tagger."""
    return sorted({space.bundle for space in demand.spaces} | ({demand.tagger} if demand.tagger else set()))


def numbers(demand: Demand) -> int:
    """Numbers in all vectors of a photo."""
    return sum(space.vectors_per_photo * space.dimension for space in demand.spaces)


def codes(demand: Demand) -> int:
    """Numbers in the vectors of a photo that are stored as codes."""
    return sum(space.vectors_per_photo * space.dimension for space in demand.spaces if space.storage is Storage.INT8)


def vectors(demand: Demand) -> int:
    """Vectors of a photo."""
    return sum(space.vectors_per_photo for space in demand.spaces)


def _rate(bundle: str, precision: str) -> float:
    """Photos/s of one core. A bundle that is offered in one precision alone runs in it whatever the others run in."""
    measured = {offered: rate for (name, offered), rate in EMBED_RATES.items() if name == bundle}
    if len(measured) == 1:
        return next(iter(measured.values()))
    if precision not in measured:
        raise InvalidArgument("cpu_rate", f"{bundle} in {precision} was never measured; give the photos/s that one core embeds")
    return measured[precision]
