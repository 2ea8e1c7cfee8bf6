"""What vector search is measured against: every peer's own call over the same float32 matrix. Imports nothing of Miradouro.

Settings, the same idea in all: m 16, 128 candidates while building, 64 while searching, one query on one thread at a time.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

M, BUILD, SEARCH, NEAREST = 16, 128, 64, 10
Ask = Callable[["np.ndarray"], "np.ndarray"]


def usearch(matrix: "np.ndarray", _folder: Path) -> Ask:
    """HNSW, float16."""
    from usearch.index import Index

    index = Index(ndim=matrix.shape[1], metric="l2sq", dtype="f16", connectivity=M, expansion_add=BUILD, expansion_search=SEARCH)
    index.add(np.arange(len(matrix)), matrix, threads=1)  # several threads leave vectors unreachable
    return lambda asked: np.asarray(index.search(asked, NEAREST, threads=1).keys)


def hnswlib(matrix: "np.ndarray", _folder: Path) -> Ask:
    """HNSW, float32."""
    import hnswlib as library

    index: Any = library.Index(space="l2", dim=matrix.shape[1])
    index.init_index(max_elements=len(matrix), M=M, ef_construction=BUILD)
    index.set_ef(SEARCH)
    index.set_num_threads(1)
    index.add_items(matrix, num_threads=2)
    return lambda asked: index.knn_query(asked, k=NEAREST)[0][0]


def lancedb(matrix: "np.ndarray", folder: Path) -> Ask:
    """IVF_HNSW_SQ in one partition, refined."""
    import lancedb as library
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    table = library.connect(str(folder / "lance")).create_table(
        "photos", pa.table({"id": np.arange(len(matrix)), "vector": vectors})
    )
    table.create_index(metric="l2", index_type="IVF_HNSW_SQ", num_partitions=1, m=M, ef_construction=BUILD)

    def ask(asked: "np.ndarray") -> "np.ndarray":
        found = (
            table.search(asked)
            .distance_type("l2")
            .nprobes(1)
            .ef(SEARCH)
            .refine_factor(4)
            .select(["id", "_distance"])
            .limit(NEAREST)
        )
        return found.to_arrow()["id"].to_numpy()

    return ask


def numpy(matrix: "np.ndarray", _folder: Path) -> Ask:
    """Exact: one product of a float32 matrix and a vector; all vectors have length 1."""

    def ask(asked: "np.ndarray") -> "np.ndarray":
        products = matrix @ asked
        nearest = np.argpartition(-products, NEAREST)[:NEAREST]
        return nearest[np.argsort(-products[nearest])]

    return ask


def peers() -> dict[str, Callable[["np.ndarray", Path], Ask]]:
    """Those that are installed, by name."""
    known = {"usearch": usearch, "hnswlib": hnswlib, "lancedb": lancedb, "numpy": numpy}
    return {name: build for name, build in known.items() if importlib.util.find_spec(name)}
