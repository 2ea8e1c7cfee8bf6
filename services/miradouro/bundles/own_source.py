"""Makes a file or an address that a person names the source of a manifest."""

import urllib.error
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pydantic import ValidationError

from miradouro.bundles.download import content_length, download
from miradouro.bundles.fetch import mirrored
from miradouro.bundles.package_index import locate_url
from miradouro.bundles.progress import default_progress
from miradouro.bundles.registry import sha256_of
from miradouro.bundles.sources import FileSource, UrlSource
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle, InvalidArgument, Unavailable


def source_of(file_or_url: str, folder: Path) -> tuple[Path, FileSource | UrlSource]:
    """The file, downloaded below `folder` if it is an address, and the source that names it with its sha256.

    Raises InvalidArgument (no https address), BadBundle (no such file), Unavailable (the server or the disk).
    """
    if "://" in file_or_url:
        return _downloaded(file_or_url, folder / "sources")
    path = Path(file_or_url)
    if not path.is_file():
        raise BadBundle(f"{path}: there is no such file; name an ONNX file, or its https address")
    return path, FileSource(kind="file", file=path.name, sha256=sha256_of(path))


def _downloaded(url: str, folder: Path) -> tuple[Path, UrlSource]:
    try:
        draft = UrlSource(kind="url", url=url, sha256="0" * 64, bytes=1)
    except ValidationError as exc:
        raise InvalidArgument("url", f"{shown(url)}: {exc.errors()[0]['msg'].removeprefix('Value error, ')}") from exc
    location = locate_url(mirrored(url))
    try:
        size = content_length(location)
    except (OSError, urllib.error.URLError) as exc:
        raise Unavailable(f"{url}: the server does not answer: {exc}; check the address, or download the file yourself") from exc
    if size <= 0:
        raise Unavailable(f"{url}: the server does not tell the size of the file; download it yourself and inspect the file")
    unchecked = folder / f"inspected-{PurePosixPath(urlsplit(url).path).name}"
    download(location, unchecked, sha256="", size_bytes=size, progress=default_progress())
    source = draft.model_copy(update={"sha256": sha256_of(unchecked), "bytes": unchecked.stat().st_size})
    path = folder / source.stored_as
    unchecked.replace(path)
    return path, source
