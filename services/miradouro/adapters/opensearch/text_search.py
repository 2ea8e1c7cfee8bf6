"""Text questions as a query of the cluster; core.searched_texts describes the score."""

from collections.abc import Iterable, Sequence
from typing import Any

from miradouro.adapters.opensearch.documents import analysed
from miradouro.core.query import TextClause
from miradouro.core.searched_texts import HUMAN_WEIGHT, OWN_TAG_WEIGHT, WORD_BONUS

Body = dict[str, Any]
_HUMAN = {"words_human": HUMAN_WEIGHT, "words_own": OWN_TAG_WEIGHT}


def text_query(clause: TextClause) -> Body | None:
    """The parts of a bool query, without a filter; None when the clause has nothing to look for."""
    must, should, must_not = (_analysed(part) for part in (clause.must, clause.should, clause.must_not))
    if not must and not should:  # only stop words, or only excluded phrases
        return None
    others = {analysed(one.word): [(analysed(word), weight) for word, weight in one.others] for one in clause.alternatives}
    units = [[(phrase, 1.0), *others.get(phrase, ())] for phrase in dict.fromkeys([*must, *should])]
    made = _any([_best([_phrase("words_made", phrase, weight) for phrase, weight in unit]) for unit in units])
    return {
        "should": [
            *(_best([_human(phrase, weight) for phrase, weight in unit]) for unit in units),
            {"script_score": {"query": made, "script": {"source": "_score / (1 + _score)"}}},
        ],
        "minimum_should_match": 1,
        "must_not": [_somewhere(phrase) for phrase in must_not],
        "filter": [_somewhere(phrase) for phrase in must],
    }


def _human(phrase: str, weight: float) -> Body:
    texts = [_phrase(field, phrase, boost * weight) for field, boost in _HUMAN.items()]
    return _any([*texts, *({"constant_score": {"filter": text, "boost": WORD_BONUS * weight}} for text in texts)])


def _best(queries: Sequence[Body]) -> Body:
    return queries[0] if len(queries) == 1 else {"dis_max": {"queries": queries}}


def _somewhere(phrase: str) -> Body:
    return _any([_phrase(field, phrase, 1.0) for field in (*_HUMAN, "words_made")])


def _phrase(field: str, phrase: str, boost: float) -> Body:
    return {"match_phrase": {field: {"query": phrase, "boost": boost}}}


def _any(queries: Sequence[Body]) -> Body:
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def _analysed(raw: Iterable[str]) -> list[str]:
    return [phrase for phrase in dict.fromkeys(map(analysed, raw)) if phrase]
