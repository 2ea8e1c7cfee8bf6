"""Fixtures that several kinds of tests share, and the markers that follow from them."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.pull import pull
from miradouro.bundles.settings import BundleSettings
from miradouro.development import engines
from miradouro.development.jars import Jdk, find_jdk

from tests import engine_processes
from tests.networks import INDEXED

# A slow machine is no wrong answer. The rest stays as hypothesis chooses it, by hand or under CI.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")

# A test that requests one of these fixtures, itself or through another fixture, carries the marker.
MARKED_BY = {
    "engines": frozenset({"kafka", "opensearch", "start_kafka", "start_opensearch", "jdk"}),
    "browser": frozenset({"browser"}),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, fixtures in MARKED_BY.items():
            if fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(marker)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    engine_processes.permitted = item.get_closest_marker("engines") is not None


def pytest_configure(config: pytest.Config) -> None:
    # Bundles that the person at this machine added are no part of the tests.
    os.environ["MIRADOURO_BUNDLES_DIR"] = str(Path(tempfile.gettempdir()) / "miradouro-tests-add-bundles-elsewhere")
    # nohup and background shells start their children with SIGINT ignored; processes that tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        engine_processes.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        engine_processes.leave()
    else:
        engine_processes.end()


@pytest.fixture(scope="session")
def kafka() -> str:
    """The bootstrap address of a real Kafka that other tests use at the same time."""
    return engine_processes.kafka()


@pytest.fixture(scope="session")
def opensearch() -> str:
    """The URL of a real OpenSearch that other tests use at the same time."""
    return engine_processes.opensearch()


@pytest.fixture(scope="session")
def start_kafka() -> Callable[..., engines.Kafka]:
    """Starts a Kafka of the test's own, to harm it."""
    return engines.start_kafka


@pytest.fixture(scope="session")
def start_opensearch() -> Callable[..., engines.OpenSearch]:
    """Starts an OpenSearch of the test's own, to harm or to limit it."""
    return engines.start_opensearch


@pytest.fixture(scope="session")
def jdk() -> Jdk:
    """The JDK of a test that runs Java by itself, or through the command."""
    return find_jdk()


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> None:
    """A command that ran in an earlier test left its log level and its stream.

    Lines go where commands send them: a service in this process must not write into what a command prints.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder with every bundle of the package index in every precision, pulled where missing.

    Workers wait for each other at its locks.
    """
    folder = BundleSettings().folder
    for manifest in INDEXED:
        for precision in manifest.precisions:
            pull(manifest.name, precision=precision, folder=folder, progress=LogProgress())
    return folder
