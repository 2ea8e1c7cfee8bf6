"""Which files of a bucket are photos: as in a folder, but for ignore files."""

import uuid

import fsspec
from miradouro.adapters.location import Listed, Location

from tests.pictures import jpeg

RAW_TIFF = b"II*\0\x08\0\0\0\x01\0\x06\x01\x04\0\x01\0\0\0\x23\x80\0\0\0\0\0\0"  # it describes a colour filter array
FILES = {
    "a.jpg": b"x",
    "b.tif": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "named.nef": jpeg(),
    "plain": jpeg(),
    "empty.tif": b"",
}
IGNORED = {
    "@eaDir/a.jpg": b"x",
    "a.jpg_original": jpeg(),
    "c.nef": RAW_TIFF,
    "d.tif": RAW_TIFF,
    "e.cr3": b"\0\0\0\x18ftypcrx \0\0\0\x01",
    "notes.txt": b"words",
    "empty": b"",
}


def test_a_bucket_gives_photos_and_nothing_else():
    place = f"memory://{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    for name, data in (FILES | IGNORED).items():
        files.pipe_file(f"{place}/{name}", data)
    assert [one.photo_id for one in Location(place).photos() if isinstance(one, Listed)] == sorted(FILES)
