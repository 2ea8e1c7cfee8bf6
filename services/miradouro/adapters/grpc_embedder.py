"""The Embedder port over gRPC: sends raw tensors, receives vectors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import grpc
import numpy as np

from miradouro.core.embedding import IMAGENET, Embedding, LabelProbability, Priority, Tensor
from miradouro.core.errors import DeadlineExceeded, InvalidArgument, Unavailable
from miradouro.core.provenance import DECODE_RECIPE
from miradouro.core.spaces import BundleDescription, Fit, Geometry, Preset, Region, Resample, Space, Storage
from miradouro.runtime.grpc_client import open_channel, typed_error
from miradouro.runtime.security import ClientSecurity
from miradouro.runtime.server_limits import MAX_MESSAGE_BYTES
from miradouro.v1 import embedding_service_pb2 as pb
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

DEFAULT_TIMEOUT_S = 60.0
CHECK_TIMEOUT_S = 5.0

_FITS = {pb.FIT_SQUASH: Fit.SQUASH, pb.FIT_SHORT_SIDE_CENTER_CROP: Fit.SHORT_SIDE_CENTER_CROP}
_FILTERS = {pb.RESIZE_FILTER_BILINEAR: Resample.BILINEAR, pb.RESIZE_FILTER_BICUBIC: Resample.BICUBIC}
_PRESETS = {
    pb.PRESET_LEAN: Preset.LEAN,
    pb.PRESET_STANDARD: Preset.STANDARD,
    pb.PRESET_LABORATORY: Preset.LABORATORY,
}
_STORAGES = {pb.STORAGE_FLOAT16: Storage.FLOAT16, pb.STORAGE_INT8: Storage.INT8}
_FIT_NUMBERS = {fit: number for number, fit in _FITS.items()}
_FILTER_NUMBERS = {resample: number for number, resample in _FILTERS.items()}
_PRIORITIES = {Priority.INTERACTIVE: pb.PRIORITY_INTERACTIVE, Priority.BULK: pb.PRIORITY_BULK}


class GrpcEmbedder:
    """A client of the embedding service at `target` (host:port). Calls are not retried: the caller owns the retries.

    `security` defaults to the settings. Close it, or use it as a context manager.
    """

    def __init__(self, target: str, *, security: ClientSecurity | None = None) -> None:
        self._target = target
        self._channel = open_channel(target, security=security)
        self._stub = EmbeddingServiceStub(self._channel)

    def check(self) -> None:
        """Returns when the service answers within CHECK_TIMEOUT_S. Raises Unavailable, DeadlineExceeded."""
        self._describe(CHECK_TIMEOUT_S)

    def describe(self) -> Sequence[BundleDescription]:
        """The bundles loaded by the service. Raises Unavailable, DeadlineExceeded."""
        return self._describe(DEFAULT_TIMEOUT_S)

    def _describe(self, timeout_s: float) -> Sequence[BundleDescription]:
        with self._typed_errors():
            answer: pb.DescribeSpacesResponse = self._stub.DescribeSpaces(pb.DescribeSpacesRequest(), timeout=timeout_s)
        return tuple(_bundle(bundle) for bundle in answer.bundles)

    def embed(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        *,
        spaces: Sequence[str],
        tags: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """See `Embedder.embed`; `timeout_s` None means DEFAULT_TIMEOUT_S."""
        request = pb.EmbedRequest(
            photos=[
                pb.PhotoInput(
                    tensors=pb.Tensors(
                        tensors=[_tensor(geometry, tensor, position) for geometry, tensor in photo.items()],
                        decode_recipe=DECODE_RECIPE,
                    )
                )
                for position, photo in enumerate(photos)
            ],
            spaces=spaces,
            tags=tags,
            priority=_PRIORITIES[priority],
        )
        if request.ByteSize() > MAX_MESSAGE_BYTES:
            raise InvalidArgument(
                "photos", f"the request has {request.ByteSize():,} bytes; allowed: {MAX_MESSAGE_BYTES:,}; send fewer"
            )
        timeout_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        if timeout_s <= 0:
            raise DeadlineExceeded(f"{self._target}: no time is left to embed; ask again with more time")
        with self._typed_errors():
            answer: pb.EmbedResponse = self._stub.Embed(request, timeout=timeout_s)
        return [_embedding(result.embedding) for result in answer.results]

    def close(self) -> None:
        """Closes the channel. Calls in progress raise Unavailable."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as exc:
            raise typed_error(exc, peer=f"embedding service at {self._target}") from exc
        except ValueError as exc:  # grpc raises it for a call on a closed channel
            raise Unavailable(f"the channel to {self._target} is closed") from exc


def _tensor(geometry: Geometry, tensor: Tensor, position: int) -> pb.Tensor:
    shape = (geometry.height, geometry.width, 3)
    if tensor.dtype != np.uint8 or tensor.shape != shape:
        raise InvalidArgument(
            f"photos[{position}].tensors", f"is {tensor.dtype} {list(tensor.shape)}; {geometry} is uint8 {list(shape)}"
        )
    return pb.Tensor(
        geometry=pb.Geometry(
            fit=_FIT_NUMBERS[geometry.fit],
            width=geometry.width,
            height=geometry.height,
            short_side=geometry.short_side,
            filter=_FILTER_NUMBERS[geometry.resample],
        ),
        pixels=tensor.tobytes(),
    )


def _embedding(embedding: pb.PhotoEmbedding) -> Embedding:
    return Embedding(
        {row.space: np.frombuffer(row.values, "<f4").astype(np.float32).reshape(-1, row.dimension) for row in embedding.vectors},
        {row.space: row.provenance for row in embedding.vectors},
        tuple(LabelProbability(row.label, row.probability, row.label_index, row.table or IMAGENET) for row in embedding.labels),
    )


def _bundle(bundle: pb.Bundle) -> BundleDescription:
    geometries = tuple(
        Geometry(_FITS[each.fit], each.width, each.height, each.short_side, _FILTERS[each.filter]) for each in bundle.geometries
    )
    return BundleDescription(
        name=bundle.name,
        precision=bundle.precision,
        geometries=geometries,
        spaces=tuple(_space(space) for space in bundle.spaces),
        can_tag=bundle.can_tag,
        license=bundle.license,
        attribution=bundle.attribution,
        sha256=bundle.sha256,
        views={
            space.name: tuple(geometries[position] for position in space.geometries)
            for space in bundle.spaces
            if list(space.geometries) != [0]
        },
        label_table=bundle.label_table or IMAGENET,
    )


def _space(space: pb.Space) -> Space:
    bundle, layer, *pooling = space.name.split("/")
    return Space(
        bundle=bundle,
        layer=layer,
        pooling=pooling[0] if pooling else "",
        dimension=space.dimension,
        provenance=space.provenance,
        preset=_PRESETS[space.preset],
        is_default_pooling=space.is_default_pooling,
        regions=tuple(Region(box.x, box.y, box.width, box.height) for box in space.regions),
        storage=_STORAGES[space.storage],
        clip=space.clip,
    )
