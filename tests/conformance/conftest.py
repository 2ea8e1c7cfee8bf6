"""One fixture per port, once for every adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.core.ports import DeadLetters

from tests.conformance.engines import DEAD_LETTERS, INDICES, Index


@pytest.fixture(params=sorted(INDICES))
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    with INDICES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=sorted(DEAD_LETTERS))
def dead_letters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeadLetters]:
    with DEAD_LETTERS[request.param](tmp_path) as opened:
        yield opened
