"""The order of a ranking, and the start of a page, as SQL over `documents d` and a `score`."""

from dataclasses import dataclass

from miradouro.adapters.sqlite_index.conditions import Bindings
from miradouro.core.microseconds import microseconds
from miradouro.core.query import IndexQuery, Order


@dataclass(frozen=True)
class Ordering:
    """`begins`, with `bindings`, is true for the rows after the query's `after`; `by` follows ORDER BY."""

    begins: str
    bindings: Bindings
    by: str


def ordering(query: IndexQuery, score: str = "0") -> Ordering:
    """The query's order; `score` is the SQL of a photo's score, a constant where all are equal."""
    after = query.after
    if query.order is Order.TAKEN:
        by = "d.taken_us DESC, d.photo_id"  # NULL sorts below every number: photos without a time come last
        if after is None:
            return Ordering("TRUE", [], by)
        if after.taken_at is None:
            return Ordering("d.taken_us IS NULL AND d.photo_id > ?", [after.photo_id], by)
        taken_us = microseconds(after.taken_at, field="after.taken_at")
        begins = "(d.taken_us < ? OR d.taken_us IS NULL OR (d.taken_us = ? AND d.photo_id > ?))"
        return Ordering(begins, [taken_us, taken_us, after.photo_id], by)
    if score == "0":
        return Ordering("TRUE", [], "d.photo_id") if after is None else Ordering("d.photo_id > ?", [after.photo_id], "d.photo_id")
    by = f"{score} DESC, d.photo_id"
    if after is None:
        return Ordering("TRUE", [], by)
    return Ordering(f"({score} < ? OR ({score} = ? AND d.photo_id > ?))", [after.score, after.score, after.photo_id], by)
