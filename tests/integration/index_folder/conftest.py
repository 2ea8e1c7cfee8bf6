"""An ingest service, and an empty folder for it to follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest_fixture import IngestFixture, open_ingest


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"
