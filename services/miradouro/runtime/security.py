"""Certificates and tokens from the settings, for servers and clients."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from pydantic import Field

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import NO_TOKEN, Address, guarded_address, is_loopback_target
from miradouro.runtime.call import Caller
from miradouro.runtime.certificates import CERT_FILE, KEY_FILE, ServerCertificates, read_authorities, read_pem
from miradouro.runtime.settings import Settings, load
from miradouro.runtime.tokens import TOKEN_FILE, Tokens, token_in

CA_FILE = "MIRADOURO_TLS_CA_FILE"


class SecuritySettings(Settings):
    """Files of certificates and tokens, for servers and clients alike."""

    tls_cert_file: str = Field(
        "", description="PEM file of the server's certificate and chain; a client shows it to a server that asks (mTLS)."
    )
    tls_key_file: str = Field("", description="PEM file of that certificate's key, without a password.")
    tls_client_ca_file: str = Field(
        "", description="PEM file of the authorities that signed clients' certificates; when set, clients must show one (mTLS)."
    )
    tls_ca_file: str = Field(
        "", description="PEM file of the authorities that signed our servers' certificates; when set, clients speak TLS."
    )
    token_file: str = Field(
        "",
        description="File of bearer tokens, one a line, read again when it changes: servers take each, clients send the first.",
    )


@dataclass(frozen=True)
class ServerSecurity:
    """The protection of a server; None for each part that is not set.

    `tokens` are those of MIRADOURO_TOKEN_FILE, `owner` is that of the data folder. Calls without one of them are accepted only
    when the server is `open_to_all`.
    """

    certificates: ServerCertificates | None = None
    tokens: Tokens | None = None
    owner: Tokens | None = None
    open_to_all: bool = False

    @property
    def missing(self) -> Sequence[str]:
        """The settings that a door beyond loopback would need and that are not set."""
        absent = [] if self.certificates else [CERT_FILE, KEY_FILE]
        return absent if self.tokens else [*absent, TOKEN_FILE]

    def address(self, listen: str, *, setting: str) -> Address:
        """`listen` (host:port) for a door that this guards; errors call it `setting`.

        Raises ConfigurationError: it is malformed, it reaches beyond loopback while a setting is missing or with a door that is
        open to all, or it is on loopback and every user of the machine could call.
        """
        address = guarded_address(listen, setting=setting, missing=self.missing)
        if self.open_to_all and not address.is_loopback:
            raise ConfigurationError(
                f"{setting}={listen!r} reaches beyond this machine, where {NO_TOKEN} would let everybody in; leave it out"
            )
        if not (self.open_to_all or self.tokens or self.owner):
            raise ConfigurationError(
                f"{setting}={listen!r}: every user of this machine could call; name a file of tokens in {TOKEN_FILE}, "
                f"or say {NO_TOKEN}"
            )
        return address

    def identify(self, authorization: str, *, peer: str) -> Caller | None:
        """The caller at the IP address `peer` that sends this Authorization header, empty for none; None: refuse the call."""
        shown = token_in(authorization)
        for tokens in (self.owner, self.tokens):
            if shown and tokens and (token_id := tokens.find(shown)):
                return Caller(peer, token_id, is_owner=tokens is self.owner)
        return Caller(peer, "", is_owner=False) if self.open_to_all else None


OPEN_TO_ALL = ServerSecurity(open_to_all=True)


@dataclass(frozen=True)
class ClientSecurity:
    """The credentials of a client; None for each that is not set."""

    credentials: grpc.ChannelCredentials | None = None
    tokens: Tokens | None = None

    def check(self, target: str) -> None:
        """Raises ConfigurationError when the token would be sent unencrypted to `target` (host:port) on another machine."""
        if self.tokens and self.credentials is None and not is_loopback_target(target):
            raise ConfigurationError(
                f"{CA_FILE} is not set, so the token would go to {target} in clear; "
                "name the authority that signed its certificate"
            )


def server_security(settings: SecuritySettings | None = None, *, open_to_all: bool = False) -> ServerSecurity:
    """What the settings (those of the environment) say. Raises ConfigurationError naming the setting that is wrong."""
    settings = settings or load(SecuritySettings)
    certificates = None
    if pair := _pair(settings):
        certificates = ServerCertificates(*pair, Path(settings.tls_client_ca_file) if settings.tls_client_ca_file else None)
    elif settings.tls_client_ca_file:
        raise ConfigurationError(f"MIRADOURO_TLS_CLIENT_CA_FILE asks clients for TLS, and {CERT_FILE} is not set: set it")
    return ServerSecurity(certificates, _tokens(settings), open_to_all=open_to_all)


def client_security(settings: SecuritySettings | None = None, *, tokens: Tokens | None = None) -> ClientSecurity:
    """What the settings (those of the environment) say; `tokens` take the place of theirs.

    Raises ConfigurationError naming the setting that is wrong.

    Certificates are read once: a client that runs on while they are replaced has to be started again before the old ones end.
    """
    settings = settings or load(SecuritySettings)
    credentials = None
    if settings.tls_ca_file:
        certificate, key = None, None
        if pair := _pair(settings):
            certificate, key = read_pem(pair[0], CERT_FILE), read_pem(pair[1], KEY_FILE)
        authorities = read_authorities(Path(settings.tls_ca_file), CA_FILE)
        credentials = grpc.ssl_channel_credentials(authorities, private_key=key, certificate_chain=certificate)
    return ClientSecurity(credentials, tokens or _tokens(settings))


def _pair(settings: SecuritySettings) -> tuple[Path, Path] | None:
    if bool(settings.tls_cert_file) != bool(settings.tls_key_file):
        there, absent = (CERT_FILE, KEY_FILE) if settings.tls_cert_file else (KEY_FILE, CERT_FILE)
        raise ConfigurationError(f"{there} is set and {absent} is not: set both, or neither")
    return (Path(settings.tls_cert_file), Path(settings.tls_key_file)) if settings.tls_cert_file else None


def _tokens(settings: SecuritySettings) -> Tokens | None:
    return Tokens(Path(settings.token_file)) if settings.token_file else None
