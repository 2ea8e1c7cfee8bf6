"""Converts between the wire types of the embedding service and the domain types."""

from collections.abc import Sequence

import numpy as np

from miradouro.core.document import Vectors
from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import BundleDescription, Fit, Geometry, Preset, Resample, Space, Storage
from miradouro.embedding.request import unknown_geometry
from miradouro.v1 import embedding_service_pb2 as pb

FITS = {Fit.SQUASH: pb.FIT_SQUASH, Fit.SHORT_SIDE_CENTER_CROP: pb.FIT_SHORT_SIDE_CENTER_CROP}
FILTERS = {Resample.BILINEAR: pb.RESIZE_FILTER_BILINEAR, Resample.BICUBIC: pb.RESIZE_FILTER_BICUBIC}
PRESETS = {
    Preset.LEAN: pb.PRESET_LEAN,
    Preset.STANDARD: pb.PRESET_STANDARD,
    Preset.LABORATORY: pb.PRESET_LABORATORY,
}
STORAGES = {Storage.FLOAT16: pb.STORAGE_FLOAT16, Storage.INT8: pb.STORAGE_INT8}
PRIORITIES = {
    pb.PRIORITY_UNSPECIFIED: Priority.INTERACTIVE,
    pb.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    pb.PRIORITY_BULK: Priority.BULK,
}


def bundle_to_wire(bundle: BundleDescription) -> pb.Bundle:
    """A loaded bundle as DescribeSpaces returns it."""
    return pb.Bundle(
        name=bundle.name,
        precision=bundle.precision,
        geometries=[_geometry(geometry) for geometry in bundle.geometries],
        spaces=[_space(space, bundle) for space in bundle.spaces],
        can_tag=bundle.can_tag,
        license=bundle.license,
        attribution=bundle.attribution,
        sha256=bundle.sha256,
        label_table=bundle.label_table if bundle.can_tag else "",
    )


def priority_from_wire(value: pb.Priority) -> Priority:
    """The priority of a number; raises InvalidArgument for an unknown one."""
    if value not in PRIORITIES:
        raise InvalidArgument("priority", f"{value} is not a priority; allowed: {', '.join(pb.Priority.keys())}")
    return PRIORITIES[value]


def tensors_from_wire(tensors: Sequence[pb.Tensor], loaded: Sequence[BundleDescription], *, field: str) -> dict[Geometry, Tensor]:
    """The tensors of one photo by geometry. Raises InvalidArgument: unknown or repeated geometry, wrong size."""
    known = {geometry for bundle in loaded for geometry in bundle.geometries}
    by_geometry: dict[Geometry, Tensor] = {}
    for position, tensor in enumerate(tensors):
        at = f"{field}.tensors[{position}]"
        geometry = _geometry_from_wire(tensor.geometry, field=f"{at}.geometry")
        if geometry not in known:
            raise unknown_geometry(geometry, loaded, field=f"{at}.geometry")
        if geometry in by_geometry:
            raise InvalidArgument(f"{at}.geometry", f"{geometry} has a tensor already; send one for each geometry")
        size = geometry.height * geometry.width * 3
        if len(tensor.pixels) != size:
            raise InvalidArgument(f"{at}.pixels", f"has {len(tensor.pixels):,} bytes; height x width x 3 is {size:,}")
        by_geometry[geometry] = np.frombuffer(tensor.pixels, np.uint8).reshape(geometry.height, geometry.width, 3)
    return by_geometry


def _geometry_from_wire(geometry: pb.Geometry, *, field: str) -> Geometry:
    fit = next((each for each, value in FITS.items() if value == geometry.fit), None)
    resample = next((each for each, value in FILTERS.items() if value == geometry.filter), None)
    if fit is None or resample is None:
        raise InvalidArgument(field, "needs a fit and a filter; send a geometry as DescribeSpaces gives it")
    return Geometry(fit, geometry.width, geometry.height, geometry.short_side, resample)


def embedding_to_wire(embedding: Embedding, *, width: int, height: int) -> pb.PhotoEmbedding:
    """An embedding in wire form; `width` and `height` of the photo in pixels, 0 when the caller sent tensors."""
    return pb.PhotoEmbedding(
        vectors=[
            pb.SpaceVectors(
                space=space,
                dimension=values.shape[-1],
                values=vector_bytes(values),
                provenance=embedding.provenances[space],
            )
            for space, values in embedding.vectors.items()
        ],
        labels=[
            pb.LabelProbability(label=row.label, probability=row.probability, label_index=row.index, table=row.table)
            for row in embedding.labels
        ],
        photo_width=width,
        photo_height=height,
    )


def vector_bytes(values: Vectors) -> bytes:
    """float32, little-endian, row after row."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _geometry(geometry: Geometry) -> pb.Geometry:
    return pb.Geometry(
        fit=FITS[geometry.fit],
        width=geometry.width,
        height=geometry.height,
        short_side=geometry.short_side,
        filter=FILTERS[geometry.resample],
    )


def _space(space: Space, bundle: BundleDescription) -> pb.Space:
    return pb.Space(
        name=space.name,
        dimension=space.dimension,
        vectors_per_photo=space.vectors_per_photo,
        provenance=space.provenance,
        preset=PRESETS[space.preset],
        is_default_pooling=space.is_default_pooling,
        geometries=[bundle.geometries.index(each) for each in bundle.needed_geometries([space.name], tags=False)],
        regions=[pb.RegionBox(x=box.x, y=box.y, width=box.width, height=box.height) for box in space.regions],
        storage=STORAGES[space.storage],
        clip=space.clip,
    )
