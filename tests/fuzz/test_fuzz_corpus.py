"""What the fuzzer found stays fixed, and random bytes find nothing near it. `make fuzz` searches for more."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "fuzz_corpus"
FOUND = sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())
MAX_FILE_BYTES = 16 * 1024


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_found_inputs_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    for number, seed in enumerate(seeds(name)):
        _call(name, f"seed {number}", seed)
    for path in FOUND:
        if path.parts[0] == name:
            _call(name, path.name, (CORPUS / path).read_bytes())
    assert target.tries > 0


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_are_read_or_refused(name: str) -> None:
    @settings(max_examples=TARGETS[name].tries, suppress_health_check=list(HealthCheck))
    @given(data=changed(seeds(name)))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()


def test_found_inputs_are_small_and_of_a_target() -> None:
    assert {path.parts[0] for path in FOUND} <= set(TARGETS)
    assert [path for path in FOUND if (CORPUS / path).stat().st_size > MAX_FILE_BYTES] == []


@st.composite
def changed(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """Random bytes, or a seed of which a part is cut out, doubled, or replaced."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    seed = draw(st.sampled_from(whole))
    start, end = sorted((draw(st.integers(0, len(seed))), draw(st.integers(0, len(seed)))))
    middle = draw(st.sampled_from([b"", seed[start:end] * 2, seed[start:end][::-1]]) | st.binary(max_size=32))
    return seed[:start] + middle + seed[end:]


def _call(name: str, what: str, data: bytes) -> None:
    try:
        TARGETS[name](data)
    except BaseException as exc:
        exc.add_note(f"input: {what}")
        raise
