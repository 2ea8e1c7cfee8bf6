"""The server's certificate and key from files, for gRPC and HTTP, reloaded when the files change.

New connections use the current files; open connections keep their certificate.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.swapped_files import SwappedFiles

CERT_FILE, KEY_FILE, CLIENT_CA_FILE = "MIRADOURO_TLS_CERT_FILE", "MIRADOURO_TLS_KEY_FILE", "MIRADOURO_TLS_CLIENT_CA_FILE"


@dataclass(frozen=True)
class _Read:
    grpc: grpc.ServerCertificateConfiguration
    http: ssl.SSLContext


class ServerCertificates:
    """A certificate with its chain and its key, PEM. With `client_ca` clients need a certificate signed by it (mTLS).

    Raises ConfigurationError that names the setting of an unusable file.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._asks_clients = client_ca is not None
        files = [certificate, key, *([client_ca] if client_ca else [])]
        self._files = SwappedFiles(files, lambda: _read(certificate, key, client_ca))

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a port of a gRPC server."""
        return grpc.dynamic_ssl_server_credentials(
            self._files.current().grpc, lambda: self._files.current().grpc, require_client_authentication=self._asks_clients
        )

    def http_context(self) -> ssl.SSLContext:
        """For an HTTP server; each handshake takes the certificate of its moment."""

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self._files.current().http

        context = self._files.current().http
        context.sni_callback = choose
        return context


def _read(certificate: Path, key: Path, client_ca: Path | None) -> _Read:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    chain, private = read_pem(certificate, CERT_FILE), read_pem(key, KEY_FILE)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # a password is never asked for on a terminal
    except (ssl.SSLError, OSError) as exc:
        raise ConfigurationError(
            f"{CERT_FILE}={str(certificate)!r} and {KEY_FILE}={str(key)!r}: no certificate with its own key, in PEM and without "
            f"a password ({_reason(exc)})"
        ) from exc
    authorities = None
    if client_ca is not None:
        authorities = read_authorities(client_ca, CLIENT_CA_FILE)
        context.load_verify_locations(cadata=authorities.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
    return _Read(grpc.ssl_server_certificate_configuration([(private, chain)], root_certificates=authorities), context)


def read_pem(path: Path, setting: str) -> bytes:
    """The bytes of a file. Raises ConfigurationError naming `setting`."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{setting}={str(path)!r}: {exc.strerror}; name a PEM file") from exc


def read_authorities(path: Path, setting: str) -> bytes:
    """The PEM bytes of one or more certificates of authorities. Raises ConfigurationError naming `setting`."""
    pem = read_pem(path, setting)
    try:
        ssl.create_default_context(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigurationError(f"{setting}={str(path)!r}: no certificates in PEM ({_reason(exc)})") from exc
    return pem


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc)
