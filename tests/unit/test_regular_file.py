"""Files of folders that others write to are opened before they are looked at, and nothing is waited for."""

import os
from pathlib import Path

import pytest
from miradouro.adapters.folder.file_kind import is_photo
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.cli.read_photo import read_photo
from miradouro.core.errors import BadPhoto
from miradouro.core.event import PhotoEvent
from miradouro.core.ports import Refused
from miradouro.runtime.regular_file import open_regular, read_regular

from tests.pictures import jpeg
from tests.reading import READER
from tests.special_files import SPECIAL, promptly, put_in_place_of

special = pytest.mark.parametrize("kind", sorted(SPECIAL))


def events_of(folder: Path) -> FolderSource:
    return FolderSource(str(folder), collection="photos", index=None, file_uri=file_uri, reader=READER)


@special
def test_only_regular_files_are_read(tmp_path, kind):
    put_in_place_of(tmp_path / "a.jpg", kind)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"it is not a regular file|symbolic links"):
        promptly(lambda: read_regular(tmp_path / "a.jpg", 10))
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_regular_files_are_read_through_any_link(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link", 4) == b"0123"
    with open_regular(tmp_path / "a") as file:
        assert os.get_blocking(file.fileno())
        assert not os.get_inheritable(file.fileno())
        assert file.read() == b"0123456789"


@special
def test_a_store_refuses_a_replaced_photo_file(tmp_path, kind):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(jpeg(64, 64))
    store, uri = FileStore([tmp_path]), file_uri(str(photo))
    assert store.read(uri, limit_bytes=100_000)
    put_in_place_of(photo, kind)
    with pytest.raises(BadPhoto) as caught:
        promptly(lambda: store.read(uri, limit_bytes=100_000))
    assert caught.value.reason == "unreadable"


@special
def test_photos_swapped_after_the_listing_are_refused_alone(tmp_path, kind):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(jpeg(64, 64))
    found = events_of(tmp_path).events()
    items = [next(found)]  # the whole folder is listed by now
    put_in_place_of(tmp_path / "b.jpg", kind)
    items += promptly(lambda: list(found))
    assert [(type(one), one.photo_id) for one in items] == [(PhotoEvent, "a.jpg"), (Refused, "b.jpg"), (PhotoEvent, "c.jpg")]


@special
def test_sidecars_swapped_after_the_listing_cost_no_photo(tmp_path, kind):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(64, 64))
        (tmp_path / f"{name}.json").write_text("{}")
    found = events_of(tmp_path).events()
    items = [next(found)]
    put_in_place_of(tmp_path / "b.json", kind)
    items += promptly(lambda: list(found))
    assert [(type(one), one.photo_id) for one in items] == [(PhotoEvent, f"{name}.jpg") for name in "abc"]
    assert [[fault.path for fault in one.beside.faults] for one in items] == [[], ["b.json"], []]


@special
def test_first_bytes_are_read_of_regular_files_alone(tmp_path, kind):
    put_in_place_of(tmp_path / "unnamed", kind)
    assert not promptly(lambda: is_photo(str(tmp_path / "unnamed")))


@special
def test_a_command_reads_no_pipe_in_a_folder(tmp_path, kind):
    put_in_place_of(tmp_path / "a.jpg", kind)
    with pytest.raises(BadPhoto, match=r"can't be read"):
        promptly(lambda: read_photo(tmp_path / "a.jpg", 10))


def test_a_command_reads_a_pipe_named_explicitly():
    reader, writer = os.pipe()
    try:
        os.write(writer, b"x" * 100)
        assert promptly(lambda: read_photo(Path(f"/dev/fd/{reader}"), 10)) == b"x" * 11
    finally:
        os.close(reader)
        os.close(writer)
