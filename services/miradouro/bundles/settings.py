"""Settings of the folders of model files and of bundles."""

from pathlib import Path

import platformdirs
from pydantic import Field

from miradouro.runtime.settings import Settings


class BundleSettings(Settings):
    """The folders of model files and of bundles."""

    models_dir: Path | None = Field(
        None, description="Folder of model files and their sources; empty for `models` in the user's cache folder of miradouro."
    )
    bundles_dir: Path | None = Field(
        None, description="Folder of the bundles that you add; empty for `bundles` in the user's data folder of miradouro."
    )

    @property
    def folder(self) -> Path:
        """The folder of model files in use; it need not exist."""
        return self.models_dir or platformdirs.user_cache_path("miradouro") / "models"

    @property
    def bundles_folder(self) -> Path:
        """The folder of added bundles in use; it need not exist."""
        return self.bundles_dir or platformdirs.user_data_path("miradouro") / "bundles"
