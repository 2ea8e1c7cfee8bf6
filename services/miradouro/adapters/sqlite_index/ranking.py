"""The result of a search before its documents are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.rows import DOCUMENT_COLUMNS, array_binding, document_of
from miradouro.core.document import Document
from miradouro.core.query import FacetCounts, Match, Matches
from miradouro.core.spaces import Region


class Ranked(NamedTuple):
    """One photo of a ranking."""

    row_id: int
    photo_id: str
    score: float
    distance: float | None = None
    region: Region | None = None


@dataclass(frozen=True)
class Members:
    """Every photo of a ranking, not only those of the window: SQL for their row ids, and its bindings."""

    sql: str
    bindings: Sequence[Any]


@dataclass(frozen=True)
class Ranking:
    """The requested window of a ranking, and facts about the whole; `members` is None where all photos belong to it."""

    window: Sequence[Ranked]
    total: int
    truncated: bool = False
    members: Members | None = None
    exact: bool = True


NOTHING = Ranking((), 0, members=Members("SELECT NULL WHERE FALSE", ()))


def matches(
    connection: apsw.Connection, collection: str, ranking: Ranking, *, facets: tuple[FacetCounts, ...], with_documents: bool
) -> Matches:
    """The port's result, with documents, which one statement reads."""
    documents: dict[int, Document] = {}
    if with_documents and ranking.window:
        row_ids = np.array([ranked.row_id for ranked in ranking.window], np.int64)
        rows = connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value "
            "CROSS JOIN bodies b ON b.row_id = d.row_id",
            (array_binding(row_ids),),
        )
        documents = {row[0]: document_of(collection, row) for row in rows}
    return Matches(
        matches=tuple(
            Match(ranked.photo_id, ranked.score, ranked.distance, ranked.region, documents.get(ranked.row_id))
            for ranked in ranking.window
        ),
        total=ranking.total,
        total_is_exact=True,
        truncated=ranking.truncated,
        exact=ranking.exact,
        facets=facets,
    )
