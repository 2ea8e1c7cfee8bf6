"""The security chapter matches the code: every limit is compared with its constant or setting."""

import importlib
import operator
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
UNITS = {"": 1, "s": 1, "MiB": 2**20}
LIMITS = re.findall(r"^\| ([^|]+) \| ([\d,]+) ?(\w*) \| `([\w.]+):([\w.]+)` \|$", CHAPTER, re.M)


@pytest.mark.parametrize(("limit", "number", "unit", "module", "path"), LIMITS, ids=[row[0] for row in LIMITS])
def test_every_limit_is_that_of_the_code(limit: str, number: str, unit: str, module: str, path: str) -> None:
    assert value_of(module, path) == int(number.replace(",", "")) * UNITS[unit], limit


def test_every_row_of_the_limits_is_compared() -> None:
    [section] = re.findall(r"^## Limits\n(.*?)^## ", CHAPTER, re.M | re.S)
    assert len(LIMITS) == sum(line.startswith("| ") for line in section.splitlines()) - 1 > 25


def value_of(module: str, path: str) -> Any:
    """The constant, attribute, or default of a limit."""
    return operator.attrgetter(path)(importlib.import_module(module))
