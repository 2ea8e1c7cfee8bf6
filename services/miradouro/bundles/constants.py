"""Reads the arrays that a bundle's recipe adds to its graph; they are shipped beside the manifest."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from miradouro.bundles.manifest import MODELS, Manifest
from miradouro.core.errors import BadBundle

Constants = Mapping[str, npt.NDArray[Any]]


def read_constants(manifest: Manifest) -> Constants:
    """The arrays by name. Raises BadBundle when the file is missing or its checksum is not that of the manifest."""
    file = manifest.constants.file
    try:
        data = (MODELS / file).read_bytes()
    except OSError as exc:
        raise BadBundle(f"{manifest.name}: the constants {file} can't be read: {exc}; install Miradouro anew") from exc
    if (found := hashlib.sha256(data).hexdigest()) != manifest.constants.sha256:
        raise BadBundle(
            f"{manifest.name}: {file} has sha256 {found}, the manifest names {manifest.constants.sha256}; install Miradouro anew"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, BadZipFile) as exc:
        raise BadBundle(f"{manifest.name}: {file} holds no arrays: {exc}; install Miradouro anew") from exc
