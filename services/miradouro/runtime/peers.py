"""Checks at intervals, on threads, whether the services that this process calls answer; for health, metrics and the log."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge

from miradouro.core.errors import MiradouroError

ASKED_EVERY_S = 5.0
_PATIENCE_S = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Peer:
    """A service that this process calls. `check` returns when it answers, and raises otherwise.

    Errors other than MiradouroError are logged with their traceback. Without a peer that is not `needed` the process is still
    ready: it can do a part of its work.
    """

    name: str
    setting: str
    check: Callable[[], object]
    is_needed: bool = True


class Peers:
    """The results of the latest checks."""

    def __init__(self, peers: Sequence[Peer], registry: CollectorRegistry) -> None:
        self._peers = peers
        self._up = Gauge(
            "miradouro_peer_up", "1 if the peer answered its latest check, otherwise 0.", ("peer",), registry=registry
        )
        self._answering: dict[str, bool | None] = {peer.name: None for peer in peers}
        self._stopped = threading.Event()
        # One that hangs does not delay the checks of the others.
        self._threads = [
            threading.Thread(target=self._run, args=(peer,), name=f"peer {peer.name}", daemon=True) for peer in peers
        ]

    @property
    def answer(self) -> bool:
        """Whether every needed peer answers."""
        return all(self._answering[peer.name] for peer in self._peers if peer.is_needed)

    def start(self) -> None:
        """Starts the checks."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the checks; waits only briefly for a check in progress."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def _run(self, peer: Peer) -> None:
        while not self._stopped.is_set():
            self._ask(peer)
            self._stopped.wait(ASKED_EVERY_S)

    def _ask(self, peer: Peer) -> None:
        before = self._answering[peer.name]
        try:
            peer.check()
        except Exception as exc:  # noqa: BLE001 # whatever it is, the peer did not answer as it should, and is asked again
            self._answering[peer.name] = False
            if before is not False:
                is_ours = isinstance(exc, MiradouroError)
                _log.warning(
                    "a peer does not answer",
                    peer=peer.name,
                    setting=peer.setting,
                    error=exc.message if isinstance(exc, MiradouroError) else repr(exc),
                    ready=not peer.is_needed,
                    exc_info=not is_ours,
                )
        else:
            self._answering[peer.name] = True
            if before is False:
                _log.info("a peer answers again", peer=peer.name)
        self._up.labels(peer.name).set(bool(self._answering[peer.name]))


@contextmanager
def watched(peers: Sequence[Peer], *, registry: CollectorRegistry) -> Iterator[Peers]:
    """Checks the peers while the block runs."""
    asking = Peers(peers, registry)
    asking.start()
    try:
        yield asking
    finally:
        asking.stop()
