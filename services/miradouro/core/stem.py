"""The stem of a word, to tell which words the engines take for the same."""

from collections.abc import Callable
from functools import cache, lru_cache


@lru_cache(maxsize=32_768)
def stem(word: str) -> str:
    """The Porter stem of a folded word (Porter, "An algorithm for suffix stripping", 1980)."""
    return _stemmer()(word)


@cache
def _stemmer() -> Callable[[str], str]:
    from snowballstemmer import stemmer  # here: a search by tags needs none

    found: Callable[[str], str] = stemmer("porter").stemWord
    return found
