"""The `miradouro` command, run as a person runs it: in this process where that is enough, as a process of its own otherwise."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import pytest
from miradouro.cli.exit_status import EXIT_PARTLY
from miradouro.cli.main import main
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.security import ClientSecurity
from miradouro.standalone.owner_token import owner_token

from tests.e2e.tuned import Constants, command

COMMAND = str(Path(sys.executable).with_name("miradouro"))
ONE_BY_ONE = {"miradouro.standalone.composition:PACE.commit_photos": 1}  # each photo is a commit of its own
START_S = 300.0  # for a loaded machine, where a start of two seconds took fifty


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, all of it, as JSON. Fails when the command did; some photos may have failed."""
        assert self.code in (0, EXIT_PARTLY), self.err
        return json.loads(self.out)


def run(*words: object) -> Done:
    """Runs `miradouro WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = os.umask(0)
    os.umask(before)
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
    finally:
        os.umask(before)
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def start(*words: object, constants: Constants = MappingProxyType({}), **environment: str) -> "subprocess.Popen[str]":
    """Starts `miradouro WORDS` as a process of its own, with other `constants` (see `tuned`)."""
    return subprocess.Popen(
        [*(command(constants) if constants else [COMMAND]), *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MIRADOURO_HTTP_LISTEN": "127.0.0.1:0", **environment},
    )


def channel_to(address: str, data: Path) -> grpc.Channel:
    """A channel to the server of a data folder, with the folder's token."""
    return open_channel(address, security=ClientSecurity(tokens=owner_token(data)))


@contextmanager
def up(data: Path, *words: object) -> Iterator[str]:
    """Runs `miradouro up` on a free port while the block runs; gives its address. It must end cleanly at SIGTERM."""
    server = start("up", "--data", data, "--listen", "127.0.0.1:0", *words)
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        assert line.startswith("ready: "), server.communicate(timeout=START_S)
        yield line.removeprefix("ready: ").strip()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            _, err = server.communicate(timeout=START_S)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert server.returncode == 0, err
    assert "Traceback" not in err
