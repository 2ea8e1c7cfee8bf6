"""Manifests: the sources and the spaces of a bundle, as TOML."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from miradouro.bundles.sources import SHA256, Part, Source, inside
from miradouro.bundles.taps import TAPS_VERSION, InputPart, SpacePart, TagsPart, TapPart
from miradouro.core.embedding import IMAGENET
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle, InvalidArgument
from miradouro.core.provenance import provenance
from miradouro.core.spaces import Fit, Geometry, Region, Resample, Space, Storage

Precision = Literal["int8", "fp32"]
PRECISIONS = ("int8", "fp32")
# A link to the folder `models` of the repository; packaging copies its target.
MODELS = Path(__file__).parent / "models"


class ConstantsFile(Part):
    """Arrays that a recipe adds to the graph: an .npz file beside the manifest."""

    file: str
    sha256: str = Field(pattern=SHA256)

    @field_validator("file")
    @classmethod
    def _is_inside(cls, file: str) -> str:
        return inside(file)


class GeometryPart(Part):
    """How a photo is fitted for one input of the graph; see core.spaces.Geometry."""

    fit: Fit
    width: int = Field(gt=0, le=4096)
    height: int = Field(gt=0, le=4096)
    short_side: int = Field(0, ge=0)
    resample: Resample

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.fit is Fit.SHORT_SIDE_CENTER_CROP and self.short_side < max(self.width, self.height):
            raise ValueError(f"short_side {self.short_side} is less than the crop of {self.width} x {self.height}")
        return self


class Calibration(Part):
    """Activation ranges of static int8, and how they were measured."""

    photos: int
    method: str
    ranges: Mapping[str, tuple[float, float]] = {}


class Manifest(Part):
    """A bundle. Increase `recipe_version` with every change of the recipe that changes a vector.

    `geometries` are by the name of the graph's input; tags are computed from the first. A recipe of Miradouro lists its `spaces`;
    the recipe `onnx` reads `input`, `taps` and `tags.tensor` instead. A recipe without weights has no `sources`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    recipe: str
    recipe_version: int = 1
    summary: str = ""
    license: str = ""
    attribution: str = ""
    precisions: tuple[Precision, ...] = Field(("fp32",), min_length=1)
    sources: tuple[Source, ...] = ()
    constants: ConstantsFile | None = None
    input: InputPart | None = None
    geometries: Mapping[str, GeometryPart] = Field(min_length=1)
    own_spaces: tuple[SpacePart, ...] = Field((), alias="spaces")
    taps: tuple[TapPart, ...] = ()
    tags: TagsPart | None = None
    calibration: Calibration | None = None
    _folder: Path = PrivateAttr(default=MODELS)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.own_spaces) == bool(self.taps):
            raise ValueError("has both spaces and taps, or neither; write [[taps]] with recipe onnx, else [[spaces]]")
        outputs = [part.output for part in self.spaces]
        if twice := {output for output in outputs if outputs.count(output) > 1}:
            raise ValueError(f"names {sorted(twice)[0]} twice; each layer and pooling is one space")
        for part in self.spaces:
            if unknown := set(part.views) - set(self.geometries):
                raise ValueError(f"view {sorted(unknown)[0]} of {part.output} is not one of the geometries")
        return self

    @property
    def spaces(self) -> tuple[SpacePart, ...]:
        """The spaces, written as such or as taps."""
        return self.own_spaces or self.taps

    @property
    def tag_output(self) -> str:
        """The graph output with the label distribution; empty when the bundle can't tag."""
        return self.tags.output if self.tags else ""

    @property
    def label_table(self) -> str:
        """The name of the label table: imagenet-1k, or that of the bundle for its own labels; empty when it can't tag."""
        if self.tags is None:
            return ""
        return IMAGENET if self.tags.labels == IMAGENET else self.name

    @property
    def folder(self) -> Path:
        """The folder of the manifest, of its constants, labels and files."""
        return self._folder

    def beside(self, file: str) -> Path:
        """The path of a file of the bundle. Raises BadBundle when a link leads out of the folder."""
        path = self._folder / file
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise BadBundle(f"{self.name}: {shown(file)} lies outside {self._folder}; put the file itself there, not a link")
        return path

    def check_precision(self, precision: str) -> None:
        """Raises InvalidArgument when the bundle is not offered in `precision`."""
        if precision not in self.precisions:
            can_measure = precision == "int8" and self.sources and not self.taps
            how = f"; `miradouro models quantize {self.name} --photos DIR` makes int8" if can_measure else ""
            raise InvalidArgument("precision", f"{shown(precision)}: {self.name} is offered in {', '.join(self.precisions)}{how}")

    def precision_for(self, wanted: str) -> str:
        """`wanted` where the bundle is offered in it, else its first precision. Raises InvalidArgument for no precision."""
        return self.precisions[0] if wanted in PRECISIONS and wanted not in self.precisions else self._checked(wanted)

    def _checked(self, precision: str) -> str:
        self.check_precision(precision)
        return precision

    def ranges(self, precision: str) -> Mapping[str, tuple[float, float]] | None:
        """The activation ranges where `precision` needs them, None otherwise. Raises BadBundle when they were not measured."""
        if precision != "int8":
            return None
        if self.calibration is None:
            raise BadBundle(f"{self.name}: the ranges of int8 were not measured; take precision fp32")
        return self.calibration.ranges

    def provenance(self, precision: str, space: SpacePart | None = None) -> str:
        """Provenance of a space, or of the whole bundle without one; 64 hexadecimal digits.

        Raises BadBundle when the sha256 of a file of the user has not been recorded.
        """
        for source in self.sources:
            if not source.sha256:
                pull = f"`miradouro models pull {self.name}`"
                raise BadBundle(f"{self.name}: the sha256 of {source} is not recorded; run {pull}, which records it")
        digests = [source.sha256 for source in self.sources]
        return provenance(
            source_sha256s=[*digests, self.constants.sha256] if self.constants else digests,
            recipe_version=self.recipe_version,
            precision=precision,
            ranges=self.ranges(precision) or {},
            layer=space.layer if space else "",
            pooling=space.pooling if space else "",
            storage=space.storage if space else Storage.FLOAT16,
            clip=space.clip if space else 0.0,
            manifest=self._facts(space) if self.taps or self.input else None,
        )

    def _facts(self, space: SpacePart | None) -> Mapping[str, Any]:
        """The parts of the manifest that determine the vectors of a tap, or of all taps and the tags without one."""
        chosen = [tap for tap in self.taps if space is None or tap.output == space.output]
        values = {"tensor", "layer", "pooling", "power", "levels", "dimension", "grid"}
        facts = {
            "version": TAPS_VERSION,
            "input": self.input.model_dump(mode="json") if self.input else None,
            "geometries": {name: part.model_dump(mode="json") for name, part in self.geometries.items()},
            "taps": [tap.model_dump(mode="json", include=values) for tap in chosen],
        }
        if self.tags and (space is None or any(tap.tensor == self.tags.output for tap in chosen)):
            facts["tags"] = self.tags.model_dump(mode="json", include={"output", "tensor", "softmax"})
        return facts

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
                provenance=self.provenance(precision, part),
                preset=part.preset,
                is_default_pooling=part.default_pooling,
                regions=tuple(Region(*(edge / part.grid for edge in box)) for box in part.boxes),
                storage=part.storage,
                clip=part.clip,
            )
            for part in self.spaces
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file. Raises BadBundle with the file, the key and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadBundle(f"{path}: the manifest can't be read: {exc}") from exc
    return parse_manifest(text, path=path)


def parse_manifest(text: str, *, path: Path) -> Manifest:
    """The manifest of this text, which lies at `path`. Raises BadBundle as `read_manifest`."""
    try:
        manifest = Manifest.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise BadBundle(f"{path}: the manifest is not TOML: {exc}; correct it") from exc
    except ValidationError as exc:
        raise BadBundle(f"{path}: {_fault(exc)}") from exc
    manifest._folder = path.parent  # noqa: SLF001 # a private attribute of this module's class
    return manifest


def _fault(error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    # A misspelt key is both unknown and missing.
    wrong = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    where = ".".join(str(part) for part in wrong["loc"])
    if wrong["type"] == "extra_forbidden":
        return f"there is no key {shown(where)} in a manifest; correct or remove it (docs/models.md lists the keys)"
    if wrong["type"] == "missing":
        return f"the key {shown(where)} is missing; add it (docs/models.md lists the keys)"
    value = "" if isinstance(wrong["input"], dict) else f" = {shown(json.dumps(wrong['input'], default=str))}"
    return f"{where}{value}: {wrong['msg'].removeprefix('Value error, ')}".removeprefix(": ")
