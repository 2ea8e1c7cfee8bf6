"""Retries failures by collection: all, those of one collection, or those of given photos."""

from collections.abc import Collection, Iterator, Sequence

from miradouro.core.document import Failure
from miradouro.core.error_text import shown
from miradouro.core.errors import NotFound
from miradouro.core.event import check_collection
from miradouro.core.photo_names import nfc
from miradouro.core.ports import DeadLetters, PhotoIndex
from miradouro.ingest.collection_upkeep import CollectionUpkeep
from miradouro.ingest.failure_pages import failure_pages
from miradouro.ingest.retry_run import Retried, Retry
from miradouro.ingest.run_factory import RunFactory
from miradouro.ingest.runner import Runner
from miradouro.runtime.call import Call


class Retries:
    """Retries the failures in `dead_letters`."""

    def __init__(
        self, *, index: PhotoIndex, dead_letters: DeadLetters, collections: CollectionUpkeep, runner: Runner, runs: RunFactory
    ) -> None:
        self._index, self._dead_letters, self._collections = index, dead_letters, collections
        self._runner, self._runs = runner, runs

    def run(self, collection: str, photo_ids: Collection[str], call: Call) -> Iterator[Retried]:
        """One result for each failure of the collection (every collection when empty) and of `photo_ids` (all when empty).

        Ends early when the call is cancelled. Raises NotFound (a photo without a failure), InvalidArgument (collection),
        FailedPrecondition (the collection is being indexed), and errors that stop every photo.
        """
        if collection:
            check_collection(collection)
        wanted = {nfc(photo_id) for photo_id in photo_ids}
        if wanted:
            found = {nfc(failure.photo_id) for page in failure_pages(self._dead_letters, collection) for failure in page}
            if missing := sorted(wanted - found):
                raise NotFound(f"photo {shown(missing[0])} of collection {shown(collection)} is not among the failures")
        for page in failure_pages(self._dead_letters, collection):
            chosen = [failure for failure in page if not wanted or nfc(failure.photo_id) in wanted]
            for name in sorted({failure.collection for failure in chosen}):
                yield from self._retry(name, [failure for failure in chosen if failure.collection == name], call)
                if call.cancelled.is_set():
                    return

    def _retry(self, collection: str, failures: Sequence[Failure], call: Call) -> Iterator[Retried]:
        root = self._collections.root_of(collection)
        retry = Retry(
            collection,
            root,
            index=self._index,
            dead_letters=self._dead_letters,
            runner=self._runner,
            reader=self._runs.reader,
            folder_run=lambda: self._runs.folder_run(root, call, retriable_stops=False),
            event_run=lambda: self._runs.event_run(call),
        )
        with self._collections.exclusive(collection):
            yield from retry.run(failures)
