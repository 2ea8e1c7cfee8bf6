"""A bundle of recipe vgg16 for weights of the true topology and narrow widths, in the folder of added bundles."""

import hashlib
import re
from pathlib import Path

from miradouro.bundles.catalogue import FILE
from miradouro.bundles.manifest import MODELS

from tests.vgg16_files import FULL, NARROW

NAME = "narrow-vgg16"
DENSE = 24


def add_narrow_bundle(bundles: Path, *, name: str = NAME, zoo_file: bytes = b"") -> None:
    """Writes the manifest of vgg16 with other widths and another name; with `zoo_file` as the file at its address."""
    text = (MODELS / "vgg16.toml").read_text(encoding="utf-8").replace('name = "vgg16"', f'name = "{name}"')
    for full, narrow in [*zip(FULL[:4], NARROW[:4], strict=True), (4096, DENSE)]:
        text = text.replace(f"dimension = {full}\n", f"dimension = {narrow}\n")
    for pooling in ("avg", "max", "rmac"):
        at_pool5 = f'layer = "pool5"\npooling = "{pooling}"\ndimension = '
        text = text.replace(f"{at_pool5}{NARROW[3]}\n", f"{at_pool5}{NARROW[4]}\n")
    if zoo_file:
        text = re.sub(r"^sha256 = .*$", f'sha256 = "{hashlib.sha256(zoo_file).hexdigest()}"', text, flags=re.M)
        text = re.sub(r"^bytes = .*$", f"bytes = {len(zoo_file)}", text, flags=re.M)
    folder = bundles / name
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text, encoding="utf-8")
