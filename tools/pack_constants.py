"""Packs learned arrays into the constants of the bundles: `python -m tools.pack_constants LOOK.npz REGIONS.npz models`.

LOOK.npz holds mean, axes and clip of `look`, REGIONS.npz mean and axes of `pool5/regions`, all as float16. The classes and their
parents come from the label table. Prints the sha256 that the manifests name; the same arrays give the same bytes.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from miradouro.bundles.labels import load_labels

_OLDEST = (1980, 1, 1, 0, 0, 0)  # zip's own; files carry no time of their own


def pack(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    """Writes an .npz file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _OLDEST), data.getvalue(), zipfile.ZIP_DEFLATED)
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path)


def main(look: str, regions: str, folder: str) -> None:
    """Writes both files into `folder`."""
    rows = load_labels().rows
    numbers = {name: number for number, name in enumerate(sorted({parent for row in rows for parent in row.parents}))}
    pairs = [(number, numbers[parent]) for number, row in enumerate(rows) for parent in row.parents]
    with np.load(look) as learned:
        pack(Path(folder, "efficientnet-lite0-look.npz"), **learned, parents=np.array(pairs, np.int16))
    with np.load(regions) as learned:
        pack(Path(folder, "vgg16-conv-regions.npz"), **learned)


if __name__ == "__main__":
    main(*sys.argv[1:])
