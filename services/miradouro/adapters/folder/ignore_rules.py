"""User-written ignore rules: `.miradouroignore` files and `--ignore` patterns, with gitignore's syntax and precedence."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from miradouro.adapters.folder.photo_id import path_of
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.ignored_names import IgnoreCode, IgnoreReason
from miradouro.runtime.regular_file import read_regular

IGNORE_FILE = ".miradouroignore"
MAX_IGNORE_FILE_BYTES = 65_536
MAX_PATTERNS = 1_000  # of one file, or of one run
MAX_PATTERN_CHARS = 1_024

# The library's regular expressions backtrack: each further wildcard multiplies the worst time by the length of a name.
# With these limits a name of 255 characters takes at most half a second. Typical names take microseconds.
MAX_STARS_IN_A_PART = 3
MAX_DOUBLE_STARS = 3
_ANY_FOLDER = GitIgnoreSpecPattern("*/").regex
_LINE_FEED = "\ue000"  # stands for a line feed, which `.` does not match and before which `$` matches at the end


@dataclass(frozen=True)
class _Level:
    """The patterns of one source. They apply to the paths that begin with `prefix`: "" or a folder's id."""

    prefix: str
    code: IgnoreCode
    source: str
    lines: Sequence[str]
    patterns: Sequence[tuple[int, "re.Pattern[str]"]]  # line numbers and their expressions, the last line first


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that apply in one folder.

    The sources are searched in this order: the patterns of the run, the folder's own ignore file, the ignore files of the folders
    above it. The first source with a matching line decides, by its last matching line. As in git, no rule includes a file of an
    ignored folder again. Patterns match any Unicode normalization form of a name and are case-sensitive.
    """

    patterns: tuple[_Level, ...] = ()
    files: tuple[_Level, ...] = ()

    def within(self, path: str, prefix: str) -> "IgnoreRules":
        """The rules of the folder at `path`, which has an ignore file. `prefix` is its id with a / at the end, "" for the root.

        Raises OSError, InvalidArgument (a line is not a pattern).
        """
        data = read_regular(path + "/" + IGNORE_FILE, MAX_IGNORE_FILE_BYTES + 1)
        name = prefix + IGNORE_FILE
        if len(data) > MAX_IGNORE_FILE_BYTES:
            raise InvalidArgument(shown(name), f"more than {MAX_IGNORE_FILE_BYTES:,} bytes; make it shorter")
        text = data.decode("utf-8-sig", "surrogateescape")
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        return replace(self, files=(_level(lines, prefix=prefix, code=IgnoreCode.IGNORE_FILE, source=name), *self.files))

    def decision(self, photo_id: str) -> IgnoreReason | Literal[False] | None:
        """Why a file or folder is ignored; False when a rule includes it, None when none matches. A folder's id ends with /."""
        if not self.patterns and not self.files:
            return None
        for level in (*self.patterns, *self.files):
            path = _normalized(path_of(photo_id[len(level.prefix) :]))
            last = next((number for number, pattern in level.patterns if _matches(pattern, path)), None)
            if last is None:
                continue
            line = level.lines[last]
            if line.startswith("!"):
                return False
            where = level.source if level.code is IgnoreCode.IGNORE_OPTION else f"{level.source}, line {last + 1}:"
            return IgnoreReason(level.code, f"{where} {shown(line.strip())}")
        return None


def rules_of_run(patterns: Iterable[str], *, field: str = "ignore") -> IgnoreRules:
    """The rules of a run, relative to its root. Raises InvalidArgument that names `field`."""
    lines = list(patterns)
    if not lines:
        return IgnoreRules()
    level = _level(lines, prefix="", code=IgnoreCode.IGNORE_OPTION, source="--ignore", field=field)
    return IgnoreRules(patterns=(level,))


def _level(lines: Sequence[str], *, prefix: str, code: IgnoreCode, source: str, field: str = "") -> _Level:
    if len(lines) > MAX_PATTERNS:
        raise InvalidArgument(shown(field or source), f"{len(lines):,} patterns; allowed: at most {MAX_PATTERNS:,}")
    patterns = [(number, _pattern(line, field or f"{shown(source)}, line {number + 1}")) for number, line in enumerate(lines)]
    used = [(number, pattern) for number, pattern in patterns if pattern is not None]
    return _Level(prefix, code, source, lines, used[::-1])


def _pattern(line: str, field: str) -> "re.Pattern[str] | None":
    """The regular expression of a line; None for a comment or an empty line.

    Raises InvalidArgument when the line is not a pattern, or when matching it could take too long.
    """
    if line.startswith("#"):
        return None
    if len(line) > MAX_PATTERN_CHARS:
        raise InvalidArgument(field, f"{len(line):,} characters; allowed: at most {MAX_PATTERN_CHARS:,}")
    parts = line.split("/")
    stars = max(len(re.findall(r"\*+", part)) for part in parts)
    if stars > MAX_STARS_IN_A_PART:
        raise InvalidArgument(field, f"{shown(line)} has {stars} * between two /; allowed: at most {MAX_STARS_IN_A_PART}")
    if parts.count("**") > MAX_DOUBLE_STARS:
        raise InvalidArgument(field, f"{shown(line)} has {parts.count('**')} **; allowed: at most {MAX_DOUBLE_STARS}")
    try:
        return GitIgnoreSpecPattern(_normalized(line)).regex
    except (GitIgnorePatternError, re.error) as exc:
        raise InvalidArgument(field, f"{shown(line)} is no pattern of gitignore; correct it or remove it") from exc


def _matches(pattern: "re.Pattern[str]", path: str) -> bool:
    """Whether the pattern matches the path itself and not only a folder above it. A folder's path ends with /.

    The library's expressions also match everything below a matched folder. The walk gets there only when another rule includes
    that folder again; git then does not apply the folder's rule to its contents. The one group of an expression captures the /
    behind the matched folder.
    """
    found = pattern.search(path)
    if found is None:
        return False
    if pattern == _ANY_FOLDER:
        return path.endswith("/")
    mark = found.end(1) if pattern.groups else -1
    if mark >= 0:
        return mark == len(path)
    return not path.endswith("/") or found.end() < len(path)  # a/** matches the contents of a/, not a/ itself


def _normalized(path: str) -> str:
    return unicodedata.normalize("NFC", path).replace("\n", _LINE_FEED)
