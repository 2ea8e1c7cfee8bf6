"""The files beside a photo describe it, never fail it, and their changes are noticed."""

import json
import os

import pytest
from miradouro.v1.ingest_service_pb2 import FolderReport

from tests.metadata_blocks import packet
from tests.photo_folder import counts, write
from tests.pictures import jpeg

TAKEOUT = {
    "title": "a.jpg",
    "description": "Takeout&#39;s words",
    "photoTakenTime": {"timestamp": "1714557600", "formatted": "May 1, 2024, 10:00:00 AM UTC"},
    "geoData": {"latitude": 38.72, "longitude": -9.14, "altitude": 0.0, "latitudeSpan": 0.0, "longitudeSpan": 0.0},
    "people": [{"name": "Ana"}, {"name": "Rui"}],
    "favorited": True,
}


def faults(report: FolderReport) -> dict[str, str]:
    return {one.path: one.reason for one in report.sidecars}


def xmp(words: str) -> bytes:
    return packet(f"<dc:description>{words}</dc:description>")


def test_a_sidecars_metadata_is_indexed(ingest, folder):
    write(folder / "a.jpg", jpeg())
    sidecar = {
        "caption": "Old trams in Graça",
        "title": "Tram 28",
        "tags": ["tram", "Lisbon"],
        "owner": "ana",
        "attributes": {"camera": "X100"},
        "place": {"lat": 38.72, "lon": -9},
        "taken_at": "2024-05-01T12:30:00+01:00",
        "version": 7,
        "of another program": [1, 2],
    }
    write(folder / "a.json", sidecar)
    report = ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert counts(report) == (1, 0, 0, 0, 0)
    assert (found.caption, found.caption_is_generated, found.title, found.owner) == (
        "Old trams in Graça",
        False,
        "Tram 28",
        "ana",
    )
    assert [tag.label for tag in found.tags if tag.kind == "user"] == ["tram", "Lisbon"]
    assert dict(found.attributes) == {"camera": "X100"}
    assert found.place is not None
    assert (found.place.latitude, found.place.longitude, found.version) == (38.72, -9, 7)
    assert found.taken_at is not None
    assert (found.taken_at.instant.isoformat(), found.taken_at.utc_offset_minutes) == ("2024-05-01T11:30:00+00:00", 60)


def test_one_sidecar_serves_every_photo_of_its_stem(ingest, folder):
    """That of a raw file too: the camera wrote both, and Lightroom describes them in one file."""
    for name in ("a.jpg", "a.png"):
        write(folder / name, jpeg())
    write(folder / "a.nef", b"II*\0\x08\0\0\0")
    write(folder / "a.json", {"caption": "both"})
    write(folder / "a.xmp", packet("<dc:title>all</dc:title>"))

    assert counts(ingest.index_folder(folder)) == (2, 0, 0, 1, 0)
    found = [ingest.index.get("photos", name) for name in ("a.jpg", "a.png")]
    assert {(one.caption, one.title) for one in found} == {("both", "all")}


@pytest.mark.parametrize(
    ("sidecar", "fault"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"caption": "' + b"x" * 1024 * 1024 + b'"}', "1,048,576 bytes"),
        ({"version": "5.2.1", "shapes": [], "imagePath": "labelme.jpg"}, "version: '5.2.1' stands beside no other field of ours"),
        ({"version": 1, "regions": []}, "version: 1 stands beside no other field of ours"),
        ({"version": "5", "title": ""}, "version: '5' is not a whole number"),
        ({"tags": "cat dog", "title": None}, "tags: 'cat dog' is not a list"),
        ({"caption": 5}, "caption: 5 is not a text"),
        ({"title": "t" * 2_000}, "title: 2,000 characters; allowed: 0 to 1,024"),
        ({"attributes": {"iso": 100}}, "attributes.iso: 100"),
        ({"place": {"lat": 91, "lon": 0}}, "place: lat: 91"),
        ({"place": {"lat": 1}}, "place: lon: None"),
        ({"taken_at": "yesterday"}, "taken_at: 'yesterday'"),
        ({"taken_at": "0001-01-01T00:00:00+14:00"}, "taken_at"),
        ({"version": 0}, "version: 0"),
        ({"version": 2**63}, "version: 9223372036854775808"),
    ],
)
def test_a_foreign_json_is_reported_beside_its_photo(ingest, folder, sidecar, fault):
    write(folder / "b/a.jpg", jpeg())
    write(folder / "b/a.json", sidecar)
    report = ingest.index_folder(folder)

    assert counts(report) == (1, 0, 0, 0, 0)
    assert list(faults(report)) == ["b/a.json"]
    assert fault in faults(report)["b/a.json"]
    assert ingest.index.get("photos", "b/a.jpg").caption_is_generated


def test_the_valid_fields_of_a_sidecar_are_used(ingest, folder):
    write(folder / "a.jpg", jpeg())
    fields = {"title": 5, "caption": "kept", "tags": ["", "tram", 7], "attributes": {"iso": 100, "lens": "35 mm"}}
    write(folder / "a.json", fields)
    report = ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert (found.title, found.caption, dict(found.attributes)) == ("", "kept", {"lens": "35 mm"})
    assert [tag.label for tag in found.tags if tag.kind == "user"] == ["tram"]
    assert faults(report)["a.json"] == (
        "title: 5 is not a text; tags.0: 0 characters; allowed: 1 to 128; tags.2: 7 is not a text; and 1 more"
    )


def test_sidecars_that_cannot_be_read_are_reported(ingest, folder):
    for name in "abc":
        write(folder / f"{name}.jpg", jpeg())
    (folder / "a.xmp").symlink_to("a.xmp")
    (folder / "b.json").symlink_to("nowhere")
    os.mkfifo(folder / "c.jpg.xmp")
    report = ingest.index_folder(folder)

    assert counts(report) == (3, 0, 0, 0, 0)
    assert {path: reason.split(":")[0] for path, reason in faults(report).items()} == dict.fromkeys(
        ["a.xmp", "b.json", "c.jpg.xmp"], "it can't be read"
    )
    assert counts(ingest.index_folder(folder)) == (0, 3, 0, 0, 0)


def test_reported_sidecars_beyond_the_first_thousand_follow(ingest, folder):
    for number in range(1_002):
        (folder / f"{number:04}.jpg").touch()
        (folder / f"{number:04}.json").touch()
    messages = ingest.stream(folder)
    more = [message.more_failed.sidecars for message in messages if message.HasField("more_failed")]

    assert (len(messages[-1].report.sidecars), messages[-1].report.sidecars_total) == (1_000, 1_002)
    assert [one.path for part in more for one in part] == ["1000.json", "1001.json"]


def test_each_field_comes_from_the_most_trusted_source(ingest, folder):
    """Ours, then XMP sidecars, then Takeout, then the file itself."""
    write(folder / "a.jpg", jpeg())
    sources = {
        "a.json": {"title": "Ours"},
        "a.jpg.xmp": packet("<dc:title>XMP</dc:title><dc:description>First XMP</dc:description>"),
        "a.xmp": packet("<dc:description>Second XMP</dc:description><xmp:Rating>5</xmp:Rating>"),
        "a.jpg.json": TAKEOUT | {"title": "A title"},
    }
    for name, data in sources.items():
        write(folder / name, data)
    report = ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert (counts(report), faults(report)) == ((1, 0, 0, 0, 0), {})
    assert (found.title, found.caption) == ("Ours", "First XMP")
    assert dict(found.attributes) == {"rating": "5", "favourite": "true", "taken_from": "takeout"}
    assert [tag.label for tag in found.tags if tag.kind == "user"] == ["Ana", "Rui"]
    assert found.place is not None
    assert found.taken_at is not None
    assert (found.place.latitude, found.taken_at.instant.isoformat()) == (38.72, "2024-05-01T10:00:00+00:00")


@pytest.mark.parametrize(
    ("photo", "sidecar", "fields"),
    [
        ("a.jpg", "a.XMP", xmp("found")),
        ("a.jpg", "a.json", TAKEOUT | {"description": "found"}),
        ("Cafe\u0301.jpg", "Caf\u00e9.json", {"caption": "found"}),
        ("Caf\u00e9.jpg", "Cafe\u0301.jpg.xmp", xmp("found")),
        ("a(1).jpg", "a.jpg(1).json", TAKEOUT | {"description": "found"}),
        ("a-edited.jpg", "a.jpg.supplemental-metada.json", TAKEOUT | {"description": "found"}),
    ],
)
def test_a_sidecar_is_found_by_its_name(ingest, folder, photo, sidecar, fields):
    write(folder / photo, jpeg())
    write(folder / sidecar, fields)

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert ingest.index.get("photos", photo).caption == "found"


def test_orphans_are_ignored_and_counted(ingest, folder):
    write(folder / "a.jpg", jpeg())
    for name in ("gone.json", "a.mov.xmp", "metadata.json", "gone.jpg.supplemental-metadata.json"):
        write(folder / name, b"{")
    report = ingest.index_folder(folder)

    assert (counts(report), faults(report)) == ((1, 0, 0, 4, 0), {})


@pytest.mark.parametrize(
    "fields",
    [
        {"photoTakenTime": {"timestamp": "soon"}},
        {"photoTakenTime": "1714557600"},
        {"photoTakenTime": {"timestamp": "9" * 30}},
        {"geoData": {"latitude": 91.0, "longitude": 0.0}},
        {"geoData": [38.72, -9.14]},
        {"people": [{"uri": "x"}]},
        {"favorited": "yes"},
        {"description": ["x"]},
    ],
)
def test_fields_of_takeout_stand_alone(ingest, folder, fields):
    write(folder / "a.jpg", jpeg())
    write(folder / "a.jpg.json", TAKEOUT | fields)
    report = ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert (counts(report), list(faults(report))) == ((1, 0, 0, 0, 0), ["a.jpg.json"])
    assert faults(report)["a.jpg.json"].startswith(f"{next(iter(fields))}: ")
    kept = {
        "photoTakenTime": found.taken_at,
        "geoData": found.place,
        "people": [tag for tag in found.tags if tag.kind == "user"],
        "favorited": found.attributes.get("favourite"),
        "description": not found.caption_is_generated,
    }
    assert {name: bool(value) for name, value in kept.items()} == {name: name not in fields for name in kept}


def test_unknown_takeout_times_and_places_stay_empty(ingest, folder):
    write(folder / "a.jpg", jpeg())
    nowhere = {"latitude": 0.0, "longitude": 0.0}
    write(folder / "a.jpg.json", TAKEOUT | {"photoTakenTime": {"timestamp": "0"}, "geoData": nowhere, "geoDataExif": nowhere})
    report = ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert (found.taken_at, found.place, faults(report)) == (None, None, {})


def test_an_xmp_file_without_xmp_is_reported(ingest, folder):
    write(folder / "a.jpg", jpeg())
    write(folder / "a.xmp", b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + xmp("&a;"))

    assert faults(ingest.index_folder(folder)) == {"a.xmp": "xmp can't be read"}
    assert ingest.index.get("photos", "a.jpg").caption_is_generated


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.json", lambda words: json.dumps({"caption": words}).encode()),
        ("a.xmp", xmp),
        ("a.jpg.json", lambda words: json.dumps(TAKEOUT | {"description": words}).encode()),
    ],
)
def test_each_change_of_a_sidecar_makes_a_version(ingest, folder, name, make):
    write(folder / "a.jpg", jpeg())
    ingest.index_folder(folder)
    sidecar = write(folder / name, make("one"))
    ingest.index_folder(folder)
    write(sidecar, make("two"))
    ingest.index_folder(folder)
    assert (ingest.index.get("photos", "a.jpg").caption, ingest.photos()) == ("two", {"a.jpg": 3})
    sidecar.unlink()

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert ingest.index.get("photos", "a.jpg").caption_is_generated
    assert ingest.photos() == {"a.jpg": 4}


def test_a_sidecars_own_version_must_increase(ingest, folder):
    write(folder / "a.jpg", jpeg())
    sidecar = write(folder / "a.json", {"version": 10, "caption": "ten"})
    ingest.index_folder(folder)
    write(sidecar, {"version": 9, "caption": "nine"}, seconds_ago=5)

    assert counts(ingest.index_folder(folder)) == (0, 1, 0, 0, 0)
    assert (ingest.index.get("photos", "a.jpg").caption, ingest.photos()) == ("ten", {"a.jpg": 10})
    write(sidecar, {"version": 20, "caption": "twenty"}, seconds_ago=3)
    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert (ingest.index.get("photos", "a.jpg").caption, ingest.photos()) == ("twenty", {"a.jpg": 20})


def test_a_sidecar_that_is_touched_changes_nothing(ingest, folder):
    write(folder / "a.jpg", jpeg())
    sidecar = write(folder / "a.xmp", xmp("one"))
    ingest.index_folder(folder)
    before = next(ingest.index.origins("photos")).origin
    sidecar.touch()
    os.utime(sidecar, (10**9, 10**9))

    assert counts(ingest.index_folder(folder)) == (0, 1, 0, 0, 0)
    after = next(ingest.index.origins("photos")).origin
    assert before is not None
    assert after is not None
    assert (before.sidecars_state != after.sidecars_state, before.sidecars_sha256) == (True, after.sidecars_sha256)
    assert ingest.photos() == {"a.jpg": 1}
