"""Settings of one machine: the data folder, the address of `miradouro up`, and whether models may be pulled."""

from pathlib import Path

import platformdirs
from pydantic import Field

from miradouro.runtime.settings import IndexSettings


class StandaloneSettings(IndexSettings):
    """The folder of the index, and the address at which the processes of this machine reach the server."""

    data_dir: Path | None = Field(
        None, description="Folder of the embedded index; empty for the user's data folder of miradouro."
    )
    listen: str = Field("127.0.0.1:7350", description="host:port of `miradouro up`; port 0 takes a free one.")
    offline: bool = Field(False, description="Whether missing model files are an error instead of being pulled on first use.")

    @property
    def data_folder(self) -> Path:
        """The folder in use; it need not exist."""
        return self.data_dir or platformdirs.user_data_path("miradouro")
