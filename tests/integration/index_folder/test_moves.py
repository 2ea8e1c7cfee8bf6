"""A photo that moves within its folder keeps what is stored of it, on either index, without a forward pass."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.document import Document

from tests.conformance.engines import INDICES, Index, with_markers
from tests.ingest_house import House, open_house
from tests.photo_folder import counts, write
from tests.pictures import jpeg


@pytest.fixture(params=with_markers(["sqlite", "opensearch"]))
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[House, Index]]:
    """A house that stores into one of the indices."""
    with INDICES[request.param](tmp_path / "index") as index, open_house(tmp_path / "house", store=index) as house:
        yield house, index


def assert_same_vectors(old: Document, new: Document) -> None:
    assert old.vectors.keys() == new.vectors.keys() != set()
    for name, vectors in old.vectors.items():
        np.testing.assert_array_equal(vectors, new.vectors[name])
    assert (old.provenances, old.tags, old.sha256) == (new.provenances, new.tags, new.sha256)


def test_a_renamed_folder_with_most_photos_moves(stored: tuple[House, Index], folder: Path) -> None:
    house, index = stored
    for seed in range(3):
        write(folder / f"2023/{seed}.jpg", jpeg(seed=seed))
    write(folder / "a.jpg", jpeg(seed=8))
    house.index_folder(folder)
    before = {seed: index.get_whole("photos", f"2023/{seed}.jpg") for seed in range(3)}
    house.networks.runs.clear()
    (folder / "2023").rename(folder / "lisbon")
    write(folder / "0.jpg", jpeg(seed=9))

    report = house.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (3, 0, 1, 1, 0, 0, 0)
    assert len(house.networks.runs) == 2, "each of the two networks ran for the new photo alone"
    for seed, document in before.items():
        assert_same_vectors(document, index.get_whole("photos", f"lisbon/{seed}.jpg"))
    old = index.states("photos", [f"2023/{seed}.jpg" for seed in range(3)])
    assert [(state.version, state.deleted) for state in old] == [(2, True)] * 3


def test_a_copy_runs_no_network_and_moves_nothing(house: House, folder: Path) -> None:
    write(folder / "b.jpg", jpeg())
    house.index_folder(folder)
    house.networks.runs.clear()
    for name in ("a.jpg", "c.jpg"):
        write(folder / name, jpeg())

    report = house.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 2, 1, 0, 0, 0)
    assert house.networks.runs == []


def test_one_of_two_copies_moves(house: House, folder: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(folder / name, jpeg())
    house.index_folder(folder)
    (folder / "b.jpg").rename(folder / "c.jpg")

    report = house.index_folder(folder)
    assert (report.moved, *counts(report)) == (1, 0, 1, 0, 0, 0)
    assert house.photos() == {"a.jpg": 1, "c.jpg": 1}


def test_a_photo_that_moves_and_changes_is_another(house: House, folder: Path) -> None:
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        write(folder / name, jpeg(seed=seed))
    house.index_folder(folder)
    (folder / "a.jpg").unlink()
    write(folder / "c.jpg", jpeg(seed=5))

    report = house.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 1, 1, 1, 0, 0)


def test_two_names_that_are_swapped_keep_their_photos(house: House, folder: Path) -> None:
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        write(folder / name, jpeg(seed=seed))
    house.index_folder(folder)
    before = {name: house.index.get_whole("photos", name) for name in ("a.jpg", "b.jpg")}
    (folder / "a.jpg").rename(folder / "t")
    (folder / "b.jpg").rename(folder / "a.jpg")
    (folder / "t").rename(folder / "b.jpg")
    write(folder / "a.jpg", (folder / "a.jpg").read_bytes(), seconds_ago=5)
    write(folder / "b.jpg", (folder / "b.jpg").read_bytes(), seconds_ago=5)

    report = house.index_folder(folder)
    assert (report.moved, *counts(report)) == (0, 2, 0, 0, 0, 0)
    assert_same_vectors(before["a.jpg"], house.index.get_whole("photos", "b.jpg"))
    assert_same_vectors(before["b.jpg"], house.index.get_whole("photos", "a.jpg"))


def test_a_name_that_comes_back_is_newer_than_its_tombstone(house: House, folder: Path) -> None:
    write(folder / "a.jpg", jpeg())
    house.index_folder(folder)
    for old, new, versions in (("a.jpg", "b.jpg", {"b.jpg": 1}), ("b.jpg", "a.jpg", {"a.jpg": 3})):
        (folder / old).rename(folder / new)
        assert house.index_folder(folder).moved == 1
        assert house.photos() == versions


def test_a_moved_photo_takes_the_words_of_its_new_sidecar(house: House, folder: Path) -> None:
    write(folder / "a.jpg", jpeg())
    write(folder / "a.json", {"title": "old"})
    house.index_folder(folder)
    house.networks.runs.clear()
    (folder / "a.jpg").rename(folder / "b.jpg")
    write(folder / "b.json", {"title": "new"})

    assert house.index_folder(folder).moved == 1
    assert house.index.get("photos", "b.jpg").title == "new"
    assert house.networks.runs == []


def test_a_move_that_was_cut_short_is_completed(house: House, folder: Path) -> None:
    """A crash between the two commits leaves both ids, as copying, indexing and removing the originals does."""
    for seed in range(3):
        write(folder / f"old/{seed}.jpg", jpeg(seed=seed))
        write(folder / f"new/{seed}.jpg", jpeg(seed=seed))
    write(folder / "lost.jpg", jpeg(seed=9))
    house.index_folder(folder)
    for path in (*(folder / "old").iterdir(), folder / "lost.jpg"):
        path.unlink()

    report = house.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (0, 0, 0, 3, 4, 0, 0)
    assert house.photos() == {f"new/{seed}.jpg": 1 for seed in range(3)}


def test_a_failed_photo_that_moves_fails_under_its_new_name(house: House, folder: Path) -> None:
    write(folder / "a.jpg", jpeg()[:300])
    write(folder / "b.jpg", jpeg(seed=1))
    house.index_folder(folder)
    (folder / "a.jpg").rename(folder / "c.jpg")

    assert [one.path for one in house.index_folder(folder).failed] == ["c.jpg"]
    assert set(house.failures()) == {"c.jpg"}


def test_only_what_lies_nowhere_else_is_withheld(house: House, folder: Path) -> None:
    for seed in range(4):
        write(folder / f"{seed}.jpg", jpeg(seed=seed))
    house.index_folder(folder)
    for seed in range(1, 4):
        (folder / f"{seed}.jpg").unlink()
    write(folder / "moved/3.jpg", jpeg(seed=3))
    (folder / "0.jpg").unlink()

    report = house.index_folder(folder)
    assert (report.moved, report.withheld, *counts(report)) == (1, 3, 0, 0, 0, 0, 0)
    report = house.index_folder(folder, prune=True)
    assert (report.moved, report.withheld, *counts(report)) == (0, 0, 0, 1, 3, 0, 0)
