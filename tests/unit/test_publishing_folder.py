"""The versions under which photos of a folder are published: what changed is newer, and a sidecar may count them itself."""

import json
import os
from pathlib import Path

from miradouro.core.event import PhotoEvent
from miradouro.ingest.publishing import events_of_folder

from tests.pictures import jpeg

YEAR_2001_NS = 10**18


def published(folder: Path) -> PhotoEvent:
    [event] = events_of_folder(folder, "photos")
    assert isinstance(event, PhotoEvent)
    return event


def test_a_sidecar_that_counts_versions_begins_at_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    versions = []
    for version in (1, 2):
        (tmp_path / "a.json").write_text(json.dumps({"version": version}))
        versions.append(published(tmp_path).version)
    assert versions == [1, 2]


def test_without_a_count_the_last_change_in_ms_counts_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "a.json").write_text(json.dumps({"title": "Lisboa"}))
    os.utime(tmp_path / "a.json", ns=(4 * YEAR_2001_NS, 4 * YEAR_2001_NS))
    first = published(tmp_path)
    assert (first.version, first.title) == (4 * YEAR_2001_NS // 1_000_000, "Lisboa")
    assert published(tmp_path) == first


def test_a_photo_that_is_replaced_by_an_older_file_is_newer(tmp_path: Path) -> None:
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
