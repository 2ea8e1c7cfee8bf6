"""What every PhotoStore promises."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.ports import PhotoStore


@dataclass(frozen=True)
class Shelf:
    """A store, and how photos get into it: name and bytes → URI; and one that is outside of what it may read."""

    store: PhotoStore
    put: Callable[[bytes, bytes], str]
    remove: Callable[[str], None]
    forbidden: tuple[str, ...]


def files(folder: Path) -> Shelf:
    inside, outside = folder / "inside", folder / "inside too"
    for place in (inside, outside):
        place.mkdir()
        (place / "a.jpg").write_bytes(b"secret")

    def put(name: bytes, data: bytes) -> str:
        path = os.path.join(os.fsencode(inside), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return file_uri(os.fsdecode(path))

    return Shelf(
        store=FileStore([inside]),
        put=put,
        remove=lambda uri: Path(uri.removeprefix("file://")).unlink(),
        forbidden=(
            (outside / "a.jpg").as_uri(),
            inside.as_uri() + "/../inside%20too/a.jpg",
            inside.as_uri() + "/%2e%2e/inside%20too/a.jpg",
            "file://elsewhere" + str(inside / "a.jpg"),
            "file:a.jpg",
            str(inside / "a.jpg"),
            (inside / "a.jpg").as_uri() + "%00",
            (inside / "a.jpg").as_uri() + "?query",
            "file://[/a.jpg",
            "http://127.0.0.1/a.jpg",
            "ftp://127.0.0.1/a.jpg",
            "",
        ),
    )


STORES: dict[str, Callable[[Path], Shelf]] = {"file": files}


@pytest.fixture(params=sorted(STORES))
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return STORES[request.param](tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        b"a.jpg",
        b"deep/er/a.jpg",
        b"with space.jpg",
        "Graça ☂.jpg".encode(),
        b"two\nlines.jpg",
        b"caf\xe9.jpg",
        b"a%41?#;.jpg",
        b"~.jpg",
    ],
)
def test_bytes_come_back_under_any_name(shelf, name):
    assert shelf.store.read(shelf.put(name, bytes(range(256))), limit_bytes=1_000) == bytes(range(256))


def test_the_limit_itself_is_allowed_and_more_is_refused(shelf):
    uri = shelf.put(b"a.jpg", bytes(100))

    assert len(shelf.store.read(uri, limit_bytes=100)) == 100
    with pytest.raises(BadPhoto) as caught:
        shelf.store.read(uri, limit_bytes=99)
    assert caught.value.reason == "too_many_bytes"
    assert "99" in caught.value.message


def test_nothing_is_something(shelf):
    assert shelf.store.read(shelf.put(b"a.jpg", b""), limit_bytes=10) == b""


def test_what_is_not_there_has_vanished(shelf):
    uri = shelf.put(b"a.jpg", b"x")
    shelf.remove(uri)

    for gone in (uri, uri + "/below.jpg"):
        with pytest.raises(BadPhoto) as caught:
            shelf.store.read(gone, limit_bytes=10)
        assert caught.value.reason == "vanished"


def test_a_folder_is_no_photo(shelf):
    uri = shelf.put(b"deep/a.jpg", b"x")

    with pytest.raises(BadPhoto) as caught:
        shelf.store.read(uri.rpartition("/")[0], limit_bytes=10)
    assert caught.value.reason == "unreadable"


def test_places_outside_and_other_schemes_are_refused_unread(shelf):
    for uri in shelf.forbidden:
        with pytest.raises(InvalidArgument, match="allowed") as caught:
            shelf.store.read(uri, limit_bytes=10)
        assert not isinstance(caught.value, BadPhoto)


def test_a_store_without_places_reads_nothing(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")

    with pytest.raises(InvalidArgument, match="MIRADOURO_PHOTO_ROOTS"):
        FileStore([]).read((tmp_path / "a.jpg").as_uri(), limit_bytes=10)


def test_a_link_to_nowhere_or_to_itself_is_told(tmp_path):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")

    for name, reason in (("loop.jpg", "unreadable"), ("nowhere.jpg", "vanished")):
        with pytest.raises(BadPhoto) as caught:
            FileStore([tmp_path]).read(file_uri(str(tmp_path / name)), limit_bytes=10)
        assert caught.value.reason == reason


def test_a_name_longer_than_the_file_system_allows_is_told(tmp_path):
    with pytest.raises(BadPhoto) as caught:
        FileStore([tmp_path]).read(file_uri(str(tmp_path / ("x" * 300))), limit_bytes=10)
    assert caught.value.reason == "unreadable"
