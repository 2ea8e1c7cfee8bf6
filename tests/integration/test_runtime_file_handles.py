"""Every command may hold as many files open as the system lets it."""

import subprocess
import sys

import pytest

# A soft limit far below the hard one, as systems start processes; then any command.
SCRIPT = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from miradouro.cli.main import cli
cli.main(["stats", "--help"], standalone_mode=False)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(64, 512, "512 512"), (512, 512, "512 512")])
def test_the_soft_limit_of_open_files_is_raised(soft: int, hard: int, then: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(soft=soft, hard=hard)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines()[-1] == then
