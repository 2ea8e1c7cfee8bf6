"""The photo store of a process: dispatches by scheme to the stores that its settings allow."""

import threading
from collections.abc import Sequence
from pathlib import Path

from miradouro.adapters.photo_store.allowed import (
    OBJECTS,
    SCHEMES,
    WEB,
    PhotoLocation,
    allowed_prefixes,
    named,
    private_networks,
    sources,
)
from miradouro.adapters.photo_store.fetch_limits import FETCH_LIMITS, FetchLimits
from miradouro.adapters.photo_store.file_store import FileStore
from miradouro.adapters.photo_store.settings import PhotoStoreSettings
from miradouro.core.errors import InvalidArgument
from miradouro.core.ports import PhotoStore


class PhotoStores:
    """PhotoStore over files, https, http, s3 and gs, limited to the sources in `settings`.

    The store of a scheme is opened with its first photo: most commands need none.
    """

    def __init__(self, settings: PhotoStoreSettings, *, limits: FetchLimits = FETCH_LIMITS) -> None:
        kept_in = settings.inline_store
        self._settings, self._limits = settings, limits
        self._files = FileStore(settings.photo_root_folders, kept_in=Path(kept_in) if kept_in.startswith("/") else None)
        self._keeper = sources(kept_in)[0] if kept_in and not kept_in.startswith("/") else None
        self._sources = (*sources(settings.photo_sources), *([self._keeper] if self._keeper else []))
        self._opening = threading.Lock()
        self._opened: dict[str, PhotoStore] = {}

    def open(self) -> None:
        """Opens the stores of all configured schemes, so that a service fails at its start. Raises ConfigurationError."""
        for source in self._sources:
            self._of(source.scheme)

    def below(self, roots: Sequence[Path]) -> PhotoStore:
        """The same store with additional root folders."""
        return _Below(self, FileStore([*self._files.roots, *roots]))

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The bytes at `uri`; see `core.ports.PhotoStore`."""
        scheme = scheme_of(uri)
        if scheme not in SCHEMES:
            return self._files.read(uri, limit_bytes=limit_bytes)
        if not any(source.scheme == scheme for source in self._sources):
            prefixes = allowed_prefixes(self._sources)
            raise InvalidArgument("uri", f"{named(uri)} is not below an allowed prefix; allowed: {prefixes}")
        return self._of(scheme).read(uri, limit_bytes=limit_bytes)

    def keep(self, data: bytes, *, sha256: str) -> str:
        """Writes inline bytes to MIRADOURO_INLINE_STORE; see `core.ports.PhotoStore`."""
        store = self._of(self._keeper.scheme) if self._keeper else self._files
        return store.keep(data, sha256=sha256)

    def _of(self, scheme: str) -> PhotoStore:
        """The store of a scheme, opened once. Raises ConfigurationError (a missing package, a wrong CA file)."""
        with self._opening:
            if scheme not in self._opened:
                if scheme in WEB:
                    self._opened |= dict.fromkeys(WEB, _web(self._settings, self._sources, self._limits))
                else:
                    self._opened[scheme] = _objects(scheme, self._settings, self._sources, self._keeper, self._limits)
            return self._opened[scheme]


class _Below:
    """A store with more root folders than the one behind it."""

    def __init__(self, behind: PhotoStores, files: FileStore) -> None:
        self._behind, self._files = behind, files

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        chosen: PhotoStore = self._behind if scheme_of(uri) in SCHEMES else self._files
        return chosen.read(uri, limit_bytes=limit_bytes)

    def keep(self, data: bytes, *, sha256: str) -> str:
        return self._behind.keep(data, sha256=sha256)


def scheme_of(uri: str) -> str:
    """The scheme of a URI: the text before the first colon, in lower case."""
    return uri.partition(":")[0].lower()


def _web(settings: PhotoStoreSettings, allowed: Sequence[PhotoLocation], limits: FetchLimits) -> PhotoStore:
    from miradouro.adapters.photo_store.http_store import HttpStore  # lazy: most processes fetch no photo

    return HttpStore(
        allowed,
        private=private_networks(settings.photo_private_hosts),
        ca_file=settings.photo_ca_file,
        limits=limits,
    )


def _objects(
    scheme: str, settings: PhotoStoreSettings, allowed: Sequence[PhotoLocation], keeper: PhotoLocation | None, limits: FetchLimits
) -> PhotoStore:
    from miradouro.adapters.photo_store.object_store import ObjectStore  # lazy: most processes fetch no photo

    assert scheme in OBJECTS
    return ObjectStore(
        scheme,
        allowed,
        endpoint=settings.s3_endpoint if scheme == "s3" else "",
        kept_in=keeper,
        limits=limits,
    )
