"""What is ignored: raw files, what programs keep beside photos, and what people name in ignore files."""

import os
import re
import struct
from pathlib import Path

import pytest
from miradouro.core.errors import InvalidArgument

from tests.photo_folder import counts, reasons, write
from tests.pictures import blocks, encode, jpeg

BY_DEFAULT = (
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "trip/@EADIR/b.jpg",
    "#recycle/old.jpg",
    "#snapshot/GMT-2025/a.jpg",
    "@Recycle/a.jpg",
    "$RECYCLE.BIN/a.jpg",
    "x.photoslibrary/resources/derivatives/A/A_1_105_c.jpeg",
    "x.photolibrary/Thumbnails/2012/a.jpg",
    "Cat Previews.lrdata/p.jpg",
    "appdata_oc1a2b3c/preview/64.jpg",
    "__MACOSX/a.jpg",
    ".thumbnails/a.jpg",
    "a.jpg_original",
    "a.jpg~",
    "a.jpg.bak",
    "GOPR1.THM",
    "b.jpg.part",
    "c.jpg.crdownload",
    "d.jpg.tmp",
    ".syncthing.e.jpg.tmp",
    "~syncthing~f.jpg.tmp",
    "._a.jpg",
)
TAKEN = (
    "x.photoslibrary/originals/A/A.jpeg",
    "resources/a.jpg",
    "Lisbon_original/a.jpg",
    "eaDir/a.jpg",
    "tmp/a.jpg",
    "PICTUR~1.JPG",
    "part",
)


def tiff(*entries: tuple[int, int], order: str = "<") -> bytes:
    """A TIFF without pixels: tags with one LONG each; SubIFDs lead to a directory of a colour filter array."""
    entries = tuple(sorted((tag, 8 + 2 + 12 * len(entries) + 4 if tag == 330 else value) for tag, value in entries))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)

    def directory(of: tuple[tuple[int, int], ...]) -> bytes:
        listed = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in of)
        return struct.pack(order + "H", len(of)) + listed + bytes(4)

    return head + directory(entries) + directory(((262, 32803),))


RAW = {
    "a.NEF": tiff(),
    "a.dng": tiff(order=">"),
    "a.cr2": b"II*\0\x10\0\0\0CR\x02\0",
    "a.CR3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
    "a.raf": b"FUJIFILMCCD-RAW 0201",
    "a.orf": b"IIRO\x08\0\0\0",
    "a.rw2": b"IIU\0\x18\0\0\0",
    "a.arw": b"",
    "no name of a raw file": b"IIRS\x08\0\0\0",
    "canon.tif": b"II*\0\x10\0\0\0CR\x02\0",
    "mosaic.tif": tiff((262, 32803)),
    "linear.tif": tiff((262, 34892), order=">"),
    "dng.tiff": tiff((262, 2), (50706, 1)),
    "preview first.tif": tiff((262, 2), (330, 0)),
    "preview first": tiff((262, 2), (330, 0), order=">"),
}
NOT_RAW = {"scan.tif": encode(blocks(30, 30), "TIFF"), "claims.tif": tiff((262, 2)), "text.tif": b"words"}


def test_files_of_other_programs_are_ignored(ingest, folder):
    for name in BY_DEFAULT + TAKEN:
        write(folder / name, jpeg())
    report = ingest.index_folder(folder)

    assert set(ingest.photos()) == set(TAKEN)
    assert not report.failed


def test_only_real_raw_files_are_ignored(ingest, folder):
    for name, data in (RAW | NOT_RAW).items():
        write(folder / name, data)
    write(folder / "really a jpeg.nef", jpeg())
    report = ingest.index_folder(folder)

    assert set(ingest.photos()) == {"really a jpeg.nef"}
    assert set(reasons(report)) == set(NOT_RAW)
    assert report.ignored == len(RAW)


def test_raw_files_are_not_read_whole(ingest, folder):
    size = 2_000_000
    for number in range(10):
        write(folder / f"{number}.nef", tiff() + bytes(size))
    write(folder / "mosaic.tif", tiff((330, 0)) + bytes(size))
    before = _bytes_read()
    assert ingest.index_folder(folder).ignored == 11
    assert _bytes_read() - before < size


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])


def test_ignore_files_work_as_those_of_git(ingest, folder):
    rules = {
        "": "# photos of others\r\n/others\n*.png\n!keep.png\nscreens/*\n!screens/trip/\nwith space.jpg\\ \n",
        "2024": "/draft.jpg\n!b.png\n[a-c]?.jpg\n**/tmp/\nraw/**/x.jpg\n",
        "only jpg": "*\n!*/\n!*.jpg\n",
    }
    ignored = {
        "others/a.jpg", "a.png", "2023/a.png", "screens/a.jpg", "screens/old/a.jpg", "with space.jpg ", "screens/trip/x.png",
        "2024/draft.jpg", "2024/a1.jpg", "2024/deep/b2.jpg", "2024/x/tmp/a.jpg", "2024/raw/x.jpg", "2024/raw/y/z/x.jpg",
        "only jpg/deep/a.webp",
    }  # fmt: skip
    taken = {
        "a.jpg", "keep.png", "2023/others/a.jpg", "screens/trip/a.jpg", "2024/b.png", "2024/deep/draft.jpg", "2024/d1.jpg",
        "2024/tmp", "2024/x.jpg", "only jpg/deep/a.jpg",
    }  # fmt: skip
    for name in ignored | taken:
        write(folder / name, jpeg())
    for where, text in rules.items():
        write(folder / where / ".miradouroignore", text.encode())
    report = ingest.index_folder(folder)

    assert set(ingest.photos()) == taken
    assert not report.failed


def test_rules_match_any_form_and_any_byte(ingest, folder):
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    ignored = {f"{decomposed}/a.jpg", f"{composed}.png", "two\nlines.gif.jpg", "ends so.jpg\n"}
    for name in ignored | {"Cafe/a.jpg"}:
        write(folder / name, jpeg())
    latin = Path(os.fsdecode(os.fsencode(folder) + b"/latin \xe9.jpg"))
    write(latin, jpeg())
    text = f"/{composed}/\n{decomposed}.png\n*.gif.*\nends*.jpg?\n".encode() + b"latin \xe9.jpg\n"
    write(folder / ".miradouroignore", b"\xef\xbb\xbf" + text)
    ingest.index_folder(folder)

    assert set(ingest.photos()) == {"Cafe/a.jpg"}


def test_a_rule_can_readmit_files_ignored_by_default(ingest, folder):
    write(folder / "@eaDir/a.jpg", jpeg())
    write(folder / "b.jpg_original", jpeg())
    write(folder / ".hidden.jpg", jpeg())
    write(folder / "private/.nomedia", b"")
    write(folder / "private/c.jpg", jpeg())
    ingest.index_folder(folder)
    assert ingest.photos() == {}
    write(folder / ".miradouroignore", b"!@eaDir/\n!*_original\n!.*\n!private/\n")
    ingest.index_folder(folder)

    assert set(ingest.photos()) == {"@eaDir/a.jpg", "b.jpg_original", "private/c.jpg"}


def test_a_newly_ignored_photo_and_failure_are_deleted(ingest, folder):
    for name in ("a.jpg", "b.jpg", "trip/c.jpg", "trip/d.jpg"):
        write(folder / name, jpeg())
    write(folder / "trip/bad.jpg", b"bad")
    ingest.index_folder(folder)
    assert set(ingest.failures()) == {"trip/bad.jpg"}
    write(folder / "trip/.nomedia", b"")

    assert counts(ingest.index_folder(folder)) == (0, 2, 2, 0, 0)
    assert ingest.failures() == {}
    (folder / "trip/.nomedia").unlink()
    assert counts(ingest.index_folder(folder)) == (2, 2, 0, 0, 1)


def test_an_unusable_ignore_file_leaves_its_folder_unchanged(ingest, folder):
    for name in ("a.jpg", "trip/b.jpg"):
        write(folder / name, jpeg())
    ingest.index_folder(folder)
    rules = write(folder / "trip/.miradouroignore", b"*.png\n*a*a*a*a*\n")
    write(folder / "trip/new.jpg", jpeg())
    report = ingest.index_folder(folder)

    assert set(ingest.photos()) == {"a.jpg", "trip/b.jpg"}
    assert "line 2" in reasons(report)["trip/"]
    rules.unlink()
    os.mkfifo(rules)
    assert "regular file" in reasons(ingest.index_folder(folder))["trip/"]
    write(folder / ".miradouroignore", b"!\n")
    with pytest.raises(InvalidArgument, match="line 1"):
        ingest.index_folder(folder)


def test_a_rule_that_ignores_most_photos_needs_prune(ingest, folder):
    for name in "abc":
        write(folder / f"{name}.jpg", jpeg())
    ingest.index_folder(folder)
    write(folder / ".miradouroignore", b"# jpeg\n*.jpg\n")

    report = ingest.index_folder(folder)
    assert report.withheld == 3
    assert re.search(r"3 of the 3 photos .* ignored now .*line 2.*--prune", report.withheld_reason)
    assert len(ingest.photos()) == 3
    assert ingest.index_folder(folder, prune=True).deleted == 3


def test_a_failed_photo_stays_while_deletions_are_withheld(ingest, folder):
    for name in ("a.jpg", "b.jpg"):
        write(folder / name, jpeg())
    ingest.index_folder(folder)
    write(folder / "a.jpg", b"bad", seconds_ago=5)
    ingest.index_folder(folder)
    write(folder / ".miradouroignore", b"*.jpg")

    assert ingest.index_folder(folder).withheld == 2
    assert set(ingest.photos()) == {"a.jpg", "b.jpg"}
    assert ingest.index_folder(folder, prune=True).deleted == 2
    assert ingest.failures() == {}
