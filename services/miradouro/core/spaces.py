"""Bundles as the rest of the program sees them: geometries, spaces and how spaces are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument

MAX_DIMENSION = 16_000  # what an OpenSearch knn_vector holds


class Fit(StrEnum):
    """How a photo is fitted into a tensor."""

    SQUASH = "squash"
    SHORT_SIDE_CENTER_CROP = "short_side_center_crop"


class Resample(StrEnum):
    """Resampling filter, with antialiasing when shrinking."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


@dataclass(frozen=True)
class Geometry:
    """How a photo becomes a uint8 [height, width, 3] RGB tensor; sizes in pixels, `short_side` 0 when squashed."""

    fit: Fit
    width: int
    height: int
    short_side: int
    resample: Resample


@dataclass(frozen=True)
class Region:
    """A box in a photo: fractions of width and height from the top left, after EXIF rotation."""

    x: float
    y: float
    width: float
    height: float


WHOLE = Region(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Space:
    """A searchable vector space. Distance is Euclidean between L2-normalised vectors, 0 to 2.

    `regions` is empty for spaces with one vector per photo; otherwise vector i of a photo stands for box i.
    """

    bundle: str
    layer: str
    pooling: str
    dimension: int
    provenance: str
    is_default: bool
    is_default_pooling: bool
    regions: tuple[Region, ...] = ()

    @property
    def name(self) -> str:
        """bundle/layer/pooling, or bundle/layer where the layer has no pooling to choose."""
        return f"{self.bundle}/{self.layer}/{self.pooling}" if self.pooling else f"{self.bundle}/{self.layer}"

    @property
    def vectors_per_photo(self) -> int:
        """1, or the number of regions."""
        return len(self.regions) or 1

    @property
    def compares_regions(self) -> bool:
        """Whether a part of a photo can be asked for: vector 0 stands for the whole picture, so that of a crop for the crop."""
        return self.regions[:1] == (WHOLE,)


@dataclass(frozen=True)
class BundleDescription:
    """A loaded bundle. `labels` is empty when it can't tag; `precision` is fp32, fp16, tf32 or int8."""

    name: str
    precision: str
    geometry: Geometry
    spaces: tuple[Space, ...]
    can_tag: bool
    license: str
    attribution: str
    sha256: str


def resolve_space(name: str, spaces: Sequence[Space], *, field: str = "space") -> Space:
    """The space called `name`; bundle/layer means the layer's default pooling.

    Raises InvalidArgument naming `field` and every allowed name.
    """
    for space in spaces:
        if name == space.name or (space.is_default_pooling and name == f"{space.bundle}/{space.layer}"):
            return space
    allowed = ", ".join(space.name for space in spaces) or "none: no space is loaded"
    raise InvalidArgument(field, f"{shown(name)} is not a known space; allowed: {allowed}")
