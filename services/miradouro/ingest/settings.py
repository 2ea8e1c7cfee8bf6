"""Settings of ingest."""

from pydantic import Field

from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError
from miradouro.core.event import COLLECTION
from miradouro.runtime.settings import Settings


class IngestSettings(Settings):
    """Settings of ingest: the pipeline, its workers, and new collections."""

    ingest_listen: str = Field("127.0.0.1:7361", description="host:port of the ingest service; port 0 takes a free one.")
    pipeline: str = Field("", description="YAML file with the processors, their order and options; empty for the default.")
    ingest_workers: int = Field(
        4, ge=1, le=256, description="Photos that are decoded and embedded at a time; more for an embedder on a GPU or elsewhere."
    )
    spaces: str = Field(
        "",
        description="Spaces of new collections, separated by commas: a preset (lean, standard or laboratory), names, or a preset "
        "and then names; a bundle whose space softmax is named tags the photos. Empty: standard.",
    )
    collections: str = Field(
        "",
        description="Collections that events may name, separated by commas; empty: any, made when it is named first, "
        "up to 100 in all.",
    )

    @property
    def space_names(self) -> list[str]:
        """`spaces` as a list of names."""
        return [name for part in self.spaces.split(",") if (name := part.strip())]

    @property
    def collection_names(self) -> frozenset[str]:
        """`collections` as a set of names. Raises ConfigurationError for an invalid name."""
        names = frozenset(name for part in self.collections.split(",") if (name := part.strip()))
        for name in names:
            if not COLLECTION.fullmatch(name):
                raise ConfigurationError(
                    f"MIRADOURO_COLLECTIONS: {shown(name)} is no collection name; allowed: {COLLECTION.pattern}"
                )
        return names
