"""Certificates and tokens for a test, made by the openssl command of the README."""

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from miradouro.runtime.security import SecuritySettings

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=DNS:localhost,DNS:photos.example.org,IP:127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


def self_signed(folder: Path, name: str) -> Pair:
    """A certificate of this machine that is its own authority."""
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    made = ("-keyout", pair.key, "-out", pair.certificate)
    _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-addext", _NAMES, *made)
    return pair


def signed(folder: Path, name: str, authority: Pair) -> Pair:
    """A certificate that `authority` signed, good for servers and clients."""
    pair, request = Pair(folder / f"{name}.crt", folder / f"{name}.key"), folder / f"{name}.csr"
    _openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-addext", _NAMES, "-keyout", pair.key, "-out", request)
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-days", "2",
        "-copy_extensions", "copy", "-out", pair.certificate,
    )  # fmt: skip
    return pair


def token() -> str:
    """A new token."""
    return secrets.token_hex(32)


def write_secret(path: Path, content: str) -> Path:
    """Writes a file that its owner alone may read, as a file of tokens has to be."""
    path.touch(0o600)
    path.write_text(content)
    return path


def swap(path: Path, content: str | bytes) -> None:
    """Puts another file in the place of `path`, at once, as mounted secrets are swapped."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(0o600)
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(draft, path)


def settings(
    *, server: Pair | None = None, client_ca: Path | None = None, ca: Path | None = None, tokens: Path | None = None
) -> SecuritySettings:
    """Settings that name these files, and nothing from the environment."""
    return SecuritySettings(
        tls_cert_file=str(server.certificate) if server else "",
        tls_key_file=str(server.key) if server else "",
        tls_client_ca_file=str(client_ca or ""),
        tls_ca_file=str(ca or ""),
        token_file=str(tokens or ""),
    )


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
