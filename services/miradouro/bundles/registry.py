"""Opens bundles. A model file is used only when it is exactly the one that its manifest describes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from miradouro.bundles.catalogue import find
from miradouro.bundles.labels import labels_of
from miradouro.bundles.manifest import Manifest
from miradouro.core.errors import BadBundle
from miradouro.core.spaces import BundleDescription, Geometry

_PROVENANCE_DIGITS = 8  # in the name of a model file; its record holds them all


class BuildRecord(BaseModel):
    """The record beside a model file: the file's sha256 and size, and the provenance of the bundle that it was built from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    provenance: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class OpenBundle:
    """A verified model file.

    `inputs` maps each geometry to the name of a graph input, uint8 [N, height, width, 3] RGB. `outputs` maps the name of each
    space to the graph output with its vectors, float32 [N, D], or [N, regions, D] for spaces with regions. `tag_output` is the
    output with probabilities, float32 [N, len(labels)]; None, without labels, when the bundle can't tag.
    """

    description: BundleDescription
    path: Path
    inputs: Mapping[Geometry, str]
    outputs: Mapping[str, str]
    tag_output: str | None
    labels: tuple[str, ...]


def model_path(folder: Path, manifest: Manifest, precision: str) -> Path:
    """The path of the model file. Its name depends on the provenance, so that several releases can share the folder."""
    return folder / f"{manifest.name}-{precision}-{manifest.provenance(precision)[:_PROVENANCE_DIGITS]}.onnx"


def record_path(model: Path) -> Path:
    """The path of the record of a model file."""
    return model.with_suffix(".json")


def open_bundle(name: str, *, precision: str, folder: Path) -> OpenBundle:
    """Verifies the model file and describes it.

    Raises InvalidArgument (unknown bundle or precision), BadBundle when the file is missing, corrupt or was built from other
    weights, ranges or by another recipe version; the message names the file and the command that rebuilds it.
    """
    return open_built(find(name), precision=precision, folder=folder)


def open_built(manifest: Manifest, *, precision: str, folder: Path) -> OpenBundle:
    """`open_bundle` of a manifest that need not be in the catalogue."""
    manifest.check_precision(precision)
    path = model_path(folder, manifest, precision)
    record = _verified_record(path, manifest, precision)
    spaces, geometries = manifest.described_spaces(precision), manifest.described_geometries()
    return OpenBundle(
        description=BundleDescription(
            name=manifest.name,
            precision=precision,
            geometries=tuple(geometries.values()),
            spaces=spaces,
            can_tag=bool(manifest.tag_output),
            license=manifest.license,
            attribution=manifest.attribution,
            sha256=record.sha256,
            views={
                space.name: tuple(geometries[view] for view in part.views)
                for space, part in zip(spaces, manifest.spaces, strict=True)
                if part.views
            },
            label_table=manifest.label_table,
        ),
        path=path,
        inputs={geometry: name for name, geometry in geometries.items()},
        outputs={space.name: part.output for space, part in zip(spaces, manifest.spaces, strict=True)},
        tag_output=manifest.tag_output or None,
        labels=labels_of(manifest),
    )


def sha256_of(path: Path) -> str:
    """sha256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verified_record(path: Path, manifest: Manifest, precision: str) -> BuildRecord:
    again = f"run `miradouro models pull {manifest.name} --precision {precision}`"
    try:
        record = BuildRecord.model_validate_json(record_path(path).read_bytes())
        size, sha256 = path.stat().st_size, sha256_of(path)
    except FileNotFoundError as exc:
        raise BadBundle(f"{exc.filename}: no such model file; {again}, or let MIRADOURO_MODELS_DIR name its folder") from exc
    except OSError as exc:
        raise BadBundle(f"{path}: the model file can't be read: {exc}; {again}") from exc
    except ValidationError as exc:
        raise BadBundle(f"{record_path(path)}: the record of the model file is damaged; {again}") from exc
    if record.provenance != manifest.provenance(precision):
        raise BadBundle(
            f"{path}: built from other weights, ranges or by another version of the recipe (provenance {record.provenance}, "
            f"this version of Miradouro expects {manifest.provenance(precision)}); {again}"
        )
    if (record.size_bytes, record.sha256) != (size, sha256):
        raise BadBundle(f"{path}: the model file is corrupt (sha256 {sha256}, built with {record.sha256}); {again}")
    return record
