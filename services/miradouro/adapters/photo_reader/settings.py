"""Settings of every process that reads photos."""

from pydantic import Field

from miradouro.adapters.photo_reader.limits import MOST_PROCESSES
from miradouro.core.photo_limits import DecodeLimits
from miradouro.runtime.settings import Settings


class ReadingSettings(Settings):
    """The limits of photos, the same in every service, and the number of child processes."""

    photo_processes: int = Field(
        0, ge=0, le=64, description=f"Child processes that decode photos; 0 for one per CPU, at most {MOST_PROCESSES}."
    )
    max_photo_pixels: int = Field(
        100_000_000,
        ge=4,
        le=1_000_000_000,
        description="Largest JPEG in pixels, read from its header before it is decoded; "
        "other formats: 40 megapixels, unless this is less, or two fifths of it.",
    )

    @property
    def limits(self) -> DecodeLimits:
        """The limits that a photo must meet."""
        return DecodeLimits(max_pixels=self.max_photo_pixels)
