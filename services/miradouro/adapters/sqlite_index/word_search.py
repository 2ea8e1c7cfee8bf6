"""Keyword and text queries, in SQL."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import Bindings, where
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.schema import TEXT_TABLES
from miradouro.adapters.sqlite_index.tokenizer import match_phrase
from miradouro.core.query import IndexQuery, KeywordClause, TextClause
from miradouro.core.searched_texts import HUMAN_WEIGHT, OWN_TAG_WEIGHT, WORD_BONUS


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
    """Photos by BM25 (Robertson and Zaragoza, 2009; k1 = 1.2, b = 0.75); weights: see core.searched_texts."""
    should, must, must_not = (_phrases(part) for part in (clause.should, clause.must, clause.must_not))
    if not should and not must:  # only stop words, or only excluded phrases
        return NOTHING
    # These phrases rank. `must` and `must_not` decide apart whether a photo matches at all: so an optional phrase still adds
    # to the score, once.
    others = {match_phrase(one.word): one.others for one in clause.alternatives}
    units = [
        [(phrase, 1.0), *((match_phrase(other), weight) for other, weight in others.get(phrase, ()))]
        for phrase in dict.fromkeys([*must, *should])
    ]
    tables = _tables(collection.collection_id)
    found, conditions = "TRUE", Bindings()
    somewhere = " UNION ALL ".join(f"SELECT rowid FROM {table} WHERE {table} MATCH ?" for table in tables)
    for match, negation in (*((phrase, "") for phrase in must), *([(" OR ".join(must_not), "NOT ")] if must_not else [])):
        found += f" AND ranked.row_id {negation}IN ({somewhere})"
        conditions += [match] * len(tables)
    ranked, bindings = _ranked(connection, tables, units)
    # To count needs no scores.
    any_phrase = " OR ".join(phrase for phrases in units for phrase, _ in phrases)
    members = " UNION ".join(f"SELECT rowid AS row_id FROM {table} WHERE {table} MATCH ?" for table in tables)
    words = _Words(
        f"({ranked}) ranked",
        "ranked.row_id",
        "ranked.score",
        group="",
        counted="*",
        found=found,
        bindings=[*bindings, *conditions],
        members=f"({members}) ranked",
        member_bindings=[*[any_phrase] * len(tables), *conditions],
    )
    return _ranking(connection, collection, query, words)


def _ranked(
    connection: apsw.Connection, tables: Sequence[str], units: Sequence[Sequence[tuple[str, float]]]
) -> tuple[str, Bindings]:
    """SQL for row ids and scores, and its bindings: the sum over the units; the best phrase of each unit counts in each photo.

    A branch is one phrase of one unit, and has a row for each photo and table with the phrase.
    """
    branches = [(unit, phrase, weight) for unit, phrases in enumerate(units) for phrase, weight in phrases]
    text, own, made = tables
    selects = ["SELECT 0 AS row_id, 0 AS unit, 0 AS branch, 0.0 AS human, 0.0 AS made WHERE FALSE"]
    bindings = Bindings()
    rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").get) for table in tables}
    for branch, (unit, phrase, weight) in enumerate(branches):
        for table, human in ((text, HUMAN_WEIGHT), (own, OWN_TAG_WEIGHT), (made, 0.0)):
            matches = int(connection.execute(f"SELECT count(*) FROM {table} WHERE {table} MATCH ?", (phrase,)).get)
            if not matches:
                continue
            score = f"{weight * _rarity(rows[table], matches)!r} * -bm25({table})"
            scores = f"0.0 AS human, {score} AS made" if table == made else f"{weight * WORD_BONUS!r} + {human!r} * {score}, 0.0"
            selects.append(f"SELECT rowid, {unit:d}, {branch:d}, {scores} FROM {table} WHERE {table} MATCH ?")
            bindings.append(phrase)
    best = "found"
    if len(branches) > len(units):
        phrases = "(SELECT row_id, unit, sum(human) AS human, sum(made) AS made FROM found GROUP BY row_id, branch)"
        best = f"(SELECT row_id, max(human) AS human, max(made) AS made FROM {phrases} GROUP BY row_id, unit)"
    # MATERIALIZED: bm25() has no meaning after grouping.
    return (
        f"WITH found AS MATERIALIZED ({' UNION ALL '.join(selects)}) "
        f"SELECT row_id, sum(human) + sum(made) / (1 + sum(made)) AS score FROM {best} GROUP BY row_id"
    ), bindings


def _rarity(rows: int, matches: int) -> float:
    """What to multiply FTS5's score of a phrase by, so that its inverse document frequency is ln(1 + r), as in Lucene.

    FTS5 takes ln(r), at least 1e-6: a word in more than half of the rows counts nothing.
    """
    ratio = (rows - matches + 0.5) / (matches + 0.5)
    return math.log1p(ratio) / max(math.log(ratio), 1e-6)


def _tables(collection_id: int) -> list[str]:
    return [f"{name}_{collection_id:d}" for name in TEXT_TABLES]


@dataclass(frozen=True)
class _Words:
    """Parts of the SQL of a query in words: the table, the photo's row id, its score, how rows are grouped and counted, which
    rows match, and the bindings of that.

    `members` is a cheaper table of the same rows without scores, where there is one, with its bindings.
    """

    table: str
    row_id: str
    score: str
    group: str
    counted: str
    found: str
    bindings: Bindings
    members: str = ""
    member_bindings: Bindings = field(default_factory=list)


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
    counted, counted_bindings = (words.members, words.member_bindings) if words.members else (words.table, words.bindings)
    member_rows = f"FROM {counted} CROSS JOIN documents d ON d.row_id = {words.row_id} WHERE {words.found} AND {condition} "
    members = Members(f"SELECT {words.row_id} {member_rows}", [*counted_bindings, *more])
    reaches_end = 0 < len(rows) < query.limit or (not rows and not query.offset)
    if reaches_end and query.after is None:  # then the window ends at the total
        total = query.offset + len(rows)
    elif query.conditions:
        total = int(connection.execute(f"SELECT count({words.counted}) {member_rows}", members.bindings).get)
    else:  # these tables hold only live photos of this collection: no join is needed
        sql = f"SELECT count({words.counted}) FROM {counted} WHERE {words.found}"
        total = int(connection.execute(sql, counted_bindings).get)
    return Ranking([Ranked(*row) for row in rows], total, members=members)


def _phrases(raw: Iterable[str]) -> list[str]:
    return [phrase for phrase in dict.fromkeys(map(match_phrase, raw)) if phrase]
