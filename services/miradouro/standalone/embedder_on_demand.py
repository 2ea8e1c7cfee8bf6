"""An embedder that opens model files with the first `describe`, and starts networks with the first `embed`."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import Unavailable
from miradouro.core.ports import IndexAdmin
from miradouro.core.spaces import BundleDescription, Geometry
from miradouro.standalone.configuration import Configuration

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from miradouro.adapters.photo_reader.reading import Reading
    from miradouro.bundles.registry import OpenBundle
    from miradouro.embedding.composition import EmbeddingParts


class EmbedderOnDemand:
    """The Embedder port of a process that may not need a model: words and stored vectors are searched without one.

    `open_bundles` verifies the model files, `run` starts the networks; each is called once, when first needed.
    """

    def __init__(
        self,
        *,
        open_bundles: "Callable[[], list[OpenBundle]]",
        run: "Callable[[list[OpenBundle]], AbstractContextManager[EmbeddingParts]]",
    ) -> None:
        self._open_bundles, self._run = open_bundles, run
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self._bundles: list[OpenBundle] | None = None
        self._parts: EmbeddingParts | None = None
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running.close()

    def describe(self) -> Sequence[BundleDescription]:
        """The bundles, by name. Raises BadBundle, InvalidArgument, Unavailable when they cannot be opened."""
        with self._lock:
            return sorted((bundle.description for bundle in self._opened()), key=lambda description: description.name)

    def embed(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        *,
        spaces: Sequence[str],
        tags: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """Embedder.embed; the first call also starts the networks, which does not count towards `timeout_s`."""
        embedder = self.start().embedder
        return embedder.embed(photos, spaces=spaces, tags=tags, priority=priority, timeout_s=timeout_s)

    def start(self) -> "EmbeddingParts":
        """The running networks.

        Raises what `describe` raises, ConfigurationError when they do not start, Unavailable after `abandon`.
        """
        with self._lock:
            if self._abandoned.is_set():
                raise Unavailable("the embedder has been stopped; start the command again")
            if self._parts is None:
                self._parts = self._running.enter_context(self._run(self._opened()))
            return self._parts

    def abandon(self) -> None:
        """Ends queued and later photos with Unavailable; returns after the running batch, which on a CPU is one photo."""
        self._abandoned.set()
        with self._lock:
            if self._parts is not None:
                self._parts.embedder.stop(timeout_s=0)

    def _opened(self) -> "list[OpenBundle]":
        if self._bundles is None:
            self._bundles = self._open_bundles()
        return self._bundles


@contextmanager
def open_embedder(
    configuration: Configuration,
    *,
    reading: "Callable[[], Reading]",
    index: IndexAdmin | None = None,
    bundles: Sequence[str] = (),
    new_spaces: Sequence[str] | None = None,
    registry: "CollectorRegistry | None" = None,
) -> Iterator[EmbedderOnDemand]:
    """An embedder of the `bundles`; when empty, of those in the settings, limited to those that `index` needs, if given.

    `new_spaces` are those of the collections that this process makes, None when it makes none.

    Each bundle is loaded in the precision that the collections of `index` were made with, unless the setting `precision` is set.
    """
    settings, models = configuration.embedding, configuration.bundles.folder

    def open_bundles() -> "list[OpenBundle]":
        from miradouro.bundles.catalogue import find
        from miradouro.standalone.models import open_or_pull, precision_in_use  # here: a search by words needs no bundle
        from miradouro.standalone.needed_bundles import needed_bundles

        def precision(name: str) -> str:
            if index is None or "precision" in settings.model_fields_set:
                return find(name).precision_for(settings.precision)
            held = [space for collection in index.stats() for space in collection.spaces]
            return precision_in_use(name, held=held, otherwise=settings.precision)

        names = bundles or settings.bundles
        if index is not None and not bundles:
            names = needed_bundles(names, collections=index.stats(), spaces=new_spaces)
        return open_or_pull(names, precision=precision, folder=models, offline=configuration.standalone.offline)

    @contextmanager
    def run(opened: "list[OpenBundle]") -> Iterator["EmbeddingParts"]:
        # Here: importing these takes longer than answering a question in words.
        from prometheus_client import CollectorRegistry

        from miradouro.adapters.onnx_embedder import OnnxEmbedder
        from miradouro.embedding.composition import run_embedding

        networks = OnnxEmbedder(
            opened,
            provider=settings.provider,
            cache_folder=(settings.cache_dir or models) / "tensorrt",
        )
        with run_embedding(networks, reading=reading(), registry=registry or CollectorRegistry()) as parts:
            yield parts

    with EmbedderOnDemand(open_bundles=open_bundles, run=run) as embedder:
        yield embedder
