"""Bytes of one photo on disk and in memory, by the formats of the engines.

Lucene's formats are those of Lucene 10.3 (`Lucene99FlatVectorsFormat`, `Lucene99HnswVectorsFormat`), which OpenSearch 3.5 uses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from miradouro.core.capacity.demand import CODE_BITS, STORED_BITS, Demand
from miradouro.core.spaces import Space, Storage

M = 16  # links that a vector begins with in every graph; mapping.py makes collections with it
# The mean length of the lists of level 0, which hold up to 2 M links: measured with 10,000 random vectors of 64 numbers. Vectors
# that resemble each other have fewer links.
MEAN_LINKS = 31.2
# A photo without its vectors and graphs: text, tags, ids, stored fields, counted with 20 tags and a caption of 12 words.
DOCUMENT_BYTES = 1_170.0
REGION_DOCUMENT_BYTES = 28.0  # of each region vector: it is a document of its own
SEGMENT_BYTES = 5e9  # index.merge.policy.max_merged_segment
SMALL_SEGMENTS = 10  # index.merge.policy.segments_per_tier
_QUANTISED_EXTRA_BYTES = 4.0  # Lucene keeps a float of correction with each quantised vector
_FAISS_FACTOR = 1.1
_DOUBTFUL_LINKS = 1.5  # what is left over on average when links are written in fours


@dataclass(frozen=True)
class PhotoBytes:
    """Bytes of one photo in one copy. `quantised` are vectors of fewer bits beside the full ones; 0 without."""

    vectors: float
    quantised: float
    graphs: float
    rest: float
    memory: float

    @property
    def disk(self) -> float:
        """All bytes on disk."""
        return self.vectors + self.quantised + self.graphs + self.rest


def photo_bytes(demand: Demand) -> PhotoBytes:
    """The bytes of one photo, with graphs as large as those of a full segment."""
    spaces = demand.spaces
    vectors = sum(space.vectors_per_photo * vector_bytes(space) for space in spaces)
    rest = rest_bytes(spaces)
    bits, resident = demand.bits, demand.resident
    if demand.engine == "faiss":
        in_memory = sum(space.vectors_per_photo * faiss_bytes(space.dimension, bits=_bits(space, bits)) for space in spaces)
        graphs = sum(space.vectors_per_photo * 8.0 * M for space in spaces)
        # The file of the graph holds a second copy of its vectors, in `bits`.
        quantised = sum(space.vectors_per_photo * space.dimension * _bits(space, bits) / 8 for space in spaces)
        return PhotoBytes(vectors, quantised, graphs, rest, resident * in_memory)
    graphs, quantised, searched = 0.0, 0.0, 0.0
    in_segment = photos_in_segment(vectors + rest, demand.photos)
    for space in spaces:
        graphs += space.vectors_per_photo * graph_bytes(in_segment * space.vectors_per_photo)
        if bits < STORED_BITS and space.storage is not Storage.INT8:
            quantised += space.vectors_per_photo * (space.dimension * bits / 8 + _QUANTISED_EXTRA_BYTES)
        else:
            searched += space.vectors_per_photo * vector_bytes(space)
    return PhotoBytes(vectors, quantised, graphs, rest, resident * (graphs + quantised + searched))


def vector_bytes(space: Space) -> float:
    """Bytes of one vector on disk (`.vec`): a byte each code, a float32 each other number."""
    return space.dimension * _bits(space, STORED_BITS) / 8


def _bits(space: Space, bits: int) -> int:
    """Of each number: those of a code, or `bits` of a float."""
    return CODE_BITS if space.storage is Storage.INT8 else bits


def rest_bytes(spaces: Sequence[Space]) -> float:
    """Bytes of a photo besides vectors and graphs. `_source` is stored without vectors: the k-NN plug-in restores them."""
    regions = sum(space.vectors_per_photo for space in spaces if space.regions)
    return DOCUMENT_BYTES + REGION_DOCUMENT_BYTES * regions


def faiss_bytes(dimension: int, *, bits: int = STORED_BITS, m: int = M) -> float:
    """Bytes of one vector in memory with faiss: 1.1 x (bits / 8 x dimension + 8 m), by OpenSearch's documentation."""
    return _FAISS_FACTOR * (bits / 8 * dimension + 8.0 * m)


def photos_in_segment(bytes_per_photo: float, photos: float) -> float:
    """Photos in a full segment: merges stop at SEGMENT_BYTES."""
    return max(1.0, min(photos, SEGMENT_BYTES / bytes_per_photo))


def graph_bytes(vectors: float, *, links: float = MEAN_LINKS, m: int = M) -> float:
    """Bytes of one vector in a graph of `vectors` vectors (`.vex`, `.vem`).

    Level 0 has a list of `links` neighbours for each vector. One of m vectors is on level 1 too, one of m^2 on level 2, and so
    on: together 1 / (m - 1) more lists a vector, of up to m neighbours. The offset of each list takes 16 bits, the number of
    each vector on an upper level a byte.
    """
    if vectors <= 1:
        return 0.0
    upper = 1 / (m - 1)
    least = min(links, vectors - 1)
    return _list_bytes(least, vectors) + upper * (_list_bytes(min(m, least), vectors) + 1) + 2 * (1 + upper)


def _list_bytes(links: float, vectors: float) -> float:
    """A list: its length in a byte, then the sorted neighbours as differences.

    Groups of four follow a byte that encodes their sizes; the rest is written with seven bits to a byte.
    A difference of `links` random numbers below `vectors` is x or more with probability (1 - x / vectors)^links.
    """
    loose = min(links, _DOUBTFUL_LINKS)
    return 1 + (links - loose) * (0.25 + _number_bytes(links, vectors, 8)) + loose * _number_bytes(links, vectors, 7)


def _number_bytes(links: float, vectors: float, bits: int) -> float:
    shares = [max(0.0, 1 - 2.0 ** (bits * size) / vectors) for size in (1, 2, 3)]
    return 1 + sum(math.pow(share, links) for share in shares)


def segments_in_shard(shard_bytes: float) -> float:
    """Segments that a question visits in a shard: full ones, and small ones that are not merged yet."""
    return shard_bytes / SEGMENT_BYTES + SMALL_SEGMENTS
