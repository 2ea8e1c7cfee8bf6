"""`python -m miradouro.development.calibrate PHOTOS`: see miradouro.bundles.calibrate."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from miradouro.adapters.photo_reader.reading import open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.bundles import calibrate
from miradouro.core.errors import MiradouroError
from miradouro.runtime.settings import load


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrates every bundle on a sample of the photos below a folder."""
    parser = argparse.ArgumentParser(description=calibrate.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of JPEG, PNG, WebP or AVIF files, searched with its subfolders")
    parser.add_argument("--count", type=int, default=96, help="photos to use, drawn with a fixed seed (default: 96)")
    options = parser.parse_args(arguments)
    try:
        with open_reading(load(ReadingSettings)) as reading:
            calibrate.calibrate(
                options.photos,
                options.count,
                decode=lambda data, geometry: reading.reader.decode(data, [geometry]).tensors[geometry],
            )
    except MiradouroError as exc:
        sys.exit(exc.message)


if __name__ == "__main__":
    main()
