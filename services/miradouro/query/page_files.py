"""The static files of the HTTP door: the page and the OpenAPI description."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_PLACES = {
    "/": ("page/index.html", "text/html; charset=utf-8"),
    "/page/page.css": ("page/page.css", "text/css; charset=utf-8"),
    "/page/page.js": ("page/page.js", "text/javascript; charset=utf-8"),
    "/page/door.js": ("page/door.js", "text/javascript; charset=utf-8"),
    "/page/question.js": ("page/question.js", "text/javascript; charset=utf-8"),
    "/page/view.js": ("page/view.js", "text/javascript; charset=utf-8"),
    "/page/icon.svg": ("page/icon.svg", "image/svg+xml"),
    "/openapi.json": ("openapi.json", "application/json"),
}


@dataclass(frozen=True)
class StaticFile:
    """A file, its media type, and a mark (ETag) that changes with its content."""

    data: bytes
    media_type: str
    mark: str


def static_files() -> Mapping[str, StaticFile]:
    """Reads the files; the result maps path to file."""
    found = {}
    for path, (name, media_type) in _PLACES.items():
        data = files("miradouro.query").joinpath(name).read_bytes()
        found[path] = StaticFile(data, media_type, hashlib.sha256(data).hexdigest())
    return found
