"""The arguments of a recipe and its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from miradouro.bundles.constants import Constants
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.quantization import Range
from miradouro.core.errors import BadBundle


@dataclass(frozen=True)
class Ingredients:
    """What a recipe builds from.

    `sources` are the verified files of `manifest.sources`, in their order: none for a recipe without weights. `ranges` are the
    activation ranges of int8, None for fp32. `constants` is empty where the manifest names none.
    """

    manifest: Manifest
    sources: tuple[Path, ...] = ()
    ranges: Mapping[str, Range] | None = None
    constants: Constants = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The only source. Raises BadBundle when there is none or more than one."""
        if len(self.sources) != 1:
            raise BadBundle(
                f"{self.manifest.name}: recipe {self.manifest.recipe} builds from one source; "
                f"the manifest names {len(self.sources)}"
            )
        return self.sources[0]


Built = tuple[onnx.ModelProto, dict[str, str]]  # the model, and the tensors that calibration measures, by activation name
Recipe = Callable[[Ingredients], Built]
