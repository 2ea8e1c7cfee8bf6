"""How long tests wait for what is expected to happen."""

WAIT_S = 120.0  # far above what any of it takes on a loaded machine: only a test that fails waits so long
