"""Reads the arrays that a bundle's recipe adds to its graph; they lie beside the manifest."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from miradouro.bundles.manifest import Manifest
from miradouro.core.errors import BadBundle

Constants = Mapping[str, npt.NDArray[Any]]


def read_constants(manifest: Manifest) -> Constants:
    """The arrays by name, none where the manifest names no file.

    Raises BadBundle when the file is missing or its checksum is not that of the manifest.
    """
    named = manifest.constants
    if named is None:
        return {}
    try:
        data = manifest.beside(named.file).read_bytes()
    except OSError as exc:
        raise BadBundle(f"{manifest.name}: the constants {named.file} can't be read: {exc}; install the bundle anew") from exc
    if (found := hashlib.sha256(data).hexdigest()) != named.sha256:
        raise BadBundle(
            f"{manifest.name}: {named.file} has sha256 {found}, the manifest names {named.sha256}; install the bundle anew"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, BadZipFile) as exc:
        raise BadBundle(f"{manifest.name}: {named.file} holds no arrays: {exc}; install the bundle anew") from exc
