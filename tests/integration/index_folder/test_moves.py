"""A photo that moves within its folder keeps what is stored of it, on either index, without a forward pass."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.document import Document

from tests.conformance.engines import INDICES, Index, with_markers
from tests.ingest_fixture import IngestFixture, open_ingest
from tests.photo_folder import counts, write
from tests.pictures import jpeg


@pytest.fixture(params=with_markers(["sqlite", "opensearch"]))
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[IngestFixture, Index]]:
    """An ingest service that stores into one of the indices."""
    with INDICES[request.param](tmp_path / "index") as index, open_ingest(tmp_path / "ingest", index=index) as ingest:
        yield ingest, index


def assert_same_vectors(old: Document, new: Document) -> None:
    assert old.vectors.keys() == new.vectors.keys() != set()
    for name, vectors in old.vectors.items():
        np.testing.assert_array_equal(vectors, new.vectors[name])
    assert (old.provenances, old.tags, old.sha256) == (new.provenances, new.tags, new.sha256)


def test_a_renamed_folder_with_most_photos_moves(stored: tuple[IngestFixture, Index], folder: Path) -> None:
    ingest, index = stored
    for seed in range(3):
        write(folder / f"2023/{seed}.jpg", jpeg(seed=seed))
    write(folder / "a.jpg", jpeg(seed=8))
    ingest.index_folder(folder)
    before = {seed: index.get_whole("photos", f"2023/{seed}.jpg") for seed in range(3)}
    ingest.networks.runs.clear()
    (folder / "2023").rename(folder / "lisbon")
    write(folder / "0.jpg", jpeg(seed=9))

    report = ingest.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (3, 0, 1, 1, 0, 0, 0)
    assert len(ingest.networks.runs) == 2, "each of the two networks ran for the new photo alone"
    for seed, document in before.items():
        assert_same_vectors(document, index.get_whole("photos", f"lisbon/{seed}.jpg"))
    old = index.states("photos", [f"2023/{seed}.jpg" for seed in range(3)])
    assert [(state.version, state.deleted) for state in old] == [(2, True)] * 3


def test_a_copy_runs_no_network_and_moves_nothing(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "b.jpg", jpeg())
    ingest.index_folder(folder)
    ingest.networks.runs.clear()
    for name in ("a.jpg", "c.jpg"):
        write(folder / name, jpeg())

    report = ingest.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 2, 1, 0, 0, 0)
    assert ingest.networks.runs == []


def test_one_of_two_copies_moves(ingest: IngestFixture, folder: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(folder / name, jpeg())
    ingest.index_folder(folder)
    (folder / "b.jpg").rename(folder / "c.jpg")

    report = ingest.index_folder(folder)
    assert (report.moved, *counts(report)) == (1, 0, 1, 0, 0, 0)
    assert ingest.photos() == {"a.jpg": 1, "c.jpg": 1}


def test_a_photo_that_moves_and_changes_is_another(ingest: IngestFixture, folder: Path) -> None:
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        write(folder / name, jpeg(seed=seed))
    ingest.index_folder(folder)
    (folder / "a.jpg").unlink()
    write(folder / "c.jpg", jpeg(seed=5))

    report = ingest.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 1, 1, 1, 0, 0)


def test_two_names_that_are_swapped_keep_their_photos(ingest: IngestFixture, folder: Path) -> None:
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        write(folder / name, jpeg(seed=seed))
    ingest.index_folder(folder)
    before = {name: ingest.index.get_whole("photos", name) for name in ("a.jpg", "b.jpg")}
    (folder / "a.jpg").rename(folder / "t")
    (folder / "b.jpg").rename(folder / "a.jpg")
    (folder / "t").rename(folder / "b.jpg")
    write(folder / "a.jpg", (folder / "a.jpg").read_bytes(), seconds_ago=5)
    write(folder / "b.jpg", (folder / "b.jpg").read_bytes(), seconds_ago=5)

    report = ingest.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 2, 0, 0, 0, 0)
    assert_same_vectors(before["a.jpg"], ingest.index.get_whole("photos", "b.jpg"))
    assert_same_vectors(before["b.jpg"], ingest.index.get_whole("photos", "a.jpg"))


def test_a_reused_name_is_newer_than_its_tombstone(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "a.jpg", jpeg())
    ingest.index_folder(folder)
    for old, new, versions in (("a.jpg", "b.jpg", {"b.jpg": 1}), ("b.jpg", "a.jpg", {"a.jpg": 3})):
        (folder / old).rename(folder / new)
        assert ingest.index_folder(folder).moved == 1
        assert ingest.photos() == versions


def test_a_moved_photo_takes_its_new_sidecars_metadata(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "a.jpg", jpeg())
    write(folder / "a.json", {"title": "old"})
    ingest.index_folder(folder)
    ingest.networks.runs.clear()
    (folder / "a.jpg").rename(folder / "b.jpg")
    write(folder / "b.json", {"title": "new"})

    assert ingest.index_folder(folder).moved == 1
    assert ingest.index.get("photos", "b.jpg").title == "new"
    assert ingest.networks.runs == []


def test_a_move_that_was_cut_short_is_completed(ingest: IngestFixture, folder: Path) -> None:
    """A crash between the two commits leaves both ids, as copying, indexing and removing the originals does."""
    for seed in range(3):
        write(folder / f"old/{seed}.jpg", jpeg(seed=seed))
        write(folder / f"new/{seed}.jpg", jpeg(seed=seed))
    write(folder / "lost.jpg", jpeg(seed=9))
    ingest.index_folder(folder)
    for path in (*(folder / "old").iterdir(), folder / "lost.jpg"):
        path.unlink()

    report = ingest.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (0, 0, 0, 3, 4, 0, 0)
    assert ingest.photos() == {f"new/{seed}.jpg": 1 for seed in range(3)}


def test_a_failure_follows_its_moved_photo(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "a.jpg", jpeg()[:300])
    write(folder / "b.jpg", jpeg(seed=1))
    ingest.index_folder(folder)
    (folder / "a.jpg").rename(folder / "c.jpg")

    assert [one.path for one in ingest.index_folder(folder).failed] == ["c.jpg"]
    assert set(ingest.failures()) == {"c.jpg"}


def test_moved_photos_do_not_count_as_deletions(ingest: IngestFixture, folder: Path) -> None:
    for seed in range(4):
        write(folder / f"{seed}.jpg", jpeg(seed=seed))
    ingest.index_folder(folder)
    for seed in range(1, 4):
        (folder / f"{seed}.jpg").unlink()
    write(folder / "moved/3.jpg", jpeg(seed=3))
    (folder / "0.jpg").unlink()

    report = ingest.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (1, 3, 0, 0, 0, 0, 0)
    report = ingest.index_folder(folder, prune=True)
    assert (report.moved, report.withheld, *counts(report)) == (0, 0, 0, 1, 3, 0, 0)
