"""The OpenSearch cluster of a demand: bytes, shards, cores, and the nodes that they need."""

import math
from dataclasses import dataclass

from miradouro.core.capacity import assumptions as given
from miradouro.core.capacity.demand import Demand
from miradouro.core.capacity.storage import PhotoBytes, segments_in_shard

_GIB = 2**30


@dataclass(frozen=True)
class Cluster:
    """An OpenSearch cluster. Bytes and cores are totals of all copies, except `index_s`: core seconds for a photo in one copy.

    `shards` are those of all copies, `collection_shards` the primaries of one collection, `segments` those of a shard.
    `memory_bytes` is for vectors and graphs: page cache with lucene, native memory with faiss. `node_memory_bytes` is the part
    of it that one node provides. `nodes_by` has the number of nodes for each need.
    """

    primary_bytes: float
    disk_bytes: float
    provided_bytes: float
    memory_bytes: float
    collection_shards: int
    shards: int
    segments: float
    index_s: float
    index_cores: float
    question_cores: float
    heap_bytes: float
    node_memory_bytes: float
    nodes_by: dict[str, int]

    @property
    def nodes(self) -> int:
        """Enough for every need."""
        return max(self.nodes_by.values())


def cluster(demand: Demand, photo: PhotoBytes) -> Cluster:
    """The cluster for the photos of the demand, each of the bytes `photo`."""
    copies = 1 + demand.replicas
    primary = demand.photos * photo.disk
    disk = primary * copies
    provided = disk * (1 + given.DELETED) / given.DISK_FULL
    memory = demand.photos * photo.memory * copies
    collection_shards = max(1, math.ceil(primary / demand.collections / demand.shard_bytes))
    shards = collection_shards * demand.collections * copies
    segments = segments_in_shard(primary / demand.collections / collection_shards)
    index_s = given.INDEX_DOCUMENT_S + given.INDEX_VECTOR_S * given.vectors(demand) + given.INDEX_NUMBER_S * given.numbers(demand)
    index_cores = demand.rate * index_s * copies / given.BUSY
    search_s = given.SEARCH_S + collection_shards * segments * given.SEARCH_SEGMENT_S
    question_cores = demand.queries * search_s / given.BUSY
    heap = min(given.HEAP_LIMIT_BYTES, given.HEAP_SHARE * demand.node_memory_bytes)
    node_memory = demand.node_memory_bytes - heap
    node_memory = given.BREAKER * node_memory if demand.engine == "faiss" else node_memory - given.SYSTEM_BYTES
    nodes_by = {
        "memory": math.ceil(memory / node_memory),
        "disk": math.ceil(provided / demand.node_disk_bytes),
        "cores": math.ceil((index_cores + question_cores) / demand.node_cores),
        "shards": math.ceil(shards / (given.SHARDS_OF_HEAP_GIB * heap / _GIB)),
        "copies": copies,
    }
    return Cluster(
        primary_bytes=primary,
        disk_bytes=disk,
        provided_bytes=provided,
        memory_bytes=memory,
        collection_shards=collection_shards,
        shards=shards,
        segments=segments,
        index_s=index_s,
        index_cores=index_cores,
        question_cores=question_cores,
        heap_bytes=heap,
        node_memory_bytes=node_memory,
        nodes_by=nodes_by,
    )
