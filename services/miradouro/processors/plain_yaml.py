"""YAML as plain data: lists, mappings and scalars.

Anchors, merges and tags are refused: a pipeline needs none, and they let a short text expand without limit.
"""

from typing import Any

import yaml

_MAX_CHARS = 65_536
_MAX_DEPTH = 32


def load_plain(text: str) -> tuple[Any, yaml.Node | None]:
    """The data in `text`, and its nodes with line numbers. Raises ValueError that names the mistake."""
    if len(text) > _MAX_CHARS:
        raise ValueError(f"it has {len(text):,} characters; allowed: {_MAX_CHARS:,}")
    try:
        _check(text)
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as exc:
        raise ValueError(f"this is not YAML: {exc}") from exc
    except OverflowError as exc:
        raise ValueError(f"a number or date is out of range: {exc}") from exc


def _check(text: str) -> None:
    """Checks the parser's events without constructing any data."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<"
        if is_merge or isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ValueError(f"line {line} has an anchor, a reference, a merge or a tag; write the data itself")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"line {line} is nested deeper than {_MAX_DEPTH} levels")
