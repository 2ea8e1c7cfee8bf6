"""Writes thumbnails of the photo to a folder or an fsspec file system, not into the index."""

from pathlib import Path
from typing import Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import Field

from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError, Internal, is_shortage
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.redaction import public_error, public_uri
from miradouro.core.thumbnail import MAX_KEPT_BYTES, thumbnail_name
from miradouro.processors.plugin import Context, ProcessorOptions, need
from miradouro.runtime.bounded_folder import BoundedFolder
from miradouro.runtime.whole_file import write_whole


class ThumbnailOptions(ProcessorOptions):
    """Options of `thumbnail`."""

    sizes: list[int] = Field([320], min_length=1, max_length=8, description="Longest sides in pixels, 16 to 4,096 each.")
    format: Literal["jpeg", "webp", "png"] = Field("jpeg", description="Format; the page takes jpeg alone.")
    folder: str = Field(
        "",
        description="Folder, or a URL that fsspec knows; empty: where the page looks, `thumbnails` in the data folder, which "
        "keeps 1 GiB of them, those that were used last.",
    )


class Thumbnail:
    """Writes the missing thumbnails of each size, named by the photo's SHA-256. Does not change the photo.

    Raises BadPhoto, and Internal when a thumbnail cannot be written.
    """

    Options = ThumbnailOptions

    def __init__(self, options: ThumbnailOptions, context: Context) -> None:
        if wrong := [size for size in options.sizes if not 16 <= size <= 4_096]:
            raise ConfigurationError(f"processor thumbnail, option sizes: {wrong[0]}; allowed: 16 to 4,096")
        self._options, self._context, self._is_rehearsal = options, context, context.is_rehearsal
        place = options.folder or (str(context.thumbnails) if context.thumbnails else "")
        is_named = bool(options.folder) or context.thumbnails is None
        self._bounded = None if is_named else BoundedFolder(Path(place), most_bytes=MAX_KEPT_BYTES)
        if not place and not self._is_rehearsal:
            raise ConfigurationError("processor thumbnail, option folder: there is no data folder here; name one")
        self._files, self._folder = _opened(place or "memory://")

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The unchanged photo."""
        data = need(photo.data, "thumbnail", "the photo's bytes", "fetch")
        decoded = need(photo.decoded, "thumbnail", "the photo's size", "decode")
        digest = need(photo.sha256 or None, "thumbnail", "the photo's sha256", "fingerprint")
        for size in self._options.sizes:
            name = thumbnail_name(digest, size, file_format=self._options.format)
            if not self._is_rehearsal and self._is_there(f"{self._folder}/{name}"):
                continue
            made = self._context.reader.thumbnail(
                data,
                width=decoded.width,
                height=decoded.height,
                longest_side=size,
                limits=self._context.limits,
                file_format=self._options.format,
                priority=self._context.priority,
                key=photo.key,
            )
            if not self._is_rehearsal:
                self._write(name, made)
        return photo

    def _is_there(self, path: str) -> bool:
        try:
            return bool(self._files.size(path))  # an empty file, left by a crash, is written again
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise _unwritable(path, exc) from exc

    def _write(self, name: str, data: bytes) -> None:
        """Writes the file atomically; remote file systems guarantee that themselves."""
        path = f"{self._folder}/{name}"
        try:
            if self._bounded is not None:
                self._bounded.write(name, data)
                return
            if not isinstance(self._files, LocalFileSystem):
                self._files.pipe_file(path, data)
                return
            write_whole(Path(path), data)
        except OSError as exc:
            raise _unwritable(path, exc) from exc


def _opened(place: str) -> tuple[Any, str]:
    """The file system and the folder in it. Raises ConfigurationError."""
    try:
        files, folder = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as exc:
        raise ConfigurationError(
            f"processor thumbnail, option folder={shown(public_uri(place))}: {public_error(exc, place)}"
        ) from exc
    return files, str(folder).rstrip("/")


def _unwritable(path: str, error: OSError) -> Exception:
    if is_shortage(error):
        return error
    return Internal(
        f"thumbnail {path} can't be written: {error.strerror or error}; mend the folder and retry, or let the step ignore_failure"
    )
