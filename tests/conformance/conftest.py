"""One fixture per port, once for every adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.core.ports import DeadLetters

from tests.conformance.engines import DEAD_LETTERS, INDICES, Index, with_markers


@pytest.fixture(params=with_markers(INDICES))
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    with INDICES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=with_markers(DEAD_LETTERS))
def dead_letters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeadLetters]:
    with DEAD_LETTERS[request.param](tmp_path) as opened:
        yield opened
