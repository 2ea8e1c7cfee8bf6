"""What every serving peer shares: JPEG bytes → Pillow → onnxruntime → float32 bytes. Imports nothing of Miradouro.

PEER_NETWORK is a JSON object: `model` (a path), `outputs` (names), `threads`, and `inputs`: by name the `short_side` in pixels
that is cropped (0: squash) and the `filter` of the resize.
"""

import io
import json
import os

import numpy as np
import onnxruntime
from PIL import Image

SIZE = 224


def squash(image: Image.Image, resample: Image.Resampling) -> np.ndarray:
    return np.asarray(image.resize((SIZE, SIZE), resample))


def crop(image: Image.Image, short_side: int, resample: Image.Resampling) -> np.ndarray:
    scale = short_side / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], resample)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


class Network:
    """One session; safe to call from several threads."""

    def __init__(self, options: dict) -> None:
        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads, session_options.inter_op_num_threads = options["threads"], 1
        self.session = onnxruntime.InferenceSession(options["model"], session_options, providers=["CPUExecutionProvider"])
        self.outputs, self.inputs = options["outputs"], options["inputs"]
        self.least = max(each["short_side"] or SIZE for each in self.inputs.values())

    def embed(self, data: bytes) -> bytes:
        """All outputs one after another, as float32."""
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        image.draft("RGB", (2 * self.least, 2 * self.least))
        image = image.convert("RGB")
        fed = {}
        for name, each in self.inputs.items():
            resample = Image.Resampling[each["filter"]]
            pixels = crop(image, each["short_side"], resample) if each["short_side"] else squash(image, resample)
            fed[name] = pixels[np.newaxis]
        return b"".join(value.tobytes() for value in self.session.run(self.outputs, fed))


def from_environment(**replaced: int) -> Network:
    return Network(json.loads(os.environ["PEER_NETWORK"]) | replaced)
