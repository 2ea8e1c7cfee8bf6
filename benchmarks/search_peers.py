"""The engines that a whole search is compared with, each in this process and on disk. Imports nothing of Miradouro.

Each engine stores the same photos and vectors, has an index of every field that a question filters by, and answers with the ten
nearest photos that pass, documents included. Its settings are those that its documentation recommends.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NEAREST = 10
BATCH = 5_000
PARTITIONS_PROBED, REFINE = 20, 10
Photo = dict[str, Any]  # id, title, caption, uri, owner, camera: text; tags: list of text; scores: list of float; taken_at: text


@dataclass(frozen=True)
class Question:
    """Photos like photo number `like` that have the tag or, without a tag, were taken by one of the cameras."""

    like: int
    vector: "np.ndarray"
    tag: str = ""
    cameras: tuple[str, ...] = ()

    def passes(self, photo: Photo) -> bool:
        return self.tag in photo["tags"] if self.tag else photo["camera"] in self.cameras


Ask = Callable[[Question], list[str]]  # ids of the hits, nearest first
Fill = Callable[[Sequence[Photo], "np.ndarray", Path], Iterator[tuple[str, Ask]]]


def lancedb(photos: Sequence[Photo], matrix: "np.ndarray", folder: Path) -> Iterator[tuple[str, Ask]]:
    """Without an index of the vectors, as recommended up to 100,000, and with IVF_PQ, as recommended beyond and for filters."""
    import lancedb as library
    import pyarrow as pa
    from lancedb.index import Bitmap, IvfPq, LabelList

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    documents = pa.Table.from_pylist(list(photos))
    table = library.connect(str(folder)).create_table("photos", documents.append_column("vector", vectors))
    table.create_index("camera", config=Bitmap())
    table.create_index("tags", config=LabelList())
    table.create_index("vector", config=IvfPq(distance_type="l2"))

    def search(question: Question) -> Any:
        cameras = ", ".join(f"'{camera}'" for camera in question.cameras)
        passing = f"array_has_any(tags, ['{question.tag}'])" if question.tag else f"camera IN ({cameras})"
        found = table.search(question.vector).distance_type("l2").where(passing, prefilter=True)
        return found.select([*documents.column_names, "_distance"]).limit(NEAREST)

    def exact(question: Question) -> list[str]:
        return [photo["id"] for photo in search(question).bypass_vector_index().to_list()]

    def approximate(question: Question) -> list[str]:
        return [photo["id"] for photo in search(question).nprobes(PARTITIONS_PROBED).refine_factor(REFINE).to_list()]

    yield f"LanceDB {library.__version__} without an index of vectors", exact
    yield f"LanceDB {library.__version__} with IVF_PQ, refined {REFINE} x", approximate


def chromadb(photos: Sequence[Photo], matrix: "np.ndarray", folder: Path) -> Iterator[tuple[str, Ask]]:
    """HNSW as the library sets it: 16 neighbours, 100 candidates. Metadata are always indexed."""
    import chromadb as library
    from chromadb.config import Settings

    client = library.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("photos", embedding_function=None, configuration={"hnsw": {"space": "l2"}})
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        collection.add(
            ids=[photo["id"] for photo in batch],
            embeddings=matrix[start : start + BATCH],
            documents=[photo["caption"] for photo in batch],
            metadatas=[{name: value for name, value in photo.items() if name not in ("id", "caption")} for photo in batch],
        )

    def ask(question: Question) -> list[str]:
        found = collection.query(
            query_embeddings=[question.vector],
            n_results=NEAREST,
            where={"tags": {"$contains": question.tag}} if question.tag else {"camera": {"$in": list(question.cameras)}},
            include=["documents", "metadatas", "distances"],
        )
        return found["ids"][0]

    yield f"Chroma {library.__version__}", ask


def installed_peers() -> dict[str, Fill]:
    """By name: a function that fills the engine in a folder and yields each of its settings with a function that asks."""
    known: dict[str, Fill] = {"LanceDB": lancedb, "Chroma": chromadb}
    return {name: fill for name, fill in known.items() if importlib.util.find_spec(fill.__name__)}
