"""The embedding service: photos or tensors in, vectors and tags out."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from miradouro.core.embedding import Priority, Tensor
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.photo_limits import MAX_PHOTO_BYTES, DecodeLimits
from miradouro.core.ports import PhotoReader
from miradouro.core.spaces import BundleDescription, Geometry
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.request import ResolvedRequest, check_count, check_decode_recipe, check_tensors, resolve
from miradouro.embedding.wire import bundle_to_wire, embedding_to_wire, priority_from_wire, tensors_from_wire
from miradouro.runtime.byte_budget import ByteBudget
from miradouro.runtime.call import Call
from miradouro.v1 import embedding_service_pb2 as pb

# As many as the reader has processes by default, and fewer than the requests that may wait for them, so that a batch is never
# refused for its own size.
_DECODE_THREADS = 4


@dataclass(frozen=True)
class _Photo:
    """A photo ready to be embedded; its size in pixels when this service decoded it, else 0 x 0."""

    tensors: dict[Geometry, Tensor]
    width: int = 0
    height: int = 0


DECODE_PENDING_BYTES = 8 * MAX_PHOTO_BYTES  # of encoded photos that may wait to be decoded; more is RESOURCE_EXHAUSTED


class EmbeddingService:
    """Handlers of miradouro.v1.EmbeddingService over a batcher. Encoded photos are decoded by `reader`, off the event loop."""

    def __init__(
        self,
        batcher: Batcher,
        *,
        reader: PhotoReader,
        metrics: EmbeddingMetrics,
        limits: DecodeLimits,
        decode_pending_bytes: int = DECODE_PENDING_BYTES,
    ) -> None:
        self._batcher, self._reader, self._metrics, self._limits = batcher, reader, metrics, limits
        self._pool = ThreadPoolExecutor(_DECODE_THREADS, thread_name_prefix="decode")
        self._pending = ByteBudget(decode_pending_bytes, "photos that wait to be decoded")

    @property
    def ready(self) -> bool:
        """Whether requests are accepted."""
        return self._batcher.ready

    def close(self) -> None:
        """Ends the decoding threads. The owner of the batcher stops it."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def DescribeSpaces(self, _request: pb.DescribeSpacesRequest, _call: Call) -> pb.DescribeSpacesResponse:
        """Returns the loaded bundles and the execution provider."""
        return pb.DescribeSpacesResponse(
            bundles=[bundle_to_wire(bundle) for bundle in self._batcher.describe()], provider=self._batcher.provider
        )

    async def Embed(self, request: pb.EmbedRequest, call: Call) -> pb.EmbedResponse:
        """Embeds a batch of photos.

        Raises InvalidArgument, Overloaded, DeadlineExceeded, Unavailable. The error of an encoded photo is in its result.
        """
        loaded = self._batcher.describe()
        check_count(len(request.photos))
        resolved = resolve(request.spaces, tags=request.tags, loaded=loaded)
        priority = priority_from_wire(request.priority)
        with self._batcher.room(len(request.photos), resolved, priority=priority, deadline=call.deadline) as room:
            photos = await self._open(request.photos, resolved, loaded, priority, call)
            good = [photo.tensors for photo in photos if isinstance(photo, _Photo)]
            if not good:
                return pb.EmbedResponse(results=[_refusal(photo) for photo in photos if isinstance(photo, BadPhoto)])
            future = self._batcher.submit(good, resolved, priority=priority, deadline=call.deadline, room=room)
        ran = await asyncio.wrap_future(future)
        embeddings = iter(ran)
        return pb.EmbedResponse(
            results=[
                _refusal(photo)
                if isinstance(photo, BadPhoto)
                else pb.EmbedResult(embedding=embedding_to_wire(next(embeddings), width=photo.width, height=photo.height))
                for photo in photos
            ]
        )

    async def _open(
        self,
        inputs: Sequence[pb.PhotoInput],
        resolved: ResolvedRequest,
        loaded: Sequence[BundleDescription],
        priority: Priority,
        call: Call,
    ) -> list[_Photo | BadPhoto]:
        """Every photo's tensors, or the error of the photo. All tensors are checked before any photo is decoded."""
        sent: dict[int, _Photo | BadPhoto] = {}
        for position, photo in enumerate(inputs):
            match photo.WhichOneof("input"):
                case "tensors":
                    check_decode_recipe(photo.tensors.decode_recipe, field=f"photos[{position}].tensors")
                    tensors = tensors_from_wire(photo.tensors.tensors, loaded, field=f"photos[{position}]")
                    check_tensors([tensors], resolved, loaded=loaded, first=position)
                    sent[position] = _Photo(tensors)
                case None:
                    raise InvalidArgument(f"photos[{position}].input", "is not set; send encoded bytes or tensors")
        encoded = {position: photo.encoded for position, photo in enumerate(inputs) if position not in sent}
        with self._pending.taken(sum(len(data) for data in encoded.values())):
            loop = asyncio.get_running_loop()
            decoding = [
                loop.run_in_executor(self._pool, self._decode, data, resolved, priority, call) for data in encoded.values()
            ]
            opened = dict(zip(encoded, await asyncio.gather(*decoding), strict=True))
        return [sent[position] if position in sent else opened[position] for position in range(len(inputs))]

    def _decode(self, data: bytes, resolved: ResolvedRequest, priority: Priority, call: Call) -> _Photo | BadPhoto:
        started = time.monotonic()
        try:
            decoded = self._reader.decode(
                data, resolved.geometries, limits=self._limits, priority=priority, timeout_s=call.remaining_s()
            )
        except BadPhoto as exc:
            self._metrics.refused_photos.labels(exc.reason).inc()
            return exc
        self._metrics.decode_seconds.observe(time.monotonic() - started)
        return _Photo(dict(decoded.tensors), decoded.width, decoded.height)


def _refusal(error: BadPhoto) -> pb.EmbedResult:
    return pb.EmbedResult(error=pb.PhotoError(reason=error.reason, message=error.message, retriable=error.retriable))
