import os

import pytest
from miradouro.runtime.cpus import available_cpus

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("written", "cpus"),
    [("100000 100000\n", 1), ("50000 100000\n", 1), (f"{CPUS * 200_000} 100000\n", CPUS), ("max 100000\n", CPUS), ("\n", CPUS)],
)
def test_a_containers_limit_counts_as_its_cpus(tmp_path, written, cpus):
    (tmp_path / "cpu.max").write_text(written)
    assert available_cpus(tmp_path / "cpu.max") == cpus


def test_without_a_limit_the_schedulers_cpus_count(tmp_path):
    assert available_cpus(tmp_path / "cpu.max") == CPUS
