"""Finds the address of a wheel in the package index, through pip as the user configured it.

pip applies the configured mirrors, proxies and certificates; its report on a dry run names the file. `download` fetches the
file, because another process can't resume a download of pip.
"""

import ast
import netrc
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from packaging.utils import parse_wheel_filename
from pydantic import BaseModel, ValidationError

from miradouro.bundles.sources import WheelSource
from miradouro.core.errors import BadBundle, Unavailable

_PIP_TIMEOUT_S = 300


@dataclass(frozen=True)
class Location:
    """The address of a file, and how to reach it. `credentials` are user and password; `repr` leaves them out."""

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    proxy: str = field(default="", repr=False)
    ca_file: str = ""

    def tls(self) -> ssl.SSLContext:
        """A context that verifies, with pip's certificates or the system's."""
        return ssl.create_default_context(cafile=self.ca_file or None)


class _ArchiveInfo(BaseModel):
    hashes: Mapping[str, str] = {}


class _DownloadInfo(BaseModel):
    url: str
    archive_info: _ArchiveInfo = _ArchiveInfo()


class _Installation(BaseModel):
    download_info: _DownloadInfo


class _Report(BaseModel):
    install: tuple[_Installation, ...]


def locate(source: WheelSource) -> Location:
    """The address of the source's wheel in the index.

    Raises Unavailable when the index does not answer or has no such release, BadBundle when its wheel has another sha256 than
    the manifest.
    """
    requirement = f"{source.package}=={source.version}"
    options = ["--dry-run", "--no-deps", "--ignore-installed", "--ignore-requires-python", "--only-binary", ":all:"]
    answer = _pip("install", *options, *tag_options(source.wheel), "--quiet", "--report", "-", requirement)
    try:
        found = _Report.model_validate_json(answer).install[0].download_info
    except (ValidationError, IndexError) as exc:
        raise Unavailable(f"pip gave no readable report on {requirement}; the oldest pip that does is 23.0") from exc
    sha256 = found.archive_info.hashes.get("sha256", source.wheel_sha256)
    if sha256 != source.wheel_sha256:
        raise BadBundle(
            f"{requirement}: the package index offers a wheel with sha256 {sha256}, the manifest names {source.wheel_sha256}; "
            "check which index pip is configured to use"
        )
    return _reachable(found.url, _pip_configuration())


def locate_url(url: str) -> Location:
    """An address outside of the index, reached through the proxy and with the certificates that pip is configured to use."""
    configuration = _pip_configuration()
    host = urlsplit(url).hostname
    return Location(
        url=url,
        credentials=_from_netrc(host) if host else None,
        proxy=configuration.get("proxy", ""),
        ca_file=_certificates(configuration),
    )


def tag_options(wheel: str) -> list[str]:
    """Options with which pip selects this wheel on any machine: it is only read, so it need not fit this interpreter."""
    tags = parse_wheel_filename(wheel)[3]
    platforms = sorted({tag.platform for tag in tags} - {"any"})
    if not platforms:
        return []
    interpreter, abi = next((tag.interpreter, tag.abi) for tag in tags)
    python = ["--implementation", interpreter[:2], "--python-version", interpreter[2:], "--abi", abi]
    return [*python, *(word for platform in platforms for word in ("--platform", platform))]


def _reachable(url: str, configuration: Mapping[str, str]) -> Location:
    # pip leaves user and password out of its report, so they are looked up in pip's own sources.
    host = urlsplit(url).hostname
    addresses = [url, *configuration.get("index-url", "").split(), *configuration.get("extra-index-url", "").split()]
    credentials = None
    for parts in map(urlsplit, addresses):
        if parts.hostname == host and parts.username:
            credentials = (unquote(parts.username), unquote(parts.password or ""))
            break
    else:
        credentials = _from_netrc(host) if host else None
    bare = urlsplit(url)
    return Location(
        url=bare._replace(netloc=bare.netloc.rpartition("@")[2]).geturl(),
        credentials=credentials,
        proxy=configuration.get("proxy", ""),
        ca_file=_certificates(configuration),
    )


def _certificates(configuration: Mapping[str, str]) -> str:
    return configuration.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""


def _from_netrc(host: str) -> tuple[str, str] | None:
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):  # as in pip: a missing or unreadable file means no login
        return None
    return (entry[0], entry[2]) if entry else None


def _pip_configuration() -> dict[str, str]:
    """Option → value of pip's settings files and environment. `install` overrides `global`, the environment both."""
    rank = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in _pip("config", "list").splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in rank and rank[section] >= found.get(option, (0, ""))[0]:
            found[option] = (rank[section], str(ast.literal_eval(value)))
    return {option: value for option, (_, value) in found.items()}


def _pip(*arguments: str) -> str:
    environment = {
        **os.environ,
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_NO_INPUT": "1",
    }  # it installs nothing and prompts for nothing
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, arguments from the manifests that we ship
            [sys.executable, "-m", "pip", *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=_PIP_TIMEOUT_S,
            env=environment,
        )
    except subprocess.CalledProcessError as exc:
        reason = next(
            (line for line in reversed(exc.stderr.splitlines()) if line.startswith("ERROR: ")), exc.stderr.strip()[-500:]
        )
        raise Unavailable(f"the package index can't be asked: `pip {arguments[0]} … {arguments[-1]}` says {reason!r}") from exc
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"the package index did not answer `pip {arguments[0]}` within {_PIP_TIMEOUT_S} s") from exc
    return done.stdout
