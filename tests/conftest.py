"""Fixtures that several kinds of tests share."""

from pathlib import Path

import pytest
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.pull import pull
from miradouro.bundles.registry import manifests
from miradouro.bundles.settings import BundleSettings


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder with every bundle in every precision, pulled where missing; workers wait for each other at its locks."""
    folder = BundleSettings().folder
    for manifest in manifests():
        for precision in manifest.precisions:
            pull(manifest.name, precision=precision, folder=folder, progress=LogProgress())
    return folder
