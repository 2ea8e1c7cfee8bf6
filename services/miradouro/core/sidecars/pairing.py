"""Pairs the photos of a folder with their sidecars, by their names alone.

| photo | sidecars |
|---|---|
| `a.jpg` | `a.json`; `a.jpg.xmp`, `a.xmp`; `a.jpg.json`, `a.jpg.supplemental-metadata.json` and its cut forms |
| `a(1).jpg` | also `a.jpg(1).json`, `a.jpg.supplemental-metadata(1).json` |
| `a-edited.jpg` | also the Takeout files of `a.jpg` |

`STEM.json` and `STEM.xmp` belong to every photo of their stem, as in digiKam, also when a raw file has that stem.
Names are compared in Unicode form NFC, because macOS writes NFD; a sidecar in the photo's own form comes first.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

_JSON, _XMP = ".json", ".xmp"
# Google Takeout cuts a JSON file's name, without `.json`, to 46 characters; other exports have been seen with 51.
_SHORTEST_CUT, _LONGEST_CUT = 46, 51
_SUPPLEMENT = "supplemental-metadata"
_COUNTED = re.compile(r"(.+)(\(\d{1,6}\))", re.DOTALL)
# Suffixes that Google Photos adds to the name of an edited photo, in the language of the account.
_EDITED = (
    *("-edited", "-effects", "-smile", "-mix", "-bearbeitet", "-modifié", "-modificato", "-editado", "-editada", "-ha editado"),
    *(
        "-editat",
        "-bewerkt",
        "-edytowane",
        "-redigerad",
        "-redigeret",
        "-redigert",
        "-muokattu",
        "-upraveno",
        "-編集済み",
        "-수정됨",
    ),
)


class Role(StrEnum):
    """The kind of a sidecar, by its name."""

    STEM_JSON = "stem-json"  # ours, or Takeout's under a shortened name: its keys decide
    XMP = "xmp"
    TAKEOUT = "takeout"


class SidecarName(NamedTuple):
    """The name of a sidecar, and its role."""

    name: str
    role: Role


def is_sidecar_name(name: str) -> bool:
    """Whether a file of this name may be a sidecar; hidden ones are not."""
    return name[-5:].lower().endswith((_JSON, _XMP)) and not name.startswith(".")


def role_of(name: str) -> Role:
    """The role of a sidecar that a person names."""
    return Role.XMP if name.lower().endswith(_XMP) else Role.STEM_JSON


class SidecarNames:
    """The sidecars of one folder; `names` are those of its files that pass `is_sidecar_name`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._files: dict[str, list[str]] = {}  # name in NFC, its extension in lower case → names as they are
        self._takeout: dict[tuple[str, str], str] = {}  # photo, counter → name
        self._cut: dict[tuple[str, str], str] = {}  # beginning of a photo's name, counter → name
        for name in sorted(self._names):
            body, extension = os.path.splitext(_nfc(name))
            self._files.setdefault(body + extension.lower(), []).append(name)
            if extension.lower() == _JSON:
                self._add_takeout(body, name)

    def of(self, photo: str) -> tuple[SidecarName, ...]:
        """The sidecars of the photo whose file has the name `photo`, the most trusted first."""
        if not self._files or photo in self._names:
            return ()
        stem = os.path.splitext(photo)[0]
        roles: dict[str, Role] = {}
        for body, extension, role in ((stem, _JSON, Role.STEM_JSON), (photo, _XMP, Role.XMP), (stem, _XMP, Role.XMP)):
            if name := self._exact(body, extension):
                roles.setdefault(name, role)
        if name := self._takeout_of(_nfc(photo)):
            roles.setdefault(name, Role.TAKEOUT)
        return tuple(SidecarName(name, role) for name, role in roles.items())

    def _exact(self, body: str, extension: str) -> str | None:
        """The file of this name; of several the one in the same Unicode form, then the one with its extension in lower case."""
        names = self._files.get(_nfc(body) + extension, ())
        if len(names) == 1:
            return names[0]
        return min(names, key=lambda name: (not name.startswith(body), not name.endswith(extension)), default=None)

    def _add_takeout(self, body: str, name: str) -> None:
        plain, counter = _counted(body)
        for photo, number in ((body, ""), (plain, counter)) if counter else ((body, ""),):
            if len(photo) >= _SHORTEST_CUT:
                self._cut.setdefault((photo, number), name)
            head, _, tail = photo.rpartition(".")
            if head and _SUPPLEMENT.startswith(tail):
                self._takeout.setdefault((head, number), name)
            if head:  # the plain name comes before one with a supplement
                self._takeout[photo, number] = name

    def _takeout_of(self, photo: str) -> str | None:
        if not self._takeout and not self._cut:
            return None
        stem, extension = os.path.splitext(photo)
        plain, counter = _counted(stem)
        candidates = [(photo, "")] + ([(plain + extension, counter)] if counter else [])
        for suffix in _EDITED if plain.endswith(_EDITED) else ():
            if plain.endswith(suffix):
                original = plain.removesuffix(suffix)
                candidates += [(f"{original}{counter}{extension}", "")] if counter else []
                candidates.append((original + extension, counter))
        return next(filter(None, (self._takeout.get(one) or self._cut_of(*one) for one in candidates)), None)

    def _cut_of(self, photo: str, counter: str) -> str | None:
        if not self._cut:
            return None
        lengths = range(min(_LONGEST_CUT, len(photo)), _SHORTEST_CUT - 1, -1)
        return next((name for length in lengths if (name := self._cut.get((photo[:length], counter)))), None)


def _counted(body: str) -> tuple[str, str]:
    """`a(1)` as `a` and `(1)`."""
    found = _COUNTED.fullmatch(body) if body.endswith(")") else None
    return (found[1], found[2]) if found else (body, "")


def _nfc(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
