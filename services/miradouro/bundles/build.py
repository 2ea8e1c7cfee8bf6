"""Builds a model file from its source file. The build is deterministic: the same source always gives the same bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from miradouro.bundles import efficientnet_lite, vgg16_conv
from miradouro.bundles.constants import Constants, read_constants
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.quantization import Range
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

Recipe = Callable[[Path, Mapping[str, Range] | None, Constants], tuple[onnx.ModelProto, dict[str, str]]]

_RECIPES: Mapping[str, Recipe] = {"vgg16-conv": vgg16_conv.build, "efficientnet-lite0": efficientnet_lite.build}


def build(manifest: Manifest, precision: str, source: Path) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model, and the tensors that calibration measures, by activation name.

    Raises BadBundle when the manifest names no known recipe or does not fit its source or constants, InvalidArgument for another
    precision.
    """
    manifest.check_precision(precision)
    try:
        recipe = _RECIPES[manifest.recipe]
    except KeyError:
        raise BadBundle(f"{manifest.name}: {shown(manifest.recipe)} is not a recipe; known are {', '.join(_RECIPES)}") from None
    try:
        return recipe(source, manifest.ranges(precision), read_constants(manifest))
    except (DecodeError, ValueError) as exc:
        raise BadBundle(f"{source}: no {manifest.name} can be built from it: {exc}") from exc


def serialized(model: onnx.ModelProto) -> bytes:
    """The bytes of a model file, the same for the same model."""
    return model.SerializeToString(deterministic=True)
