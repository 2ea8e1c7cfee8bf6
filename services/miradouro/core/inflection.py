"""Regular plurals of English nouns.

The endings are those that WordNet's search detaches (morphy(7WN)); they apply to the last word of a phrase.
"""

_ENDINGS = (
    ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("zes", "z"), ("oes", "o"), ("ies", "y"), ("ves", "f"),
    ("ves", "fe"), ("men", "man"), ("s", ""),
)  # fmt: skip
_SHORTEST = 2  # letters that stay of a word
_VOWELS = "aeiou"


def singulars(phrase: str) -> tuple[str, ...]:
    """The singulars that a regular plural may have, folded like `phrase`. Some are no words: check them."""
    if phrase.endswith("'s"):
        return (phrase[:-2],)
    if phrase.endswith("ss"):
        return ()
    return tuple(
        phrase[: -len(plural)] + singular
        for plural, singular in _ENDINGS
        if phrase.endswith(plural) and len(phrase.split()[-1]) - len(plural) + len(singular) >= _SHORTEST
    )


def plurals(phrase: str) -> tuple[str, ...]:
    """The regular plurals of a singular noun."""
    if phrase.endswith(("ch", "sh", "s", "x", "z")):
        return (f"{phrase}es",)
    if phrase.endswith("y") and phrase[-2:-1] not in _VOWELS:
        return (f"{phrase[:-1]}ies",)
    if phrase.endswith("man"):
        return (f"{phrase[:-3]}men", f"{phrase}s")
    return (f"{phrase}s", f"{phrase}es") if phrase.endswith("o") else (f"{phrase}s",)
