"""Publishes all photos of a location, and resumes after an interruption."""

import collections
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from miradouro.adapters.kafka import Publisher
from miradouro.adapters.kafka.publisher import Record
from miradouro.adapters.location import Location
from miradouro.core.errors import ConfigurationError, InvalidArgument
from miradouro.core.ports import PhotoReader
from miradouro.core.sidecars.beside import SidecarFault
from miradouro.ingest.cloud_event import record_of
from miradouro.ingest.publishing import Unpublished, events_of_folder, events_of_location
from miradouro.runtime.whole_file import write_whole


@dataclass(frozen=True)
class Job:
    """The source and the target of a backfill; each job has its own checkpoint."""

    uri: str
    collection: str
    brokers: str
    topic: str

    @property
    def file_name(self) -> str:
        """The name of its checkpoint, unique to the job."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32] + ".json"


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a job: Kafka has the events of the photos up to the id `after`; `published` is their number."""

    after: str = ""
    published: int = 0


class CheckpointFile:
    """The checkpoint of a job, in a file that exists until the job is done."""

    def __init__(self, path: Path, job: Job) -> None:
        self.path, self._job = path, job

    def read(self) -> Checkpoint:
        """The checkpoint; the beginning without a file. Raises ConfigurationError (of another job, or not a checkpoint)."""
        try:
            saved = json.loads(self.path.read_bytes())
            if saved["job"] != asdict(self._job):
                raise ConfigurationError(f"{self.path} is of another backfill, {saved['job']}; name another file with --state")
            return Checkpoint(str(saved["after"]), int(saved["published"]))
        except FileNotFoundError:
            return Checkpoint()
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise ConfigurationError(f"{self.path} can't be read as a checkpoint: {exc}; begin anew with --restart") from exc

    def write(self, checkpoint: Checkpoint) -> None:
        """Writes it durably. Raises ConfigurationError."""
        try:
            write_whole(self.path, json.dumps({"job": asdict(self._job), **asdict(checkpoint)}).encode(), synced=True)
        except OSError as exc:
            raise ConfigurationError(f"{self.path} can't be written: {exc.strerror}; name another file with --state") from exc

    def remove(self) -> None:
        """Removes the file: the job is done, or begins again."""
        self.path.unlink(missing_ok=True)


def backfill(
    location: Location,
    *,
    collection: str,
    publisher: Publisher,
    reader: PhotoReader,
    checkpoints: CheckpointFile,
    refused: Callable[[Unpublished], None],
    faulty: Callable[[SidecarFault], None],
) -> Iterator[int]:
    """Publishes an event for every photo of the location, in the order of ids, from the checkpoint on.

    Yields the total number of acknowledged photos, at intervals and at the end. Calls `refused` for each photo that cannot be
    published, and `faulty` for each sidecar that was not read in full; the photo of such a sidecar is published.
    After an interruption the next run sends the photos since the checkpoint again, with the same versions, so consumers ignore
    them. Photos added meanwhile before the checkpoint are left to a later run. Raises Unavailable, ConfigurationError,
    InvalidArgument.
    """
    began = checkpoints.read()
    folder = location.folder
    found = (
        events_of_location(location, collection, reader=reader, after=began.after)
        if folder is None
        else events_of_folder(folder, collection, reader=reader, after=began.after)
    )
    sent: collections.deque[str] = collections.deque()  # ids that are not acknowledged

    def records() -> Iterator[Record]:
        for one in found:
            if isinstance(one, Unpublished):
                refused(one)
                continue
            for fault in one.beside.faults if one.beside else ():
                faulty(fault)
            try:
                record = record_of(one)
            except InvalidArgument as exc:
                refused(Unpublished(one.photo_id, exc))
                continue
            sent.append(one.photo_id)
            yield record

    acknowledged = 0
    for total in publisher.publish(records()):
        last = ""
        for _ in range(total - acknowledged):
            last = sent.popleft()
        acknowledged = total
        if last:
            checkpoints.write(Checkpoint(last, began.published + acknowledged))
        yield began.published + acknowledged
    checkpoints.remove()
