"""The services as separate processes, as on separate machines."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from miradouro.core.errors import Unavailable

_STOP_TIMEOUT_S = 30.0
_ELSEWHERE = {"MIRADOURO_METRICS_LISTEN": "", "MIRADOURO_HEALTH_LISTEN": "", "MIRADOURO_HTTP_LISTEN": "127.0.0.1:0"}


class ServiceProcess:
    """`miradouro serve NAME` on a free port; a context manager that ends it. Its log is NAME.log in `folder`."""

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name, self.log_path = name, folder / f"{name}.log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "miradouro.cli.main", "serve", name, "--listen", "127.0.0.1:0"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **_ELSEWHERE, **environment},
            )
        self.pid = self._process.pid
        self.address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def wait(self) -> str:
        """The address, once the service prints it. Raises Unavailable when it ends instead."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(f"{self.name} service "):
                self.address = line.split(" on ")[1].split()[0]
                return self.address
        raise Unavailable(f"the {self.name} service ended; see {self.log_path}")

    def check(self) -> None:
        """Raises Unavailable when the process has ended."""
        if self._process.poll() is not None:
            raise Unavailable(f"the {self.name} service ended; see {self.log_path}")
