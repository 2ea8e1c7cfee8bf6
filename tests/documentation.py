"""The documentation as tests read it: README, CONTRIBUTING and every page of `docs/`, by headings and by blocks."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {path: path.read_text(encoding="utf-8") for path in _FILES}
TEXT = "\n".join(PAGES.values())
_MARKED = re.compile(r"^<!-- test: (\w+) -->\n```\w+\n(.*?)^```", re.M | re.S)
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def section(title: str) -> str:
    """The text under a heading of the first or second level: that of a page is the whole page."""
    [found] = [text for page in PAGES.values() if (text := _section(page, title)) is not None]
    return found


def _section(page: str, title: str) -> str | None:
    # Comments in examples begin as headings do.
    plain = _FENCE.sub(lambda fence: "." * len(fence[0]), page)
    heading = re.search(rf"^(#{{1,2}}) {re.escape(title)}\n", plain, re.M)
    if heading is None:
        return None
    following = re.compile(rf"^#{{1,{len(heading[1])}}} ", re.M).search(plain, heading.end())
    return page[heading.end() : following.start() if following else len(page)]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row but the heads."""
    lines = text.splitlines()
    heads = {i - 1 for i, line in enumerate(lines) if line.startswith("|---")}
    bodies = [line for i, line in enumerate(lines) if line.startswith("| ") and i not in heads]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in bodies]


def blocks(language: str, text: str = TEXT) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def marked(name: str, text: str = TEXT) -> list[str]:
    """The fenced blocks behind the lines `<!-- test: NAME -->`, in the order of the pages: the test that reads them runs them."""
    return [body for found, body in _MARKED.findall(text) if found == name]


def pages_with(name: str) -> dict[str, str]:
    """The pages that hold such a block, by file name."""
    return {path.name: text for path, text in PAGES.items() if marked(name, text)}


def commands(text: str = TEXT) -> list[list[str]]:
    """Every command line of the shell examples, as words without its comment."""
    return [words for block in blocks("sh", text) for line in block.splitlines() if (words := shlex.split(line, comments=True))]
