"""An ingest service, and an empty folder for it to follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest_house import House, open_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "house") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"
