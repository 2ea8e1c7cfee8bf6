"""Settings of one machine: the data folder, where `miradouro up` listens, and how the command line behaves."""

from pathlib import Path

import platformdirs
from pydantic import Field

from miradouro.runtime.settings import IndexSettings


class StandaloneSettings(IndexSettings):
    """Where the index is kept, and how this machine's processes reach each other."""

    data_dir: Path | None = Field(
        None, description="Folder of the embedded index; empty for the user's data folder of miradouro."
    )
    listen: str = Field("127.0.0.1:7350", description="host:port of `miradouro up`; port 0 takes a free one.")
    offline: bool = Field(False, description="Whether missing model files are an error instead of being pulled on first use.")

    @property
    def data_folder(self) -> Path:
        """The folder in use; it need not exist."""
        return self.data_dir or platformdirs.user_data_path("miradouro")
