"""The demo itself, a client of running services: it indexes a folder, asks questions and writes the contact sheet."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from miradouro.core.errors import InvalidArgument
from miradouro.core.ports import PhotoReader
from miradouro.runtime.grpc_client import typed_error
from miradouro.standalone.demo.contact_sheet import Answer, Credit, render
from miradouro.standalone.demo.questions import TIMEOUT_S, Questions, ask, questions_about, wall
from miradouro.v1.ingest_service_pb2 import FolderProgress, FolderReport, IndexFolderRequest
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.search_service_pb2 import GetPhotoRequest, StatsRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub


@dataclass(frozen=True)
class Tour:
    """The input and output of a demo.

    `root`: folder of photos, absolute. `sheet` and `cut_file`: the page and the query photo, which are written. `command`: the
    beginning of a search on the command line. `questions` None: chosen from the tags and captions of the photos.
    """

    root: Path
    sheet: Path
    cut_file: Path
    command: tuple[str, ...]
    credits: Sequence[Credit] = ()
    questions: Questions | None = None


def take(
    channel: grpc.Channel,
    tour: Tour,
    *,
    reader: PhotoReader,
    peer: str,
    on_progress: Callable[[FolderProgress], object],
) -> tuple[FolderReport, tuple[Answer, ...]]:
    """Indexes the folder and asks one question of each kind, over `channel` alone.

    `reader` decodes the pictures of the page, `peer` names the server in errors. Raises InvalidArgument when the folder holds no
    photo that can be indexed, and the errors of the services.
    """
    try:
        return _take(channel, tour, reader, on_progress)
    except grpc.RpcError as exc:
        raise typed_error(exc, peer=peer) from exc


def _take(
    channel: grpc.Channel, tour: Tour, reader: PhotoReader, on_progress: Callable[[FolderProgress], object]
) -> tuple[FolderReport, tuple[Answer, ...]]:
    started = time.perf_counter()
    report = _index(IngestServiceStub(channel), tour.root, on_progress)
    seconds = time.perf_counter() - started
    stub = SearchServiceStub(channel)
    questions = tour.questions or questions_about(stub, _two_photos(stub, tour.root))
    tour.sheet.parent.mkdir(parents=True, exist_ok=True)
    answers = ask(stub, questions, root=tour.root, cut_file=tour.cut_file, command=tour.command, reader=reader)
    [collection] = stub.Stats(StatsRequest(), timeout=TIMEOUT_S).collections
    page = render(
        folder="published packages" if tour.credits else str(tour.root),
        photos=collection.photos,
        seconds=seconds,
        answers=answers,
        wall=wall(stub, questions, root=tour.root, reader=reader),
        thanks=tour.credits,
    )
    tour.sheet.write_text(page, encoding="utf-8")
    return report, answers


def _index(stub: IngestServiceStub, root: Path, on_progress: Callable[[FolderProgress], object]) -> FolderReport:
    report = FolderReport()
    for message in stub.IndexFolder(IndexFolderRequest(path=str(root), prune=True)):
        if message.HasField("progress"):
            on_progress(message.progress)
        else:
            report = message.report
    return report


def _two_photos(stub: SearchServiceStub, root: Path) -> tuple[str, str]:
    """Two indexed photos of the folder, from its second and its last third if possible; the same one twice if it is alone."""
    paths = sorted(Path(folder, name).relative_to(root).as_posix() for folder, _, names in os.walk(root) for name in names)
    third = len(paths) // 3
    return _first_indexed(stub, paths[third:] + paths[:third]), _first_indexed(stub, paths[2 * third :] + paths[: 2 * third])


def _first_indexed(stub: SearchServiceStub, paths: Sequence[str]) -> str:
    for path in paths:
        if not path.isprintable():  # such a name can't be shown in a command
            continue
        try:
            return stub.GetPhoto(GetPhotoRequest(photo_id=path), timeout=TIMEOUT_S).photo.photo_id
        except grpc.RpcError as exc:
            if exc.code() is not grpc.StatusCode.NOT_FOUND:
                raise
    raise InvalidArgument(
        "photos", "the folder holds no photo that could be indexed; name one with JPEG, PNG, WebP or AVIF files"
    )
