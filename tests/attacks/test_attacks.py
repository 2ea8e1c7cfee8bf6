"""While others attack, honest questions are answered; afterwards the server holds what it held before."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.__main__ import ATTACKS
from tests.attacks.attacked_server import AttackedServer, attacked_server
from tests.attacks.honest import asking
from tests.attacks.process_size import ProcessSize
from tests.waiting import WAIT_S

pytestmark = pytest.mark.usefixtures("models_dir")
AGAIN = 1.1  # times what it held before
# Once, however long the attack is: what is loaded with the first error, heaps, idle connections to the database, new collections.
# On a busy machine more large requests are in flight at a time, and the heaps keep up to 105 MiB of their pages. Both networks'
# sessions for passes side by side, which are made when photos first queue, take 113 MiB.
ONCE_MIB, ONCE_FILES = 240, 8
MOST_MIB = 1.2 * 1024
FAULTS = {"500", "INTERNAL", "UNKNOWN"}  # what a handler that met an unexpected error answers
LENGTHS = [pytest.param(5.0, id="5 s"), pytest.param(30.0, id="30 s", marks=pytest.mark.long)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AttackedServer]:
    with attacked_server(tmp_path) as running:
        yield running


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_no_honest_question_fails_under_attack(server: AttackedServer, attack: str, seconds: float) -> None:
    before = server.size()
    with asking(server.target.grpc, server.target.page, server.token) as answers:
        outcome = server.attack(attack, seconds=seconds)
    got = outcome.answers
    for door, honest in answers.items():
        assert honest.failures == [], f"{door}: {len(honest.failures)} failed beside {len(honest.seconds)} answered; {got}"
        assert honest.seconds, f"{door}: no question was asked"
    assert sum(got.values()) > 0, "the attack never reached the server"
    assert FAULTS & set(got) == set(), got
    assert outcome.peak_mebibytes <= MOST_MIB
    allowed = ProcessSize(AGAIN * before.mebibytes + ONCE_MIB, int(AGAIN * before.files) + ONCE_FILES, before.processes)
    held = _held_again(server, allowed)
    assert held.mebibytes <= allowed.mebibytes, f"memory stays: {before} → {held}; {got}"
    assert held.files <= allowed.files, f"open files stay: {before} → {held}; {got}"


def _held_again(server: AttackedServer, allowed: ProcessSize) -> ProcessSize:
    """What the server holds as soon as that is allowed, or when the time is over."""
    deadline = time.monotonic() + WAIT_S
    while True:
        held = server.size()
        is_allowed = held.mebibytes <= allowed.mebibytes and held.files <= allowed.files
        if is_allowed or time.monotonic() > deadline:
            return held
        time.sleep(0.2)
