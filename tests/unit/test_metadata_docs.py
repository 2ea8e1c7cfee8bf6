"""docs/metadata.md matches the code."""

import re
from pathlib import Path

from miradouro.core.metadata import TIME_SOURCES, bounds

TEXT = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text()


def first_cells(heading: str) -> list[tuple[str, str]]:
    """The first two cells of every row of the table below a heading, without its own."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \| (.*?) \|$", section, re.MULTILINE)


def test_the_order_of_times_is_the_codes():
    assert tuple(name for name, _ in first_cells("When a photo was taken")) == TIME_SOURCES


def test_the_bounds_are_the_codes():
    written = {name: int(value.split()[0].replace(",", "")) for name, value in first_cells("Bounds")}

    assert written == {name: getattr(bounds, name) for name in vars(bounds) if name.startswith("MAX_") and name in written}
    assert written.keys() == {name for name in vars(bounds) if name.startswith("MAX_")} - {"MAX_CAPTION_CHARS"}
