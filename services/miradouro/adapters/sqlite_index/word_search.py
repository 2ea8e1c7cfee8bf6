"""Keyword and text questions, in SQL."""

from collections.abc import Iterable
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import Bindings, where
from miradouro.adapters.sqlite_index.ranking import Ranked, Ranking
from miradouro.adapters.sqlite_index.tokenizer import match_phrase
from miradouro.core.query import IndexQuery, KeywordClause, TextClause

_WINDOW = "ORDER BY score DESC, d.photo_id LIMIT ? OFFSET ?"


def by_keyword(connection: apsw.Connection, collection: Collection, query: IndexQuery, clause: KeywordClause) -> Ranking:
    """Photos that carry any of the tags, by the sum of their probabilities."""
    words = list(dict.fromkeys(clause.words))
    if not words:
        return Ranking((), 0)
    condition, bindings = where(collection.collection_id, query.conditions)
    found = (
        "FROM tags t CROSS JOIN documents d ON d.row_id = t.row_id "
        f"WHERE t.collection_id = ? AND t.label IN ({', '.join('?' * len(words))}) AND {condition}"
    )
    bindings = [collection.collection_id, *words, *bindings]
    if len(words) == 1:
        score, group, counted = "t.score", "", "*"
    else:
        score, group, counted = "sum(t.score)", "GROUP BY d.row_id", "DISTINCT d.row_id"
    rows: list[Any] = connection.execute(
        f"SELECT d.row_id, d.photo_id, {score} AS score {found} {group} {_WINDOW}", (*bindings, query.limit, query.offset)
    ).fetchall()
    return _ranking(connection, rows, query, f"SELECT count({counted}) {found}", bindings)


def by_text(connection: apsw.Connection, collection: Collection, query: IndexQuery, clause: TextClause) -> Ranking:
    """Photos by BM25 as FTS5 computes it, columns weighted alike (Robertson and Zaragoza, 2009; k1 = 1.2, b = 0.75)."""
    should, must, must_not = (_phrases(part) for part in (clause.should, clause.must, clause.must_not))
    if not should and not must:  # nothing but stop words, or nothing that may be found
        return Ranking((), 0)
    table = f"text_{collection.collection_id:d}"
    # The expression ranks; whether a photo is a hit at all is decided apart where must and must_not have a say, so that a
    # phrase that may occur still counts, once.
    sql, bindings = f"{table} MATCH ?", Bindings([" OR ".join([*must, *should])])
    for phrases, operator, negation in ((must, " AND ", ""), (must_not, " OR ", "NOT ")):
        if phrases:
            sql += f" AND {table}.rowid {negation}IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)"
            bindings.append(operator.join(phrases))
    condition, more = where(collection.collection_id, query.conditions)
    found = f"FROM {table} CROSS JOIN documents d ON d.row_id = {table}.rowid WHERE {sql} AND {condition}"
    bindings += more
    rows: list[Any] = connection.execute(
        f"SELECT d.row_id, d.photo_id, -bm25({table}) AS score {found} {_WINDOW}", (*bindings, query.limit, query.offset)
    ).fetchall()
    return _ranking(connection, rows, query, f"SELECT count(*) {found}", bindings)


def _phrases(raw: Iterable[str]) -> list[str]:
    return [phrase for phrase in dict.fromkeys(map(match_phrase, raw)) if phrase]


def _ranking(connection: apsw.Connection, rows: list[Any], query: IndexQuery, count: str, bindings: Bindings) -> Ranking:
    if 0 < len(rows) < query.limit or (not rows and not query.offset):  # the window reaches the end: it tells the total
        total = query.offset + len(rows)
    else:
        total = int(connection.execute(count, bindings).get)
    return Ranking([Ranked(*row) for row in rows], total)
