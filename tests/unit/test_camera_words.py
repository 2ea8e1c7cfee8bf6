"""Words that cameras, phones and programs write unasked are no captions; a person's that look like them are."""

import pytest
from miradouro.core.metadata.camera_words import human

CAMERAS = [
    "OLYMPUS DIGITAL CAMERA         ",
    "SANYO DIGITAL CAMERA",
    "KONICA MINOLTA DIGITAL CAMERA",
    "ACME-X DIGITAL CAMERA",
    "KODAK Digital Still Camera",
    "Minolta DSC",
    "SONY DSC",
    "SAMSUNG CAMERA PICTURES",
    "Samsung",
    "NIKON CORPORATION",
    "<KENOX S760  / Samsung S760>",
    "<Digimax i5, Samsung #1>",
    "HP PhotoSmart C945 (V01.46)",
    "DCIM\\100GOPRO\\GOPR0042.JPG",
    "DCIM\\100MEDIA\\DJI_0001.JPG",
    "DCIM/101MEDIA/DJI_0001.JPG",
    "100MEDIA\\DJI_0001.JPG",
    "C:\\DOCUME~1\\me\\pictures\\P1010001.JPG",
    "DSC_0042.NEF",
    "IMG_1234",
    "P1010001",
    "Screenshot",
    "Exif_JPEG_PICTURE",
    "Exif JPEG",
    "charset=Ascii binary comment",
    'charset="InvalidCharsetId" binary comment',
    "binary comment",
    "User comments",
    "hdrpl",
    "rhdr",
    "oznorCOSR",
    "cof",
    "oplus_1056",
    '{"mirror":false,"sensor_type":"rear"}',
    "module: photo;\nhw-remosaic: false;\ntouch: (-1.0, -1.0);\nmodeInfo: ;\nsceneMode: 8;",
    "filter: 0; fileterIntensity: 0.0; filterMask: 0; captureOrientation: 0;",
    "Processed with VSCO with c1 preset",
    "Created with GIMP",
    "File written by Adobe Photoshop\xa8 5.2",
    "LEAD Technologies Inc. V1.01",
    "AppleMark\n",
    "default",
    "Untitled",
    "...",
    "- - -",
    "",
]
PEOPLE = [
    "Screenshot of the contract",
    "My OLYMPUS DIGITAL CAMERA",
    "MY DIGITAL CAMERA",
    "new digital camera",
    "A digital camera on a table",
    "Samsung and its engineers",
    "Canon in D",
    "Kodak moment",
    "Default of the bank",
    "Untitled No. 5",
    "Binary comment on society",
    "Norma",
    "Title",
    "Photo",
    "Apple",
    "Sharp",
    "Hdr of the bay",
    "Photo: Ana",
    "Photo: Ana; 2019",
    "Lisboa: Alfama; Porto: Ribeira",
    "Made with love",
    "Created by Ana",
    "Created with paint on canvas",
    "Creator: Ana",
    "Software: the hard parts",
    "IMG_1234 retouched",
    "DSC of my cousin",
    "1945",
    "Ana & João",
    "猫",
    "A",
]


@pytest.mark.parametrize("text", CAMERAS)
def test_words_of_cameras_are_dropped(text):
    assert human(text) == ""


@pytest.mark.parametrize("text", PEOPLE)
def test_words_of_people_are_kept(text):
    assert human(text) == text


def test_an_encoding_left_in_the_text_is_removed():
    assert human("charset=Ascii A tram on a hill") == "A tram on a hill"


@pytest.mark.parametrize(
    "text", ["a: b; " * 10_000, "(-1.0, " * 10_000, "x" * 100_000, "digital camera " * 10_000, "a: " * 2_000 + ";"]
)
def test_long_texts_are_judged_in_no_time(text):
    assert human(text) in {text, ""}
