"""Trains LeNet-5 on two thirds of the digits, and writes it with its manifest, and all digits as pictures.

    python -m examples.lenet5.train FOLDER

FOLDER then holds lenet5/ (lenet5.onnx, bundle.toml), learned/ and held-out/ (DIGIT/NUMBER.png).
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from examples.lenet5.digits import as_input, pictures
from examples.lenet5.export import export
from examples.lenet5.network import lenet5, logits_of, train

HELD_OUT = 3  # every third digit


def main(folder: Path) -> None:
    """Trains, and writes the folder."""
    canvas, labels = pictures()
    inputs = as_input(canvas)
    held = np.arange(len(labels)) % HELD_OUT == HELD_OUT - 1
    random = np.random.default_rng(0)
    layers = lenet5(random)
    with threadpool_limits(1):  # the matrices are small: several threads would mostly wait for each other
        for epoch, loss in enumerate(train(layers, inputs[~held], labels[~held], random), 1):
            right = (logits_of(layers, inputs[held]).argmax(axis=1) == labels[held]).mean()
            print(f"epoch {epoch:2}: loss {loss:.4f}, {right:.1%} of {held.sum()} held-out digits right", flush=True)
    bundle = folder / "lenet5"
    bundle.mkdir(parents=True, exist_ok=True)
    export(layers, bundle / "lenet5.onnx")
    shutil.copyfile(Path(__file__).with_name("bundle.toml"), bundle / "bundle.toml")
    for number, (picture, label) in enumerate(zip(canvas, labels, strict=True)):
        path = folder / ("held-out" if held[number] else "learned") / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
