"""Native libraries that bring a C++ runtime of their own stand beside each other in one process, whichever comes first."""

import itertools
import subprocess
import sys

import pytest

LIBRARIES = ("miradouro.adapters.sqlite_index.vectors.hnsw", "onnxruntime", "grpc")


@pytest.mark.parametrize("order", list(itertools.permutations(LIBRARIES, 2)))
def test_they_can_be_imported_in_any_order(order):
    done = subprocess.run([sys.executable, "-c", f"import {', '.join(order)}"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
