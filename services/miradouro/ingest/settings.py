"""Settings of ingest."""

from pydantic import Field

from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError
from miradouro.core.event import COLLECTION
from miradouro.runtime.settings import Settings


class IngestSettings(Settings):
    """How photos are taken in."""

    ingest_listen: str = Field("127.0.0.1:7361", description="host:port of the ingest service; port 0 takes a free one.")
    pipeline: str = Field("", description="YAML file that tells the processors, their order and options; empty for the default.")
    ingest_workers: int = Field(
        4, ge=1, le=256, description="Photos that are decoded and embedded at a time; more for an embedder on a GPU or elsewhere."
    )
    ingest_max_photos: int = Field(64, ge=1, le=4_096, description="Photos between being read and being written, in all.")
    ingest_max_bytes: int = Field(
        128 * 1024 * 1024, ge=1024 * 1024, description="Encoded bytes of those photos, in all; one larger photo goes alone."
    )
    ingest_commit_photos: int = Field(32, ge=1, le=1_024, description="Most photos in one commit to the index.")
    ingest_commit_interval_ms: int = Field(
        500, ge=0, le=60_000, description="Milliseconds after which finished photos are committed, however few they are."
    )
    ingest_retry_s: float = Field(
        60.0, ge=0, le=3_600, description="Seconds for which a step that fails for a passing reason is tried again."
    )
    embed_timeout_s: float = Field(60.0, gt=0, le=3_600, description="Seconds that one photo may take in the embedder.")
    spaces: str = Field(
        "", description="Spaces of new collections, separated by commas; empty for every space that its bundle calls a default."
    )
    collections: str = Field(
        "",
        description="Collections that events may name, separated by commas; empty: any, made when it is named first, "
        "up to 100 in all.",
    )
    watch_settle_ms: int = Field(
        500, ge=10, le=60_000, description="Milliseconds without a change in a watched folder after which it is compared again."
    )
    watch_rescan_s: float = Field(
        900.0, gt=0, le=86_400, description="Seconds after which a watched folder is compared even if no change was noticed."
    )

    @property
    def space_names(self) -> list[str]:
        """`spaces` one by one."""
        return [name for part in self.spaces.split(",") if (name := part.strip())]

    @property
    def collection_names(self) -> frozenset[str]:
        """`collections` one by one. Raises ConfigurationError for one that is no name."""
        names = frozenset(name for part in self.collections.split(",") if (name := part.strip()))
        for name in names:
            if not COLLECTION.fullmatch(name):
                raise ConfigurationError(
                    f"MIRADOURO_COLLECTIONS: {shown(name)} is no collection name; allowed: {COLLECTION.pattern}"
                )
        return names
