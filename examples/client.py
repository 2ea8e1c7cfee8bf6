"""A client in Python: puts photos into a collection, searches, and embeds a photo.

python client.py put cat.jpg dog.jpg
python client.py search cat
python client.py embed cat.jpg
"""

import argparse
import sys
import uuid
from pathlib import Path

import grpc
import numpy as np
from miradouro.v1.embedding_service_pb2 import PRESET_LABORATORY, DescribeSpacesRequest, EmbedRequest, PhotoInput
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_FAILED, EventStatus, PutEventsRequest
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from miradouro.v1.search_service_pb2 import KeywordQuery, SearchRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

TIMEOUT_S = 60
MAX_MESSAGE_BYTES = 33 * 2**20  # a photo has up to 32 MiB
Token = tuple[tuple[str, str], ...]


def put(channel: grpc.Channel, token: Token, photos: list[Path], *, collection: str) -> bool:
    """Puts the photos in, each as an event of its own; returns whether all are stored."""
    events = [
        PhotoEvent(
            event_id=str(uuid.uuid4()),
            kind=PHOTO_EVENT_KIND_UPLOADED,
            collection=collection,
            photo_id=path.name,
            version=path.stat().st_mtime_ns // 1_000_000,  # grows with every change of the file
            data=path.read_bytes(),
        )
        for path in photos
    ]
    stub, is_good = IngestServiceStub(channel), True
    for event in events:
        [result] = stub.PutEvents(PutEventsRequest(events=[event]), timeout=TIMEOUT_S, metadata=token).results
        print(event.photo_id, EventStatus.Name(result.status), result.message)
        is_good &= result.status != EVENT_STATUS_FAILED
    return is_good


def search(channel: grpc.Channel, token: Token, word: str, *, collection: str) -> None:
    """Prints the five best photos of a keyword."""
    question = SearchRequest(collection=collection, keyword=KeywordQuery(words=[word]), limit=5)
    answer = SearchServiceStub(channel).Search(question, timeout=TIMEOUT_S, metadata=token)
    for hit in answer.hits:
        print(f"{hit.score:.2f}  {hit.photo_id}  {hit.caption}")


def embed(channel: grpc.Channel, token: Token, photo: Path) -> None:
    """Prints the vectors of an encoded photo in the standard spaces: the service decodes it and fits it to each network."""
    stub = EmbeddingServiceStub(channel)
    described = stub.DescribeSpaces(DescribeSpacesRequest(), timeout=TIMEOUT_S, metadata=token)
    spaces = [space.name for bundle in described.bundles for space in bundle.spaces if space.preset != PRESET_LABORATORY]
    request = EmbedRequest(photos=[PhotoInput(encoded=photo.read_bytes())], spaces=spaces)
    [result] = stub.Embed(request, timeout=TIMEOUT_S, metadata=token).results
    if result.HasField("error"):
        sys.exit(f"{photo}: {result.error.message}")
    for vectors in result.embedding.vectors:
        values = np.frombuffer(vectors.values, "<f4").reshape(-1, vectors.dimension)  # one row, or one per region
        print(vectors.space, "x".join(map(str, values.shape)), values[0, :3])


def main() -> None:
    """Runs one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:7350", metavar="HOST:PORT", help="address that `miradouro up` prints")
    parser.add_argument("--token-file", type=Path, default=Path.home() / ".local/share/miradouro/token")
    parser.add_argument("--collection", default="photos")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("put").add_argument("photos", type=Path, nargs="+")
    commands.add_parser("search").add_argument("word")
    commands.add_parser("embed").add_argument("photo", type=Path)
    options = parser.parse_args()

    token = (("authorization", f"Bearer {options.token_file.read_text().split()[0]}"),)
    limits = [("grpc.max_send_message_length", MAX_MESSAGE_BYTES), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    try:
        with grpc.insecure_channel(options.server, options=limits) as channel:
            if options.command == "put" and not put(channel, token, options.photos, collection=options.collection):
                sys.exit(1)
            elif options.command == "search":
                search(channel, token, options.word, collection=options.collection)
            elif options.command == "embed":
                embed(channel, token, options.photo)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
