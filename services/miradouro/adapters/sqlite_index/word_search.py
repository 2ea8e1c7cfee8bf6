"""Keyword and text queries, in SQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import Bindings, where
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.tokenizer import match_phrase
from miradouro.core.query import IndexQuery, KeywordClause, TextClause


def by_keyword(connection: apsw.Connection, collection: Collection, query: IndexQuery, clause: KeywordClause) -> Ranking:
    """Photos with any of the tags, by the sum of weight x score."""
    words = clause.weighted
    if not words:
        return NOTHING
    if len(words) == 1 and set(words.values()) == {1.0}:
        table, found, score, group, counted = "tags t", "t.label = ? AND t.collection_id = ?", "t.score", "", "*"
        bindings: Bindings = [*words, collection.collection_id]
    else:
        rows = ", ".join("(?, ?)" for _ in words)
        table = f"(SELECT column1 AS label, column2 AS weight FROM (VALUES {rows})) w CROSS JOIN tags t"
        found, score = "t.label = w.label AND t.collection_id = ?", "sum(t.score * w.weight)"
        group, counted = "GROUP BY t.row_id", "DISTINCT t.row_id"
        bindings = [*(part for pair in words.items() for part in pair), collection.collection_id]
    return _ranking(connection, collection, query, _Words(table, "t.row_id", score, group, counted, found, bindings))


def by_text(connection: apsw.Connection, collection: Collection, query: IndexQuery, clause: TextClause) -> Ranking:
    """Photos by BM25 as FTS5 computes it, columns weighted alike (Robertson and Zaragoza, 2009; k1 = 1.2, b = 0.75)."""
    should, must, must_not = (_phrases(part) for part in (clause.should, clause.must, clause.must_not))
    if not should and not must:  # only stop words, or only excluded phrases
        return NOTHING
    table = f"text_{collection.collection_id:d}"
    # This expression ranks. `must` and `must_not` decide apart whether a photo matches at all: so an optional phrase still adds
    # to the score, once.
    found, bindings = f"{table} MATCH ?", Bindings([" OR ".join([*must, *should])])
    for phrases, operator, negation in ((must, " AND ", ""), (must_not, " OR ", "NOT ")):
        if phrases:
            # The plus keeps FTS5 from evaluating the ranked expression once for every row of the list.
            found += f" AND +{table}.rowid {negation}IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)"
            bindings.append(operator.join(phrases))
    return _ranking(connection, collection, query, _Words(table, f"{table}.rowid", f"-bm25({table})", "", "*", found, bindings))


@dataclass(frozen=True)
class _Words:
    """Parts of the SQL of a query in words: the table, the photo's row id, its score, how rows are grouped and counted, which
    rows match, and the bindings of that."""

    table: str
    row_id: str
    score: str
    group: str
    counted: str
    found: str
    bindings: Bindings


def _ranking(connection: apsw.Connection, collection: Collection, query: IndexQuery, words: _Words) -> Ranking:
    condition, more = where(collection.collection_id, query.conditions)
    joined = f"FROM {words.table} CROSS JOIN documents d ON d.row_id = {words.row_id} WHERE {words.found} AND {condition} "
    bindings: Bindings = [*words.bindings, *more]
    order = ordering(query, words.score)
    begins = f"HAVING {order.begins}" if words.group else f"AND {order.begins}"
    rows: list[Any] = connection.execute(
        f"SELECT d.row_id, d.photo_id, {words.score} {joined} {words.group} {begins} ORDER BY {order.by} LIMIT ? OFFSET ?",
        (*bindings, *order.bindings, query.limit, query.offset),
    ).fetchall()
    reaches_end = 0 < len(rows) < query.limit or (not rows and not query.offset)
    if reaches_end and query.after is None:  # then the window ends at the total
        total = query.offset + len(rows)
    elif query.conditions:
        total = int(connection.execute(f"SELECT count({words.counted}) {joined}", bindings).get)
    else:  # these tables hold only live photos of this collection: no join is needed
        total = int(
            connection.execute(f"SELECT count({words.counted}) FROM {words.table} WHERE {words.found}", words.bindings).get
        )
    members = Members(f"SELECT {words.row_id} {joined}", bindings)
    return Ranking([Ranked(*row) for row in rows], total, members=members)


def _phrases(raw: Iterable[str]) -> list[str]:
    return [phrase for phrase in dict.fromkeys(map(match_phrase, raw)) if phrase]
