"""An independent reader agrees on what photos say. It is installed by tests/install-exiftool.sh; without it these tests fail."""

from dataclasses import replace
from pathlib import Path

import pytest
from miradouro.core.decode import decode
from miradouro.core.metadata import read_metadata, read_xmp_sidecar
from miradouro.core.metadata.texts import lines

from tests.exiftool import Reading, read_with_exiftool
from tests.metadata_agreement import disagreements
from tests.metadata_blocks import with_segments
from tests.metadata_files import FILES, XMP_SIDECARS
from tests.pictures import SQUASH, jpeg
from tests.unit.test_metadata_xmp import DEFECTS

# Where we differ on purpose. AVIF: not decoded yet; HEIC: exiftool gives the size of the coded picture, before it is cropped.
OTHER_SIZES = {"all.avif", "all.heic"}
# exiftool takes the tag of an item for a part of its text.
OTHER_WORDS = {"items that nobody ends"}
PLAIN = jpeg(64, 48)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reading]:
    """What exiftool reads from every file."""
    folder = tmp_path_factory.mktemp("photos")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return dict(zip(FILES, read_with_exiftool([folder / name for name in FILES]), strict=True))


@pytest.mark.parametrize("name", FILES)
def test_exiftool_agrees(readings, name):
    said = read_metadata(FILES[name])

    assert disagreements(said, readings[name]) == {}
    assert said.unread == ()


@pytest.mark.parametrize("name", [name for name in FILES if name not in OTHER_SIZES])
def test_exiftool_sees_the_same_size(readings, name):
    decoded = decode(FILES[name], [SQUASH])

    assert (decoded.width, decoded.height) == readings[name].size


def test_damaged_packets_yield_every_word_exiftool_reads(tmp_path: Path):
    files = []
    for number, packet in enumerate(DEFECTS.values()):
        files.append(tmp_path / f"{number}.jpg")
        files[-1].write_bytes(with_segments(PLAIN, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)))

    missed = {}
    for defect, file, reading in zip(DEFECTS, files, read_with_exiftool(files), strict=True):
        said = read_metadata(file.read_bytes())
        titles = {lines(title) for title in reading.titles}
        if defect not in OTHER_WORDS and not (titles <= {said.title, "Another"} and set(reading.tags) <= set(said.tags)):
            missed[defect] = (reading.titles, reading.tags)
    assert missed == {}


def test_exiftool_agrees_about_xmp_sidecars(tmp_path: Path):
    files = []
    for number, data in enumerate(XMP_SIDECARS):
        files.append(tmp_path / f"{number}.xmp")
        files[-1].write_bytes(data)

    for file, reading in zip(files, read_with_exiftool(files), strict=True):
        said = read_xmp_sidecar(file.read_bytes())
        assert disagreements(replace(said, taken_from=said.taken_from.removesuffix("-sidecar")), reading) == {}
        assert (said.unread, bool(said.title)) == ((), True)
