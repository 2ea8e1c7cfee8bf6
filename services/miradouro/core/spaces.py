"""Bundles as the rest of the program uses them: geometries, spaces and the names of spaces."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument

MAX_DIMENSION = 16_000  # what an OpenSearch knn_vector holds
LABEL_LAYER = "softmax"  # the label distribution: a collection that holds this space of a bundle is tagged by the bundle
DEFAULT_TAGGER = "efficientnet-lite0"


class Fit(StrEnum):
    """How a photo is fitted into a tensor."""

    SQUASH = "squash"
    SHORT_SIDE_CENTER_CROP = "short_side_center_crop"


class Resample(StrEnum):
    """Resampling filter, with antialiasing when shrinking."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


class Storage(StrEnum):
    """How an index stores the numbers of a space's vectors: 16 bits or more for a float, or an int8 code (core.codes)."""

    FLOAT16 = "float16"
    INT8 = "int8"


class Preset(StrEnum):
    """The spaces of a new collection, each preset a superset of the one before: the fewest bytes, the usual ones, all."""

    LEAN = "lean"
    STANDARD = "standard"
    LABORATORY = "laboratory"

    @property
    def rank(self) -> int:
        """0 for the smallest."""
        return list(Preset).index(self)


@dataclass(frozen=True)
class Geometry:
    """How a photo becomes a uint8 [height, width, 3] RGB tensor; sizes in pixels, `short_side` 0 when squashed."""

    fit: Fit
    width: int
    height: int
    short_side: int
    resample: Resample

    def __str__(self) -> str:
        """The geometry in words, for errors and the command line."""
        size = f"{self.width} x {self.height}"
        fitted = f"squash to {size}" if self.fit is Fit.SQUASH else f"short side {self.short_side}, centre crop {size}"
        return f"{fitted}, {self.resample}"


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

    `preset` is the smallest one that holds the space. `regions` is empty for spaces with one vector per photo; otherwise vector i
    of a photo stands for box i. `clip` is the value, up to 1, that the largest int8 code stands for; 0 for another `storage`.
    """

    bundle: str
    layer: str
    pooling: str
    dimension: int
    provenance: str
    preset: Preset
    is_default_pooling: bool
    regions: tuple[Region, ...] = ()
    storage: Storage = Storage.FLOAT16
    clip: float = 0.0

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
        """Whether a region can be searched with: vector 0 is that of the whole picture, so vector 0 of a crop is the crop's."""
        return self.regions[:1] == (WHOLE,)


@dataclass(frozen=True)
class BundleDescription:
    """A loaded bundle; `precision` is fp32, fp16, tf32 or int8.

    `geometries` holds the geometry of every input of the graph; tags are computed from the first. `views` maps the name of a
    space to the geometries that it is computed from; a space that is missing there needs only the first geometry. `label_table`
    is imagenet-1k, or the name of the bundle for its own list of labels; it means nothing for a bundle that can't tag.
    """

    name: str
    precision: str
    geometries: tuple[Geometry, ...]
    spaces: tuple[Space, ...]
    can_tag: bool
    license: str
    attribution: str
    sha256: str
    views: Mapping[str, tuple[Geometry, ...]] = field(default_factory=dict)
    label_table: str = "imagenet-1k"

    def needed_geometries(self, spaces: Iterable[str], *, tags: bool) -> tuple[Geometry, ...]:
        """The geometries that these spaces of the bundle need, and those for `tags`."""
        first = self.geometries[:1]
        needed = {geometry for space in spaces for geometry in self.views.get(space, first)}
        if tags and self.can_tag:
            needed.update(first)
        return tuple(geometry for geometry in self.geometries if geometry in needed)


def needed_geometries(bundles: Iterable[BundleDescription], spaces: Collection[str], *, tags: bool) -> tuple[Geometry, ...]:
    """The distinct geometries that `spaces` (full names) need, and those for `tags`."""
    known = list(bundles)
    tagger = tagger_of(known, spaces) if tags else ""
    return tuple(
        dict.fromkeys(
            geometry
            for bundle in known
            for geometry in bundle.needed_geometries(
                [space.name for space in bundle.spaces if space.name in spaces], tags=bundle.name == tagger
            )
        )
    )


def is_label_space(name: str) -> bool:
    """Whether the space called `name` is the label distribution of its bundle."""
    return name.split("/")[1:2] == [LABEL_LAYER]


def tagger_of(bundles: Iterable[BundleDescription], spaces: Iterable[str]) -> str:
    """The name of the bundle that tags photos with vectors in `spaces` (full names); "" when none of `bundles` can.

    It is the bundle whose label distribution is among `spaces`, else DEFAULT_TAGGER, else the first by name.
    """
    able = sorted(bundle.name for bundle in bundles if bundle.can_tag)
    for name in (*(space.split("/")[0] for space in spaces if is_label_space(space)), DEFAULT_TAGGER):
        if name in able:
            return name
    return able[0] if able else ""


def held_tagger(spaces: Iterable[str]) -> str:
    """The bundle that tags a collection of these spaces, by the names alone."""
    return next((name.split("/")[0] for name in spaces if is_label_space(name)), DEFAULT_TAGGER)


def with_tagger(names: Sequence[str], tagger: str) -> list[str]:
    """The spaces `names` of a new collection, as `choose_spaces` reads them, with the bundle `tagger` as its tagger."""
    kept = [name for name in names if not is_label_space(name)] or [Preset.STANDARD.value]
    return kept if tagger == DEFAULT_TAGGER else [*kept, f"{tagger}/{LABEL_LAYER}"]


def choose_spaces(names: Sequence[str], offered: Sequence[Space], *, field: str) -> list[Space]:
    """The spaces of a new collection: those of a preset when it is the first of `names`, and the named ones.

    An empty `names` means the standard preset. No preset has a label distribution: it would change the tagger.

    Raises InvalidArgument naming `field`, every allowed space and every preset.
    """
    presets = {preset.value: preset for preset in Preset}
    first, *more = names or [Preset.STANDARD.value]
    if first not in presets:
        return [resolve_space(name, offered, field=field, or_first=tuple(presets)) for name in names]
    named = [resolve_space(name, offered, field=field, or_first=tuple(presets)) for name in more]
    rank = presets[first].rank
    return [
        space for space in offered if space.preset.rank <= rank and not is_label_space(space.name) and space not in named
    ] + named


def resolve_space(name: str, spaces: Sequence[Space], *, field: str = "space", or_first: Sequence[str] = ()) -> Space:
    """The space called `name`; bundle/layer means the layer's default pooling.

    Raises InvalidArgument naming `field`, every allowed name, and the words allowed before them (`or_first`).
    """
    for space in spaces:
        if name == space.name or (space.is_default_pooling and name == f"{space.bundle}/{space.layer}"):
            return space
    allowed = ", ".join(space.name for space in spaces) or "none: no space is loaded"
    first = f"; and {', '.join(or_first)} as the first" if or_first else ""
    raise InvalidArgument(field, f"{shown(name)} is not a known space; allowed: {allowed}{first}")
