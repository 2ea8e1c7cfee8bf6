"""Names that are ignored by default: files that cameras, NAS, photo programs and downloads keep beside photos.

`docs/ignored-files.md` lists them in a table. Case is ignored, as on many of the file systems that the names come from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class IgnoreCode(StrEnum):
    """Why a file or folder is ignored, for programs."""

    HIDDEN = "hidden"
    THUMBNAIL = "thumbnail"
    TRASH = "trash"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    PARTIAL = "partial"
    CATALOGUE = "catalogue"
    SYSTEM = "system"
    RAW_FILE = "raw_file"
    SIDECAR = "sidecar"
    NOT_A_PHOTO = "not_a_photo"
    NO_MEDIA = "no_media"
    IGNORE_FILE = "ignore_file"
    IGNORE_OPTION = "ignore_option"
    LINK_LOOP = "link_loop"
    DATA_FOLDER = "data_folder"


@dataclass(frozen=True)
class IgnoreReason:
    """Why a file or folder is ignored: the code for programs, and a clause for people."""

    code: IgnoreCode
    text: str


def _rule(code: IgnoreCode, text: str, *names: str) -> dict[str, IgnoreReason]:
    return dict.fromkeys(names, IgnoreReason(code, text))


HIDDEN = IgnoreReason(IgnoreCode.HIDDEN, "its name begins with a dot")

FOLDERS = {
    **_rule(IgnoreCode.THUMBNAIL, "thumbnails of a Synology NAS", "@eadir"),
    **_rule(IgnoreCode.THUMBNAIL, "thumbnails of a camera's films", "thmbnl"),
    **_rule(IgnoreCode.TRASH, "the trash of a NAS", "#recycle", "@recycle"),
    **_rule(IgnoreCode.TRASH, "the trash of Windows", "$recycle.bin", "recycler"),
    **_rule(IgnoreCode.TRASH, "the trash of Nextcloud", "files_trashbin"),
    **_rule(IgnoreCode.SNAPSHOT, "snapshots of a NAS", "#snapshot", "@recently-snapshot"),
    **_rule(IgnoreCode.SNAPSHOT, "earlier versions kept by Nextcloud", "files_versions"),
    **_rule(IgnoreCode.SYSTEM, "a folder of the operating system", "system volume information", "lost+found", "__macosx"),
    **_rule(IgnoreCode.SYSTEM, "a temporary folder of a Synology NAS", "@tmp"),
}
FOLDER_ENDINGS = {
    **_rule(IgnoreCode.THUMBNAIL, "previews of Lightroom", ".lrdata"),
    **_rule(IgnoreCode.CATALOGUE, "the catalogue of Lightroom", ".lrcat-data"),
    **_rule(IgnoreCode.PARTIAL, "a download that is not finished", ".download"),
}
FOLDER_BEGINNINGS = {**_rule(IgnoreCode.THUMBNAIL, "previews of Nextcloud", "appdata_oc")}

LIBRARIES = (".photoslibrary", ".photolibrary")  # Apple Photos, iPhoto
FOLDERS_OF_LIBRARIES = {
    **_rule(IgnoreCode.THUMBNAIL, "derivatives that Apple Photos makes of its originals", "resources", "previews", "thumbnails"),
    **_rule(IgnoreCode.CATALOGUE, "the catalogue of Apple Photos", "database", "internal", "private"),
    **_rule(IgnoreCode.THUMBNAIL, "derivatives that iPhoto makes of its originals", "data", "data.noindex", "ipod photo cache"),
}

FILE_ENDINGS = {
    **_rule(IgnoreCode.BACKUP, "the backup that ExifTool keeps of a file it changed", "_original"),
    **_rule(IgnoreCode.BACKUP, "the backup of a file", "~", ".bak"),
    **_rule(IgnoreCode.THUMBNAIL, "the thumbnail of a camera's film", ".thm"),
    **_rule(IgnoreCode.PARTIAL, "a download that is not finished", ".part", ".partial", ".crdownload", ".download"),
    **_rule(IgnoreCode.PARTIAL, "a download that is not finished", ".opdownload", ".filepart", ".aria2", ".!ut", ".!qb", ".bc!"),
    **_rule(IgnoreCode.PARTIAL, "a temporary file", ".tmp", ".temp", ".!sync"),
}

_FOLDER_ENDINGS, _FOLDER_BEGINNINGS = tuple(FOLDER_ENDINGS), tuple(FOLDER_BEGINNINGS)
_FILE_ENDINGS = tuple(FILE_ENDINGS)


def ignored_by_name(name: str, *, is_folder: bool, parent: str = "") -> IgnoreReason | None:
    """Why a file or folder of this name is ignored by default, None where it is not; `parent` is the name of its folder."""
    if name.startswith("."):
        return HIDDEN
    name = name.lower()
    if not is_folder:
        return _first(FILE_ENDINGS, name.endswith) if name.endswith(_FILE_ENDINGS) else None
    if name.endswith(_FOLDER_ENDINGS):
        return _first(FOLDER_ENDINGS, name.endswith)
    if name.startswith(_FOLDER_BEGINNINGS):
        return _first(FOLDER_BEGINNINGS, name.startswith)
    if name in FOLDERS_OF_LIBRARIES and parent.lower().endswith(LIBRARIES):
        return FOLDERS_OF_LIBRARIES[name]
    return FOLDERS.get(name)


def _first(rules: dict[str, IgnoreReason], applies: Callable[[str], bool]) -> IgnoreReason:
    return next(reason for part, reason in rules.items() if applies(part))
