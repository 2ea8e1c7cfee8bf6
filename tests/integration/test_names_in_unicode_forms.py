"""A name finds its photo in whatever Unicode form the file has it, as a Mac or another system writes it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import RetryFailuresRequest

from tests.http_fixture import Door, open_door
from tests.photo_folder import write
from tests.pictures import jpeg

ONE, TWO = "é", "e\u0301"  # one character, or two that look the same
MAC, OTHER, MIXED = f"{TWO}t{TWO}/Caf{TWO}.jpg", f"{ONE}t{ONE}/Caf{ONE} 2.jpg", f"{TWO}/Caf{ONE}.jpg"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    for number, name in enumerate((MAC, OTHER, MIXED, "plain.jpg")):
        write(tmp_path / "photos" / name, jpeg(seed=number))
    write(tmp_path / "photos" / f"bad {TWO}.jpg", b"bad")
    write(tmp_path / "photos" / f"{TWO}t{TWO}/Caf{ONE}.json", {"caption": "At the counter"})
    with open_door(tmp_path / "ingest") as opened:
        opened.ingest.index_folder(tmp_path / "photos")
        yield opened


@pytest.mark.parametrize("prefix", [f"Caf{ONE}", f"Caf{TWO}"])
def test_a_file_name_is_found_in_either_form(door, prefix):
    hits = door.post("/v1/search", {"everything": {}, "filters": [{"fileNamePrefix": prefix}]}).json["hits"]
    assert {hit["photoId"] for hit in hits} == {MAC, OTHER, MIXED}


@pytest.mark.parametrize("stored", [MAC, OTHER, MIXED])
@pytest.mark.parametrize("form", [ONE, TWO])
def test_an_id_is_found_in_either_form(door, stored, form):
    photo_id = stored.replace(TWO, ONE).replace(ONE, form)
    where = f"photos/{quote(photo_id, safe='')}"

    assert door.get(f"/v1/photos/{where}").json["photo"]["photoId"] == stored
    assert door.get(f"/photos/{where}").code == 200
    assert door.get(f"/thumbnails/{where}").code == 200
    assert door.post("/v1/search", {"like": {"photoId": photo_id}}).json["hits"][0]["photoId"] == stored


def test_the_very_form_goes_first(door):
    photos = door.ingest.data.parents[1] / "photos"
    write(photos / MAC.replace(TWO, ONE), jpeg(seed=9))
    door.ingest.index_folder(photos)

    for photo_id in (MAC, MAC.replace(TWO, ONE)):
        assert door.get(f"/v1/photos/photos/{quote(photo_id, safe='')}").json["photo"]["photoId"] == photo_id
    assert door.get(f"/v1/photos/photos/{ONE}.jpg".replace(ONE, quote(ONE))).code == 404


def test_sidecars_and_failures_are_found_in_either_form(door):
    assert door.ingest.index.get("photos", MAC).caption == "At the counter"
    request = RetryFailuresRequest(photo_ids=[f"bad {ONE}.jpg"])
    assert [one.photo_id for one in door.ingest.service.RetryFailures(request, Call())] == [f"bad {TWO}.jpg"]
