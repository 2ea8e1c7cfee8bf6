"""Texts that cameras and programs write into titles and captions by themselves: patterns of whole texts, in any case."""

import re

_MAX_CHARS = 2_048  # longer texts count as a person's
_CHARSET = re.compile(r'charset="?\w+"? ?')  # an encoding as the command line of exiv2 takes it, left in the text
_MAKERS = (
    r"(?:agfa(?:photo)?|aiptek|apple|asus|benq|canon|casio|concord|dji|epson|fuji(?:film)?|ge|general imaging|genius|google|gopro"
    r"|hewlett-packard|hp|htc|huawei|insta360|jenoptik|jvc|kodak|konica|konica minolta|kyocera|leica|lg|medion|microsoft|minolta"
    r"|moto(?:rola)?|nikon|nokia|olympus|oneplus|oppo|panasonic|pentax|philips|polaroid|praktica|realme|ricoh|rollei|samsung|sanyo"
    r"|sharp|sigma|sony|toshiba|traveler|vivitar|vivo|xiaomi|yashica)"
)
_PROGRAMS = (
    r"(?:acdsee|adobe|apple|canva|capture one|corel|darktable|faceapp|ffmpeg|flameshot|gimp|google|greenshot|imagemagick|inkscape"
    r"|instagram|irfanview|jpeg-?(?:mini|recompress|optimizer)|krita|lightroom|luminar|matplotlib|microsoft|mozjpeg|nero|paint(?:shop|\.net)"
    r"|photoscape|photoshop|picasa|picsart|rawtherapee|snagit|snapseed|tinypng|ulead|vsco)"
)
_COUNTED = r"(?:_?img|_?mg|_?dscn?|dscf|dsc|pict|imag|cimg|sany|gopr|gh\d\d|g\d{3}|dji|mvi|mov|pxl|p\d|sam|kic|hpim|stp|l)"
_PATTERNS = (
    # A camera's own name for its pictures.
    rf"(?:{_MAKERS} )?(?:dsc|digital(?: still)? camera)",
    r"(?-i:(?!(?:MY|NEW|OLD|A|THE|OUR|HIS|HER) )[A-Z0-9&.-]+ DIGITAL(?: STILL)? CAMERA)",
    rf"{_MAKERS} (?:camera|mobile|phone) (?:pictures?|images?|photos?)",
    rf"{_MAKERS} (?:corporation|corp\.?|co\.?,? ?ltd\.?|electronics|electric co\.?,? ?ltd\.?|imaging corp\.?|company)",
    r"fujifilm|minolta|nikon|olympus|panasonic|samsung|sony",  # other makers' names are words, too: Apple, Sharp
    r"(?:hp|hewlett-packard(?: company)?) (?:photosmart|pstc).*",
    r"<(?:kenox|digimax|samsung)[^>]*>",
    # Where the camera stored it.
    r"dcim[\\/]\S*",
    r"[a-z]:\\.+\.\w{3,4}",
    r"\d{3}[a-z0-9_]{5}[\\/]\S+",
    rf"{_COUNTED}[-_]?\d{{3,}}(?:[-_]\d+)*(?:\.\w{{3,4}})?",
    # A phone's state of its camera.
    r"\{ ?\".*\}",
    r"(?:[\w-]+(?: [\w-]+)?: ?[^:;]*; ?){3,}(?:[\w-]+(?: [\w-]+)?: ?[^:;]*)?",
    r"oplus_\d+",
    r"(?:oznor|znor)\w{0,4}|hdrp?l?|f?r?hdr|sdr(?:_hdr)?\w{0,3}|cof|dav|edf|mde|nfd|btf|bty|fbt|ptr|rpt\w{2}|bmd|hdrplus",
    # A program's mark.
    r"exif[ _-]?jpeg(?:[ _-]?picture)?|jpeg(?: picture)?|jfif",
    r"screen ?shot|screen capture|screenshot \d+",
    r"(?:ascii|binary|unicode|user) ?comments?|type your comment here|invalidcharsetid.*",
    r"default|untitled|null|none|undefined|n/a|no (?:title|description|comment)|image ?description|applemark",
    r"(?:created|edited|generated|processed|compressed|optimi[sz]ed) (?:with|by|using|in) (?:the )?"
    rf"{_PROGRAMS}.*",
    r"file (?:written|source) (?:by )?(?:adobe|http).*",
    rf"creator: (?:gd-jpeg|xv).*|software: {_PROGRAMS}.*|lavc\d.*|lead technologies.*|intel\(r\) (?:jpeg|ipp).*",
    r"[\W_]*",
)
_NOT_HUMAN = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.IGNORECASE | re.DOTALL)


def human(text: str) -> str:
    """`text`, or "" when the whole of it was written by a camera or program by itself.

    `Screenshot` and `DCIM\\100GOPRO\\GOPR0001.JPG` give ""; `Screenshot of the contract` is a person's text.
    """
    text = _CHARSET.sub("", text, count=1) if _CHARSET.match(text) else text
    bare = " ".join(text[: _MAX_CHARS + 1].split())
    return "" if len(bare) <= _MAX_CHARS and _NOT_HUMAN.fullmatch(bare) else text
