"""The versions under which photos of a folder are published: what changed is newer, and a sidecar may count them itself."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from miradouro.core.document import TakenAt
from miradouro.core.event import PhotoEvent
from miradouro.ingest.publishing import events_of_folder

from tests.metadata_blocks import packet
from tests.pictures import jpeg
from tests.reading import READER

YEAR_2001_NS = 10**18


def published(folder: Path) -> PhotoEvent:
    [event] = events_of_folder(folder, "photos", reader=READER)
    assert isinstance(event, PhotoEvent)
    return event


def test_a_sidecar_that_counts_versions_begins_at_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    versions = []
    for version in (1, 2):
        (tmp_path / "a.json").write_text(json.dumps({"version": version}))
        versions.append(published(tmp_path).version)
    assert versions == [1, 2]


def test_the_change_time_counts_without_a_count(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "a.json").write_text(json.dumps({"title": "Lisboa"}))
    os.utime(tmp_path / "a.json", ns=(4 * YEAR_2001_NS, 4 * YEAR_2001_NS))
    first = published(tmp_path)
    assert (first.version, first.title) == (4 * YEAR_2001_NS // 1_000_000, "Lisboa")
    assert published(tmp_path) == first


def test_a_photo_replaced_by_older_content_is_newer(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(seed=1))
    before = published(tmp_path).version
    other = tmp_path / "other"
    other.write_bytes(jpeg(seed=2))
    os.utime(other, ns=(YEAR_2001_NS, YEAR_2001_NS))
    while published_at(other) <= before:  # a millisecond has to pass
        os.utime(other, ns=(YEAR_2001_NS, YEAR_2001_NS))
    other.replace(tmp_path / "a.jpg")
    assert published(tmp_path).version > before


def published_at(path: Path) -> int:
    return path.stat().st_ctime_ns // 1_000_000


def test_foreign_metadata_is_published_with_the_event(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "a.json").write_text(json.dumps({"title": "Ours", "tags": 5}))
    (tmp_path / "a.xmp").write_bytes(packet("<dc:title>XMP</dc:title><dc:description>Trams</dc:description>"))
    (tmp_path / "a.jpg.json").write_text(json.dumps({"photoTakenTime": {"timestamp": "1714557600"}, "favorited": True}))
    event = published(tmp_path)
    assert (event.title, event.caption, event.taken_at) == ("Ours", "Trams", TakenAt(datetime(2024, 5, 1, 10, tzinfo=UTC), 0))
    assert event.attributes == {"favourite": "true", "taken_from": "takeout"}
    assert event.beside is not None
    assert [fault.path for fault in event.beside.faults] == ["a.json"]
