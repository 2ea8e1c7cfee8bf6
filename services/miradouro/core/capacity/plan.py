"""The figures of a plan, each with its formula and the sources of its numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from miradouro.core.capacity import assumptions as given
from miradouro.core.capacity.cluster import Cluster, cluster
from miradouro.core.capacity.demand import STORED_BITS, Demand
from miradouro.core.capacity.storage import DOCUMENT_BYTES, REGION_DOCUMENT_BYTES, M, PhotoBytes, photo_bytes
from miradouro.core.spaces import Storage

_OURS, _MEASURED = ("ours",), ("measured", "ours")
_DAY_S = 86_400
_MUCH = 3  # a note follows when memory needs more than this many times the nodes of any other need


@dataclass(frozen=True)
class Figure:
    """One answer. `value` is None when something must be measured first; `unit` "B" stands for bytes, "" for a count.

    `formula` holds the numbers themselves; `sources` are keys of `assumptions.SOURCES`.
    """

    group: str
    name: str
    value: float | None
    unit: str
    formula: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Figures in order, and notes on them."""

    demand: Demand
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]

    def value(self, group: str, name: str) -> float | None:
        """The value of a figure. Raises KeyError when there is none of that name."""
        for figure in self.figures:
            if (figure.group, figure.name) == (group, name):
                return figure.value
        raise KeyError(f"{group}: {name}")


def plan(demand: Demand) -> Plan:
    """The figures for a demand. Raises InvalidArgument for a network whose speed is neither measured nor given."""
    photo = photo_bytes(demand)
    found = cluster(demand, photo)
    parts = {
        "one photo, in each copy": _photo(demand, photo),
        "Kafka": _kafka(demand),
        "ingest": _ingest(demand),
        "embedding": _on_gpus(demand) if demand.gpu else _on_processors(demand),
        "OpenSearch": _opensearch(demand, photo, found),
        "query": _query(demand),
        "what the replicas cost of this": _replicas(found, cluster(replace(demand, replicas=0), photo)),
    }
    figures = [Figure(group, *parts) for group, rows in parts.items() for parts in rows]
    return Plan(demand, tuple(figures), tuple(_notes(demand, found)))


_Row = tuple[str, float | None, str, str, tuple[str, ...]]


def _photo(demand: Demand, photo: PhotoBytes) -> Iterator[_Row]:
    faiss = demand.engine == "faiss"
    engine = ("knn",) if faiss else ("lucene",)
    count, codes = given.vectors(demand), given.codes(demand)
    floats = given.numbers(demand) - codes
    parts = ([f"4 bytes x {floats:,} floats"] if floats else []) + ([f"1 byte x {codes:,} codes"] if codes else [])
    yield "vectors", photo.vectors, "B", " + ".join(parts), engine
    if photo.quantised:
        extra = f" + {codes:,} codes" if faiss else f" + 4 bytes x {_float_vectors(demand)} vectors"
        yield (
            "vectors in fewer bits" if demand.bits < STORED_BITS else "vectors beside the graphs",
            photo.quantised,
            "B",
            f"{demand.bits} / 8 bytes x {floats:,} floats{extra}",
            ("knn",),
        )
    yield "graphs", photo.graphs, "B", f"{count} vectors x {photo.graphs / count:.0f} bytes, m = {M}", engine
    formula = f"{DOCUMENT_BYTES:,.0f} bytes, {REGION_DOCUMENT_BYTES:g} more for each region vector"
    yield "text, tags, ids", photo.rest, "B", formula, ("measured",)
    yield "disk", photo.disk, "B", "sum of the above", engine
    held = f"{demand.resident:g} x " if demand.resident < 1 else ""
    if faiss:
        formula = f"{held}1.1 x ({demand.bits} / 8 x {floats:,} + {codes:,} + 8 x {M} x {count})"
        yield "memory", photo.memory, "B", formula, engine
    else:
        kept = "graphs + vectors"
        if photo.quantised:
            kept = "graphs + vectors in fewer bits" + (" + codes" if codes else "")
        yield "memory", photo.memory, "B", f"{held}({kept})", engine


def _float_vectors(demand: Demand) -> int:
    return sum(space.vectors_per_photo for space in demand.spaces if space.storage is not Storage.INT8)


def _kafka(demand: Demand) -> Iterator[_Row]:
    replicas, photos = _ingest_replicas(demand), demand.photos
    partitions = max(given.LEAST_PARTITIONS, given.PARTITIONS_PER_REPLICA * replicas)
    formula = (
        f"{given.PARTITIONS_PER_REPLICA} x {replicas} ingest replicas, so that they may double; at least {given.LEAST_PARTITIONS}"
    )
    yield "partitions", partitions, "", formula, _OURS
    log = photos * given.EVENT_BYTES * given.KAFKA_COPIES
    formula = f"{photos:,} photos x {given.EVENT_BYTES:g} bytes x {given.KAFKA_COPIES} copies, kept for ever"
    yield "disk of the events", log, "B", formula, _MEASURED


def _ingest_s(demand: Demand) -> float:
    return given.INGEST_PHOTO_S + given.INGEST_NUMBER_S * given.numbers(demand)


def _ingest_replicas(demand: Demand) -> int:
    return _replicas_of(demand.rate * _ingest_s(demand) / given.BUSY, given.REPLICA_CORES)


def _ingest(demand: Demand) -> Iterator[_Row]:
    each = _ingest_s(demand)
    formula = f"{demand.rate:,g} photos/s x {each * 1e3:.1f} ms / {given.BUSY:g} busy"
    yield "cores", demand.rate * each / given.BUSY, "cores", formula, _MEASURED
    yield "replicas", _ingest_replicas(demand), "", _replicas_formula(given.REPLICA_CORES), _OURS
    formula = f"{demand.photos:,} photos / {demand.rate:,g} photos/s / {_DAY_S:,} s"
    yield "until all are in", demand.photos / demand.rate / _DAY_S, "days", formula, ("given",)


def _photos_to_embed(demand: Demand) -> _Row:
    formula = f"{demand.rate:,g} photos/s + {demand.queries:,g} questions/s, as if each brought a photo"
    return "photos to embed", demand.rate + demand.queries, "per s", formula, ("given",)


def _on_gpus(demand: Demand) -> Iterator[_Row]:
    yield _photos_to_embed(demand)
    if demand.gpu_rate is None:
        formula = f"unknown: no GPU was measured by the makers; measure a {demand.gpu} and give --gpu-rate"
        yield "GPUs", None, "", formula, ("given",)
        yield "replicas", None, "", "one a GPU", _OURS
        return
    rate = demand.rate + demand.queries
    gpus = _replicas_of(rate / (demand.gpu_rate * given.BUSY), 1)
    formula = (
        f"{rate:,g} / ({demand.gpu_rate:,g} photos/s of a {demand.gpu} x {given.BUSY:g} busy), at least {given.LEAST_REPLICAS}"
    )
    yield "GPUs", gpus, "", formula, ("given", "ours")
    yield "replicas", gpus, "", "one a GPU", _OURS


def _on_processors(demand: Demand) -> Iterator[_Row]:
    yield _photos_to_embed(demand)
    rate, each = demand.rate + demand.queries, given.embed_rate(demand)
    cores = rate / (each * given.BUSY)
    networks = " and ".join(given.bundles(demand))
    formula = f"{rate:,g} / ({each:.2f} photos/s a core x {given.BUSY:g} busy), {networks}, {demand.precision}"
    yield "cores", cores, "cores", formula, _MEASURED if demand.cpu_rate is None else ("given", "ours")
    yield "replicas", _replicas_of(cores, given.REPLICA_CORES), "", _replicas_formula(given.REPLICA_CORES), _OURS


def _replicas_of(need: float, each: float) -> int:
    return max(given.LEAST_REPLICAS, math.ceil(need / each))


def _replicas_formula(each: int) -> str:
    return f"cores / {each} each, at least {given.LEAST_REPLICAS}"


def _opensearch(demand: Demand, photo: PhotoBytes, found: Cluster) -> Iterator[_Row]:
    busy, faiss = f"{given.BUSY:g} busy", demand.engine == "faiss"
    in_copies = f"{1 + demand.replicas} copies" if demand.replicas else "1 copy"
    in_collections = f"{demand.collections:,} collections" if demand.collections > 1 else "1 collection"
    engine = ("knn",) if faiss else ("lucene",)
    primaries = found.collection_shards
    formula = f"{demand.photos:,} photos x {photo.disk:,.0f} bytes"
    yield "disk of the primaries", found.primary_bytes, "B", formula, engine
    yield "disk of the replicas", found.disk_bytes - found.primary_bytes, "B", f"primaries x {demand.replicas}", ("given",)
    yield "disk in all", found.disk_bytes, "B", "primaries + replicas", ("given",)
    formula = f"in all x {1 + given.DELETED:g} for deleted documents / {given.DISK_FULL:g} full"
    yield "disk to provide", found.provided_bytes, "B", formula, ("disk",)
    cache = "native memory" if faiss else "page cache"
    formula = f"{demand.photos:,} photos x {photo.memory:,.0f} bytes x {in_copies}"
    yield cache, found.memory_bytes, "B", formula, engine
    formula = f"{found.primary_bytes / demand.collections / 1e9:,.0f} GB / {demand.shard_bytes / 1e9:g} GB"
    yield "primary shards of a collection", primaries, "", formula, ("shards",)
    yield "shards in all", found.shards, "", f"{primaries:,} x {in_collections} x {in_copies}", ("given",)
    formula = f"{demand.rate:,g} photos/s x {found.index_s * 1e3:.1f} ms x {in_copies} / {busy}"
    yield "cores for indexing", found.index_cores, "cores", formula, _MEASURED
    fixed, segment = (f"{seconds * 1e3:g} ms" for seconds in (given.SEARCH_S, given.SEARCH_SEGMENT_S))
    search = f"({fixed} + {primaries:,} shards x {found.segments:.0f} segments x {segment})"
    yield (
        "cores for questions",
        found.question_cores,
        "cores",
        f"{demand.queries:,g} questions/s x {search} / {busy}",
        _MEASURED,
    )
    formula = f"half of {demand.node_memory_bytes / 1e9:g} GB, at most {given.HEAP_LIMIT_BYTES / 1e9:g} GB"
    yield "heap of a node", found.heap_bytes, "B", formula, ("heap",)
    formula = f"memory - heap - {given.SYSTEM_BYTES / 1e9:g} GB for the system"
    if faiss:
        formula = f"{given.BREAKER:g} x (memory - heap)"
    yield f"{cache} of a node", found.node_memory_bytes, "B", formula, ("breaker",) if faiss else _OURS
    formula = "the most of " + ", ".join(f"{count:,} for {need}" for need, count in found.nodes_by.items())
    yield "data nodes", found.nodes, "", formula, ("many",)
    yield "cluster managers", given.CLUSTER_MANAGERS, "", "an odd number, so that a majority remains", ("quorum",)


def _query(demand: Demand) -> Iterator[_Row]:
    cores = demand.queries * given.QUESTION_S / given.BUSY
    formula = f"{demand.queries:,g} questions/s x {given.QUESTION_S * 1e3:g} ms / {given.BUSY:g} busy"
    yield "cores", cores, "cores", formula, _MEASURED
    yield "replicas", _replicas_of(cores, 1), "", _replicas_formula(1), _OURS


def _replicas(found: Cluster, without: Cluster) -> Iterator[_Row]:
    formula = "this - a plan without replicas"
    yield "disk to provide", found.provided_bytes - without.provided_bytes, "B", formula, ("given",)
    yield "memory", found.memory_bytes - without.memory_bytes, "B", formula, ("given",)
    yield "cores for indexing", found.index_cores - without.index_cores, "cores", formula, ("given",)
    yield "data nodes", found.nodes - without.nodes, "", f"{found.nodes:,} - {without.nodes:,}", ("given",)


def _notes(demand: Demand, found: Cluster) -> Iterator[str]:
    others = max(count for need, count in found.nodes_by.items() if need != "memory")
    if found.nodes_by["memory"] > _MUCH * others:
        yield "memory alone decides how many nodes there are: --no-regions, --spaces, --node-memory and --in-memory change it"
    if demand.engine == "faiss":
        yield "faiss was never run by the makers: its memory is what OpenSearch's documentation states, its disk a guess"
    if demand.bits != STORED_BITS:
        yield f"this version stores {STORED_BITS} bits a float: {demand.bits} bits are what OpenSearch documents, unmeasured"
    if demand.resident < 1:
        yield "what memory does not hold is read from disk while a question waits: measure that before you rely on it"
    if found.collection_shards > given.MAX_SHARDS:
        yield (
            f"a collection has {given.MAX_SHARDS:,} shards at most (MIRADOURO_OPENSEARCH_SHARDS): "
            f"divide the photos into more collections than {demand.collections:,}"
        )
