"""Settings of the folder of model files."""

from pathlib import Path

import platformdirs
from pydantic import Field

from miradouro.runtime.settings import Settings


class BundleSettings(Settings):
    """The folder of model files."""

    models_dir: Path | None = Field(
        None, description="Folder of model files and their sources; empty for `models` in the user's cache folder of miradouro."
    )

    @property
    def folder(self) -> Path:
        """The folder in use; it need not exist."""
        return self.models_dir or platformdirs.user_cache_path("miradouro") / "models"
