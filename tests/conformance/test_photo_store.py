"""What every PhotoStore promises."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from miradouro.adapters.photo_store import FileStore, PhotoStores, PhotoStoreSettings, file_uri
from miradouro.adapters.photo_store.fetch_limits import FetchLimits
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.ports import PhotoStore

from tests.cloud_storage import Cloud, gs_service, s3_service
from tests.waiting import WAIT_S
from tests.web_photos import LOOPBACK, body, web_photos

KEPT = b"\xff\xd8\xff inline bytes"


@dataclass(frozen=True)
class Shelf:
    """A store, and how photos get into it: name and bytes → URI; and those that are outside of what it may read.

    `keeps`: whether inline photos are kept too.
    """

    store: PhotoStore
    put: Callable[[bytes, bytes], str]
    remove: Callable[[str], None]
    forbidden: tuple[str, ...]
    keeps: bool = True


@contextmanager
def files(folder: Path) -> Iterator[Shelf]:
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

    yield Shelf(
        store=PhotoStores(PhotoStoreSettings(photo_roots=str(inside), inline_store=str(folder / "inline"))),
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
            "s3://photos/a.jpg",
            "ftp://127.0.0.1/a.jpg",
            "",
        ),
    )


@contextmanager
def web(folder: Path) -> Iterator[Shelf]:
    with web_photos(folder) as server:
        settings = PhotoStoreSettings(
            photo_sources=server.url("/inside/"), photo_private_hosts=LOOPBACK, photo_ca_file=server.ca_file
        )

        def put(name: bytes, data: bytes) -> str:
            path = "/inside/" + quote_from_bytes(name)
            server.put(path.rpartition("/")[0], body(b"", status=301, Location=path.rpartition("/")[0] + "/"))
            server.put(path.rpartition("/")[0] + "/", body(b"", status=403))
            return server.put(path, body(data))

        def remove(uri: str) -> None:
            del server.answers[uri.removeprefix(server.url(""))]

        server.put("/inside too/a.jpg", body(b"secret"))
        server.put("/a.jpg", body(b"secret"))
        server.put("/inside/", body(b"", status=403))
        yield Shelf(
            store=PhotoStores(settings, limits=FetchLimits(connect_s=WAIT_S, total_s=WAIT_S)),
            put=put,
            remove=remove,
            forbidden=(
                server.url("/a.jpg"),
                server.url("/insider.jpg"),
                server.url("/inside/../a.jpg"),
                server.url("/inside/%2e%2e/a.jpg"),
                server.url("/inside/%252e%252e/a.jpg"),
                server.url("/inside/..%2fa.jpg"),
                server.url("/inside/..%5ca.jpg"),
                server.url("/inside/a b.jpg"),
                server.url("/inside/a\nb.jpg"),
                server.url("/inside/☂.jpg"),
                server.url("/inside/a.jpg").replace("https", "http"),
                server.url("/inside/a.jpg", host="LOCALHOST.example"),
                server.url("/inside/a.jpg", host="somebody@localhost"),
                server.url("/inside/a.jpg", host="localhost@127.0.0.1"),
                server.url("/inside/a.jpg", host="127.0.0.1"),
                server.url("/inside/a.jpg", host="[::1]"),
                "https://localhost/inside/a.jpg",
                "https://localhost:99999/inside/a.jpg",
                "https:///inside/a.jpg",
                "https://[/inside/a.jpg",
                "https:inside/a.jpg",
                "file:///etc/hostname",
                "s3://photos/a.jpg",
            ),
            keeps=False,
        )


@contextmanager
def objects(folder: Path, cloud: Cloud) -> Iterator[Shelf]:  # noqa: ARG001 # every shelf takes a folder
    scheme = cloud.scheme
    settings = PhotoStoreSettings(
        photo_sources=f"{scheme}://photos/inside/",
        s3_endpoint=cloud.endpoint,
        inline_store=f"{scheme}://photos/inline",
    )
    cloud.put("insider.jpg", b"secret")
    lost = {"s3": (b"\n", b"\t"), "gs": (b";", b",")}[scheme]  # these two servers end a key there
    yield Shelf(
        store=PhotoStores(settings, limits=FetchLimits(connect_s=WAIT_S, total_s=WAIT_S)),
        put=lambda name, data: cloud.put("inside/" + name.replace(*lost).decode("utf-8", "replace"), data),
        remove=cloud.remove,
        forbidden=(
            f"{scheme}://photos/insider.jpg",
            f"{scheme}://photos/inside/../insider.jpg",
            f"{scheme}://photos/inside/%2e%2e/insider.jpg",
            f"{scheme}://secrets/inside/a.jpg",
            f"{scheme}://photos",
            f"{scheme}://",
            f"{scheme}:photos/inside/a.jpg",
            f"{scheme}://photos@127.0.0.1/inside/a.jpg",
            f"{scheme}://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/inside/a.jpg",
            "https://localhost/inside/a.jpg",
        ),
    )


@contextmanager
def s3(folder: Path) -> Iterator[Shelf]:
    with s3_service() as cloud, objects(folder, cloud) as shelf:
        yield shelf


@contextmanager
def gs(folder: Path) -> Iterator[Shelf]:
    with gs_service() as cloud, pytest.MonkeyPatch.context() as patch, objects(folder, cloud) as shelf:
        patch.setenv("STORAGE_EMULATOR_HOST", cloud.endpoint)  # read when the store is opened
        yield shelf


STORES = {"file": files, "https": web, "s3": s3, "gs": gs}


@pytest.fixture(params=sorted(STORES))
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


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


def test_only_more_than_the_limit_is_refused(shelf):
    uri = shelf.put(b"a.jpg", bytes(100))

    assert len(shelf.store.read(uri, limit_bytes=100)) == 100
    with pytest.raises(BadPhoto) as caught:
        shelf.store.read(uri, limit_bytes=99)
    assert caught.value.reason == "too_many_bytes"
    assert "99" in caught.value.message


def test_nothing_is_something(shelf):
    assert shelf.store.read(shelf.put(b"a.jpg", b""), limit_bytes=10) == b""


def test_a_missing_photo_is_reported_as_vanished(shelf):
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


def test_inline_bytes_are_kept_once_or_not_stored(shelf):
    sha256 = hashlib.sha256(KEPT).hexdigest()
    uri = shelf.store.keep(KEPT, sha256=sha256)

    assert bool(uri) == shelf.keeps
    if uri:
        assert sha256 in uri
        assert shelf.store.keep(KEPT, sha256=sha256) == uri
        assert shelf.store.read(uri, limit_bytes=100) == KEPT


def test_a_store_without_places_reads_nothing(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")

    with pytest.raises(InvalidArgument, match="MIRADOURO_PHOTO_ROOTS"):
        FileStore([]).read((tmp_path / "a.jpg").as_uri(), limit_bytes=10)


def test_a_dangling_or_circular_link_is_reported(tmp_path):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")

    for name, reason in (("loop.jpg", "unreadable"), ("nowhere.jpg", "vanished")):
        with pytest.raises(BadPhoto) as caught:
            FileStore([tmp_path]).read(file_uri(str(tmp_path / name)), limit_bytes=10)
        assert caught.value.reason == reason


def test_a_name_above_the_filesystem_limit_is_reported(tmp_path):
    with pytest.raises(BadPhoto) as caught:
        FileStore([tmp_path]).read(file_uri(str(tmp_path / ("x" * 300))), limit_bytes=10)
    assert caught.value.reason == "unreadable"
