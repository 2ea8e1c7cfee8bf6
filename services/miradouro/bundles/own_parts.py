"""Parts of a bundle that this machine adds to its manifest: the sha256 of a file of the user, other weights, measured ranges.

They lie in `own.json` in the bundle's folder in MIRADOURO_BUNDLES_DIR, also for a bundle that is shipped or packaged.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from miradouro.bundles.manifest import Calibration, Manifest
from miradouro.bundles.sources import FileSource
from miradouro.core.errors import BadBundle, Unavailable
from miradouro.runtime.whole_file import write_whole

FILE = "own.json"


class OwnParts(BaseModel):
    """Replacements: `weights` for all sources (the file lies beside `own.json`), `calibration` for that of the manifest.

    `sha256s` are those of the user's files by name, recorded with the first use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: FileSource | None = None
    calibration: Calibration | None = None
    sha256s: dict[str, str] = {}


def own_parts(name: str, folder: Path) -> OwnParts:
    """The parts of bundle `name`, empty without any; `folder` is that of the setting. Raises BadBundle for a damaged file."""
    path = folder / name / FILE
    try:
        return OwnParts.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return OwnParts()
    except (OSError, ValidationError) as exc:
        raise BadBundle(f"{path}: can't be read: {exc}; delete it, then add or pull {name} again") from exc


def write_own_parts(name: str, folder: Path, parts: OwnParts) -> None:
    """Replaces the parts of a bundle. Raises Unavailable when the folder can't be written to."""
    path = folder / name / FILE
    try:
        write_whole(path, parts.model_dump_json(indent=2).encode(), synced=True)
    except OSError as exc:
        raise Unavailable(f"{path}: can't be written: {exc}; set MIRADOURO_BUNDLES_DIR to a folder that can") from exc


def with_own_parts(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with the parts of this machine in their places."""
    parts = own_parts(manifest.name, folder)
    return manifest if parts == OwnParts() else with_parts(manifest, parts)


def with_parts(manifest: Manifest, parts: OwnParts) -> Manifest:
    """The manifest with `parts` in their places.

    Other weights take the licence and the ranges of the manifest with them: both belong to its own. With ranges, int8 is offered.
    """
    changes: dict[str, object] = {}
    sources = manifest.sources
    if parts.weights and parts.weights.sha256 not in {source.sha256 for source in sources}:
        file = parts.weights.file
        changes |= {"license": f"that of {file}", "attribution": f"weights from {file}, a file of this machine"}
        changes |= {"calibration": None, "precisions": ("fp32",)}
    if parts.weights:
        sources = (parts.weights,)
    if parts.calibration:
        changes |= {"calibration": parts.calibration, "precisions": ("int8", "fp32")}
    changes["sources"] = tuple(
        source.model_copy(update={"sha256": parts.sha256s.get(source.file, "")})
        if isinstance(source, FileSource) and not source.sha256
        else source
        for source in sources
    )
    return manifest.model_copy(update=changes)
