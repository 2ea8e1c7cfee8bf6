"""Originals and thumbnails over HTTP: the right bytes, marks, what is kept, and what is never served."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from miradouro.adapters.folder.photo_id import photo_id_of
from miradouro.core.thumbnail import FOLDER
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from PIL import Image

from tests.http_fixture import Answer, Door, open_door
from tests.photo_folder import write
from tests.pictures import blocks, encode, jpeg

WIDE, TALL = jpeg(1000, 500, seed=1, quality=95), jpeg(300, 900, seed=2, quality=95)
PNG = encode(blocks(90, 60, seed=50), "PNG")
ODD_NAME = "odd/50% <b>#1?&'\"ü..jpg"

ODD_NAMES = (
    "two\nlines.jpg",
    "\n/line\n/ends with one.jpg\n",
    "carriage\rreturn\ttab.jpg",
    " ;+&=?#%0A%2F'\"\\.jpg",
    "\u202egpj.\U0001f4f7.jpg",
    f"{'long ' * 49}.jpg",
    os.fsdecode(b"latin \xe9.jpg"),
)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    photos = tmp_path / "photos"
    turned = Image.new("RGB", (400, 200), "red")
    turned.paste((0, 0, 255), (200, 0, 400, 200))
    exif = turned.getexif()
    exif[0x0112] = 6
    files = {
        "wide.jpg": WIDE,
        "deep/er/tall.jpg": TALL,
        "logo.png": PNG,
        "photo.webp": encode(blocks(64, 64, seed=3), "WEBP"),
        "named.txt.jpg": PNG,
        ODD_NAME: jpeg(64, 48, seed=60),
        "turned.jpg": encode(turned, "JPEG", exif=exif, quality=95),
    }
    for name, data in files.items():
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(data)
    (tmp_path / "secret.jpg").write_bytes(jpeg(50, 50, seed=9))
    with open_door(tmp_path / "ingest", roots=(tmp_path / "inbox",)) as opened:
        assert opened.ingest.index_folder(photos).indexed == len(files)
        yield opened


def place(photo_id: str) -> str:
    return f"photos/{quote(photo_id, safe='')}"


def photos_of(door: Door) -> Path:
    return door.ingest.data.parents[1] / "photos"


def kept(door: Door) -> list[Path]:
    return [path for path in (door.ingest.data / FOLDER).rglob("*") if path.is_file()]


def picture(answer: Answer) -> Image.Image:
    assert (answer.code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    return Image.open(io.BytesIO(answer.body))


@pytest.mark.parametrize(
    ("photo_id", "media_type"),
    [
        ("wide.jpg", "image/jpeg"),
        ("deep/er/tall.jpg", "image/jpeg"),
        ("logo.png", "image/png"),
        ("photo.webp", "image/webp"),
        ("named.txt.jpg", "image/png"),
        (ODD_NAME, "image/jpeg"),
    ],
)
def test_an_original_has_its_bytes_and_media_type(door, photo_id, media_type):
    data = (photos_of(door) / photo_id).read_bytes()
    answer = door.get(f"/photos/{place(photo_id)}")
    assert (answer.code, answer.body, answer.headers["Content-Type"]) == (200, data, media_type)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_name_is_answered_on_every_route(tmp_path):
    photos = tmp_path / "photos"
    for number, name in enumerate(ODD_NAMES):
        write(photos / name, jpeg(seed=number))
    with open_door(tmp_path / "ingest") as door:
        assert door.ingest.index_folder(photos).indexed == len(ODD_NAMES)
        for number, name in enumerate(ODD_NAMES):
            where = place(photo_id_of(name))
            assert door.get(f"/photos/{where}").body == jpeg(seed=number)
            assert door.get(f"/v1/photos/{where}").json["photo"]["photoId"] == photo_id_of(name)
            assert door.get(f"/thumbnails/{where}").code == 200


def test_a_cached_picture_is_not_sent_again(door):
    for path in ("/photos/photos/wide.jpg", "/thumbnails/photos/wide.jpg?size=160"):
        mark = door.get(path).headers["ETag"]
        for known in (mark, f'"other", W/{mark}', "*"):
            again = door.get(path, If_None_Match=known)
            assert (again.code, again.body, again.headers["ETag"]) == (304, b"", mark)
        assert door.get(path, If_None_Match='"other"').code == 200
        assert door.ask("HEAD", path).headers["Content-Length"] == str(len(door.get(path).body))


@pytest.mark.parametrize(
    ("photo_id", "size", "expected"),
    [
        ("wide.jpg", 160, (160, 80)),
        ("wide.jpg", 640, (640, 320)),
        ("deep/er/tall.jpg", 320, (107, 320)),
        ("logo.png", 320, (90, 60)),
        ("turned.jpg", 160, (80, 160)),
    ],
)
def test_a_thumbnail_has_its_size_but_never_grows(door, photo_id, size, expected):
    assert picture(door.get(f"/thumbnails/{place(photo_id)}?size={size}")).size == expected


def test_a_thumbnail_stands_upright_and_shows_the_photo(door):
    small = picture(door.get("/thumbnails/photos/turned.jpg?size=160")).convert("RGB")
    red, green, blue = small.getpixel((40, 30))
    assert red > 200
    assert max(green, blue) < 60
    assert small.getpixel((40, 130))[2] > 200


def test_the_usual_size_is_320(door):
    assert door.get("/thumbnails/photos/wide.jpg").body == door.get("/thumbnails/photos/wide.jpg?size=320").body


@pytest.mark.parametrize(
    "query", ["size=0", "size=321", "size=-1", "size=x", "size=", "size=%C2%B2", "size=160&size=160", "width=3"]
)
def test_other_sizes_are_refused(door, query):
    answer = door.get(f"/thumbnails/photos/wide.jpg?{query}")
    assert (answer.code, answer.error["field"]) == (400, query.split("=")[0])


def test_thumbnails_are_cached_by_content_and_remade(door):
    first = door.get("/thumbnails/photos/wide.jpg?size=160").body
    [path] = kept(door)
    assert path.name == f"{hashlib.sha256(WIDE).hexdigest()}-160.jpg"
    path.write_bytes(b"kept")
    assert door.get("/thumbnails/photos/wide.jpg?size=160").body == b"kept"
    path.write_bytes(b"")
    assert door.get("/thumbnails/photos/wide.jpg?size=160").body == first, "a file that a crash emptied is made again"
    shutil.rmtree(door.ingest.data / FOLDER)
    assert door.get("/thumbnails/photos/wide.jpg?size=160").body == first
    assert [path.read_bytes() for path in kept(door)] == [first]


def test_thumbnails_are_served_without_a_writable_cache(door):
    (door.ingest.data / FOLDER).write_bytes(b"in the way")
    assert picture(door.get("/thumbnails/photos/wide.jpg?size=160")).size == (160, 80)
    assert picture(door.get("/thumbnails/photos/wide.jpg?size=160")).size == (160, 80)


def test_a_deleted_photo_file_keeps_its_thumbnail(door):
    small = door.get("/thumbnails/photos/wide.jpg").body
    (photos_of(door) / "wide.jpg").unlink()
    assert door.get("/thumbnails/photos/wide.jpg").body == small
    gone = door.get("/photos/photos/wide.jpg")
    assert (gone.code, gone.error["status"]) == (404, "NOT_FOUND")
    assert door.get("/thumbnails/photos/wide.jpg?size=160").code == 404


def test_a_changed_file_gets_no_new_thumbnail(door):
    path = photos_of(door) / "wide.jpg"
    path.write_bytes(PNG)
    now = door.get("/photos/photos/wide.jpg")
    assert (now.body, now.headers["Content-Type"]) == (PNG, "image/png")
    assert now.headers["ETag"] == f'"{hashlib.sha256(PNG).hexdigest()}"'
    assert door.get("/thumbnails/photos/wide.jpg").error["status"] == "FAILED_PRECONDITION"
    path.write_text("<script>alert(1)</script>")
    assert door.get("/photos/photos/wide.jpg").error["status"] == "FAILED_PRECONDITION"


def test_only_stored_photos_are_served_by_any_path(door):
    outside = str(photos_of(door).parent / "secret.jpg")
    names = [
        "../secret.jpg",
        "..%2fsecret.jpg",
        "%2e%2e/secret.jpg",
        quote(outside, safe=""),
        quote(outside),
        "file%3A%2F%2F" + quote(outside, safe=""),
        "wide.jpg%00",
        "./wide.jpg",
        "deep//er/tall.jpg",
        "%ff%fe",
        "",
        "a" * 600,
    ]
    for name in names:
        for path in (f"/photos/photos/{name}", f"/thumbnails/photos/{name}", f"/v1/photos/photos/{name}"):
            answer = door.get(path)
            assert answer.code in {400, 404}, path
            assert answer.error["message"]
    assert door.get("/photos/elsewhere/wide.jpg").error["status"] == "NOT_FOUND"
    assert door.get("/photos/no such/wide.jpg".replace(" ", "%20")).error["status"] == "INVALID_ARGUMENT"


def test_a_link_to_another_kind_is_not_served(door):
    path = photos_of(door) / "wide.jpg"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert door.get("/photos/photos/wide.jpg").code == 409
    assert b"root:" not in door.get("/photos/photos/wide.jpg").body


def event(**fields) -> PhotoEvent:
    return PhotoEvent(event_id="1", kind=PHOTO_EVENT_KIND_UPLOADED, version=1, **fields)


def test_only_event_photos_below_allowed_folders_are_served(door):
    inbox = photos_of(door).parent / "inbox"
    inbox.mkdir()
    (inbox / "new.jpg").write_bytes(TALL)
    results = door.ingest.put(
        event(photo_id="by-uri", uri=(inbox / "new.jpg").as_uri()), event(photo_id="inline", data=WIDE)
    ).results
    assert [result.message for result in results] == ["", ""]
    assert door.get("/photos/photos/by-uri").body == TALL
    assert picture(door.get("/thumbnails/photos/by-uri?size=160")).size == (53, 160)
    for path in ("/photos/photos/inline", "/thumbnails/photos/inline"):
        assert (door.get(path).code, door.get(path).error["status"]) == (409, "FAILED_PRECONDITION")


def test_a_hits_pictures_are_at_its_photo_id(door):
    answer = door.post("/v1/search", {"like": {"photoId": ODD_NAME}, "limit": 20}).json
    for hit in answer["hits"]:
        path = photos_of(door) / hit["photoId"]
        assert door.get(f"/photos/{place(hit['photoId'])}").body == path.read_bytes()
        assert json.loads(door.get(f"/v1/photos/{place(hit['photoId'])}").body)["photo"]["photoId"] == hit["photoId"]
