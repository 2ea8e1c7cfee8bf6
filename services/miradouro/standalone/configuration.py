"""The settings of the process of one machine, from all packages."""

from dataclasses import dataclass, field
from functools import partial

from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.bundles.settings import BundleSettings
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.ingest.settings import IngestSettings
from miradouro.query.settings import QuerySettings
from miradouro.runtime.settings import load
from miradouro.standalone.settings import StandaloneSettings


@dataclass(frozen=True)
class Configuration:
    """The settings of every package. The default reads the environment and raises ConfigurationError for a wrong setting."""

    standalone: StandaloneSettings = field(default_factory=partial(load, StandaloneSettings))
    query: QuerySettings = field(default_factory=partial(load, QuerySettings))
    embedding: EmbeddingSettings = field(default_factory=partial(load, EmbeddingSettings))
    ingest: IngestSettings = field(default_factory=partial(load, IngestSettings))
    photos: PhotoStoreSettings = field(default_factory=partial(load, PhotoStoreSettings))
    reading: ReadingSettings = field(default_factory=partial(load, ReadingSettings))
    bundles: BundleSettings = field(default_factory=partial(load, BundleSettings))
