"""The input of a capacity plan."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Space

Engine = Literal["lucene", "faiss"]
# Bits per float of a vector in memory that each engine of OpenSearch offers; collections are made with 32. Codes have CODE_BITS.
BITS: dict[Engine, tuple[int, ...]] = {"lucene": (32, 8), "faiss": (32, 16, 8, 1)}
STORED_BITS = 32
CODE_BITS = 8
MAX_PHOTOS, MAX_RATE = 10**13, 1e7
LEAST_NODE_MEMORY_BYTES = 4e9


@dataclass(frozen=True)
class Demand:
    """Photos, rates, and the machines to run on. Raises InvalidArgument naming the field of an invalid value.

    `photos` in all; `rate` new photos/s and `queries` questions/s, both at the busiest time. `replicas`: copies of every shard
    beside the primary. `tagger`: the network that tags every photo; "" for none. `collections`: number of collections that
    share the photos evenly; a question searches one. `resident`: share of vectors and graphs that memory holds, 0 to 1.
    `bits` per float of a vector in memory. `cpu_rate`: photos/s that one core embeds through all needed networks, None for
    the measured rate; `gpu`: a GPU's name, "" for none; `gpu_rate`: photos/s of one GPU, None when unknown. Sizes are in
    bytes, decimal (a GB is 10^9).
    """

    photos: int
    rate: float
    spaces: tuple[Space, ...]
    queries: float = 10.0
    replicas: int = 1
    collections: int = 1
    engine: Engine = "lucene"
    precision: str = "int8"
    tagger: str = ""
    bits: int = STORED_BITS
    resident: float = 1.0
    cpu_rate: float | None = None
    gpu: str = ""
    gpu_rate: float | None = None
    shard_bytes: float = 30e9
    node_memory_bytes: float = 64e9
    node_disk_bytes: float = 2e12
    node_cores: int = 16

    def __post_init__(self) -> None:
        if not self.spaces:
            raise InvalidArgument("spaces", "none is left; a collection has one space or more")
        names = [space.name for space in self.spaces]
        for name in names:
            if names.count(name) > 1:
                raise InvalidArgument("spaces", f"{shown(name)} is named {names.count(name)} times; name each once")
        if self.engine not in BITS:
            raise InvalidArgument("engine", f"{shown(self.engine)} is not one of {', '.join(BITS)}")
        if self.bits not in BITS[self.engine]:
            offered = ", ".join(map(str, BITS[self.engine]))
            raise InvalidArgument("bits", f"{self.bits}: the engine {self.engine} offers {offered}")
        self._check("photos", self.photos, lambda value: 1 <= value <= MAX_PHOTOS, f"1 to {MAX_PHOTOS:.0e}")
        self._check("rate", self.rate, lambda value: 0 < value <= MAX_RATE, f"more than 0, up to {MAX_RATE:.0e} photos/s")
        self._check("queries", self.queries, lambda value: 0 <= value <= MAX_RATE, f"0 to {MAX_RATE:.0e} questions/s")
        self._check("replicas", self.replicas, lambda value: 0 <= value <= 16, "0 to 16")
        self._check("collections", self.collections, lambda value: 1 <= value <= self.photos, "1 to the number of photos")
        self._check("resident", self.resident, lambda value: 0 < value <= 1, "a share, more than 0 and at most 1")
        for field, rate in (("cpu_rate", self.cpu_rate), ("gpu_rate", self.gpu_rate)):
            if rate is not None:
                self._check(field, rate, lambda value: 0 < value <= MAX_RATE, f"more than 0, up to {MAX_RATE:.0e} photos/s")
        if self.gpu_rate is not None and not self.gpu:
            raise InvalidArgument("gpu_rate", "it is the speed of a GPU, and no GPU is named; name it too")
        self._check("shard_bytes", self.shard_bytes, lambda value: 1e9 <= value <= 1e12, "1 GB to 1,000 GB")
        self._check(
            "node_memory_bytes", self.node_memory_bytes, lambda value: LEAST_NODE_MEMORY_BYTES <= value <= 1e14, "4 GB to 100 TB"
        )
        self._check("node_disk_bytes", self.node_disk_bytes, lambda value: 1e10 <= value <= 1e16, "10 GB to 10,000 TB")
        self._check("node_cores", self.node_cores, lambda value: 1 <= value <= 1_024, "1 to 1,024")

    def _check(self, field: str, value: float, holds: Callable[[float], bool], allowed: str) -> None:
        if not math.isfinite(value) or not holds(value):
            raise InvalidArgument(field, f"{value:g} makes no plan; allowed: {allowed}")
