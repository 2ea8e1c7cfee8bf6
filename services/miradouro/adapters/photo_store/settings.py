"""Settings of the photo store."""

from pathlib import Path

from pydantic import Field, field_validator

from miradouro.adapters.photo_store.allowed import private_networks, sources
from miradouro.runtime.settings import Settings


class PhotoStoreSettings(Settings):
    """The allowed sources of photos, and the store of photos that arrive inside events."""

    photo_roots: str = Field(
        "", description="Folders, separated by colons, below which events may name photos by file URI; empty: none."
    )
    photo_sources: str = Field(
        "",
        description="URI prefixes, separated by white space or commas, below which events may name photos in the network, as "
        "https://photos.example/ https://*.cdn.example/ s3://bucket/folder/; http only where it is named; empty: none.",
    )
    photo_private_hosts: str = Field(
        "",
        description="Hosts of https and http sources that may have an address that is not public, each with its network, "
        "as photos.internal=10.20.0.0/16, separated by white space or commas; empty: none.",
    )
    photo_ca_file: str = Field("", description="PEM file of authorities that https sources are trusted by, beside the system's.")
    s3_endpoint: str = Field("", description="URL of an S3 service other than AWS, as http://minio:9000; empty: AWS.")
    inline_store: str = Field(
        "", description="Where photos that come inside events are kept: a folder, s3://bucket/folder or gs://…; empty: nowhere."
    )

    @field_validator("photo_sources")
    @classmethod
    def _are_sources(cls, value: str) -> str:
        sources(value)
        return value

    @field_validator("photo_private_hosts")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        private_networks(value)
        return value

    @field_validator("inline_store")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        if not value or value.startswith("/"):
            return value
        if not value.startswith(("s3://", "gs://")):
            raise ValueError("neither an absolute path nor s3://bucket/folder nor gs://bucket/folder")
        sources(value)
        return value

    @property
    def photo_root_folders(self) -> list[Path]:
        """`photo_roots` as a list of paths."""
        return [Path(root) for root in self.photo_roots.split(":") if root]
