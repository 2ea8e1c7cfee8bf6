"""Peer: the loop that one would write by hand, JPEG file → Pillow → onnxruntime. Imports nothing of Miradouro.

Reads one number a line from standard input, embeds that many photos in turn, and answers with one line: photos per second
and the median time of a photo in milliseconds.
"""

import argparse
import io
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def squash(data: bytes, size: int) -> np.ndarray:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.draft("RGB", (2 * size, 2 * size))
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def crop(data: bytes, size: int, short_side: int) -> np.ndarray:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.draft("RGB", (2 * short_side, 2 * short_side))
    scale = short_side / min(image.size)
    image = image.convert("RGB").resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--outputs", required=True, help="graph outputs, separated by commas")
    parser.add_argument("--short-side", type=int, default=0, help="0: squash")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads, session_options.inter_op_num_threads = options.threads, 1
    session = onnxruntime.InferenceSession(options.model, session_options, providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, options.outputs.split(",")
    files = [path.read_bytes() for path in sorted(options.photos.iterdir())]
    for line in sys.stdin:
        times = []
        for number in range(int(line)):
            started = time.perf_counter()
            data = files[number % len(files)]
            pixels = crop(data, 224, options.short_side) if options.short_side else squash(data, 224)
            session.run(outputs, {name: pixels[np.newaxis]})
            times.append(time.perf_counter() - started)
        print(len(times) / sum(times), 1000 * statistics.median(times), flush=True)


if __name__ == "__main__":
    main()
