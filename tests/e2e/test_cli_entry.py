"""The first and last moments of the command: Ctrl-C where no code of its own runs shows no traceback; streams may be closed."""

import ast
import os
import signal
import subprocess
import sys

import pytest

INTERRUPT = "import os, signal; interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
WHILE_IMPORTING = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            interrupt()
sys.meta_path.insert(0, Finder())
"""
WHILE_ENDING = "import atexit; atexit.register(interrupt)\n"
PATHS = f"import sys; sys.path[:] = {sys.path!r}\n"
RUN = "from miradouro.cli.entry import main; main()\n"


def _run(moment: str, *, before: str = "") -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", INTERRUPT + before + moment + RUN, "--version"]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def test_the_entry_imports_the_standard_library_alone():
    look = "import os, sys; before = set(sys.modules); import miradouro.cli.entry; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", PATHS + look], capture_output=True, text=True, timeout=300, check=True)
    assert {name for name in ast.literal_eval(done.stdout) if name.split(".")[0] not in sys.stdlib_module_names} == {
        "miradouro",
        "miradouro.cli",
        "miradouro.cli.entry",
    }


@pytest.mark.parametrize("moment", [WHILE_IMPORTING, WHILE_ENDING])
def test_an_interrupt_outside_the_command_has_no_traceback(moment):
    done = _run(moment)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("moment", [WHILE_IMPORTING, WHILE_ENDING])
def test_a_command_started_to_ignore_interrupts_ignores_them(moment):
    done = _run(moment, before="signal.signal(signal.SIGINT, signal.SIG_IGN)\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("miradouro, version ")


def test_closed_standard_streams_become_the_null_device(tmp_path):
    devices = tmp_path / "devices"
    look = (
        "import atexit, os, pathlib\n"
        f"atexit.register(lambda: pathlib.Path({str(devices)!r}).write_text(str([os.fstat(one).st_rdev for one in (1, 2)])))\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", look + RUN, "--version"], timeout=300, check=False
    )
    assert done.returncode == 0
    assert devices.read_text() == str([os.stat(os.devnull).st_rdev] * 2)
