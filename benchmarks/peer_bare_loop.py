"""Peer: the loop that one would write by hand, JPEG file → Pillow → onnxruntime. Imports nothing of Miradouro.

Reads one number a line from standard input, embeds that many photos in turn, and answers with one line: photos per second
and the median time of a photo in milliseconds.
"""

import statistics
import sys
import time
from pathlib import Path

from peer_network import from_environment


def main() -> None:
    network = from_environment()
    files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    for line in sys.stdin:
        times = []
        for number in range(int(line)):
            started = time.perf_counter()
            network.embed(files[number % len(files)])
            times.append(time.perf_counter() - started)
        print(len(times) / sum(times), 1000 * statistics.median(times), flush=True)


if __name__ == "__main__":
    main()
