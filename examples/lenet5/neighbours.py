"""Searches with every held-out digit, and counts how often the first photo found shows the same digit.

    python -m examples.lenet5.neighbours FOLDER/held-out

`miradouro up` serves the collection `digits`, whose photo ids are DIGIT/NUMBER.png; the folder has the same names.
"""

import argparse
from collections import Counter
from pathlib import Path

import grpc
from miradouro.v1.search_service_pb2 import ExampleQuery, SearchRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

TIMEOUT_S = 60


def main() -> None:
    """Asks, and prints the count and the confusions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", default="127.0.0.1:7350", metavar="HOST:PORT", help="address that `miradouro up` prints")
    parser.add_argument("--token-file", type=Path, default=Path.home() / ".local/share/miradouro/token")
    parser.add_argument("--collection", default="digits")
    parser.add_argument("--space", default="lenet5/f6")
    options = parser.parse_args()
    token = (("authorization", f"Bearer {options.token_file.read_text().strip()}"),)
    pairs: Counter[tuple[str, str]] = Counter()
    with grpc.insecure_channel(options.server) as channel:
        stub = SearchServiceStub(channel)
        for path in sorted(options.folder.glob("*/*.png")):
            photo = ExampleQuery(data=path.read_bytes())
            question = SearchRequest(collection=options.collection, space=options.space, photo=photo, limit=1)
            [hit] = stub.Search(question, timeout=TIMEOUT_S, metadata=token).hits
            pairs[path.parent.name, hit.photo_id.split("/")[0]] += 1
    same = sum(count for (digit, found), count in pairs.items() if digit == found)
    print(f"{same / pairs.total():.4f} of {pairs.total()} digits have a first neighbour of the same class")
    for (digit, found), count in pairs.most_common():
        if digit != found:
            print(f"{count} x a {digit} found a {found}")


if __name__ == "__main__":
    main()
