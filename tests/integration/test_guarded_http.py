"""What guards the HTTP door: tokens, certificates, and the names by which it is called."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.query.http_door import check_http_address
from miradouro.runtime.security import ServerSecurity, server_security
from miradouro.runtime.settings import HttpSettings

from tests.certificates import Pair, self_signed, settings, signed, swap, token, write_secret
from tests.http_fixture import TIMEOUT_S, Door, open_door


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "token", f"{token()}\n{token()}\n")


@pytest.fixture
def door(tmp_path: Path, tokens: Path) -> Iterator[Door]:
    with open_door(tmp_path / "ingest", security=server_security(settings(tokens=tokens))) as opened:
        yield opened


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_without_a_token_every_route_is_401(door: Door, tokens: Path) -> None:
    first = tokens.read_text().split()[0]
    for path in ("/", "/v1/stats", "/openapi.json", "/page/page.js", "/photos/photos/a.jpg", "/nowhere"):
        for shown in ({}, {"Authorization": f"Bearer {first[:-1]}"}, {"Authorization": basic("ana", token())}):
            refused = door.get(path, **shown)
            assert refused.code == 401
            assert refused.error["status"] == "UNAUTHENTICATED"
            assert refused.headers.get_all("WWW-Authenticate") == [
                'Basic realm="miradouro", charset="UTF-8"',
                'Bearer realm="miradouro"',
            ]
            assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
    refused = door.ask("POST", "/v1/search/photo", b"x" * 2_000_000)
    assert refused.code == 401, "refused before the body is read"
    assert door.registry.get_sample_value("miradouro_http_refused_callers_total") == 19


def test_a_token_is_accepted_as_bearer_or_password(door: Door, tokens: Path) -> None:
    first, second = tokens.read_text().split()
    for authorization in (f"Bearer {first}", f"Bearer {second}", basic("ana", first), basic("", second)):
        assert door.get("/", Authorization=authorization).code == 200
        assert door.get("/v1/stats", Authorization=authorization).json["collections"] == []
    swap(tokens, second)
    assert door.get("/v1/stats", Authorization=f"Bearer {first}").code == 401
    assert door.get("/v1/stats", Authorization=f"Bearer {second}").code == 200


def test_a_token_does_not_admit_other_sites(door: Door, tokens: Path) -> None:
    shown = {"Authorization": f"Bearer {tokens.read_text().split()[0]}"}
    assert door.get("/v1/stats", Host="photos.example.org", **shown).code == 421
    question = json.dumps({"keyword": {"words": ["cat"]}})
    headers = {"Content-Type": "application/json", "Origin": "https://evil.example", **shown}
    assert door.ask("POST", "/v1/search", question, headers=headers).code == 403


def test_the_server_answers_only_for_its_configured_names(tmp_path: Path) -> None:
    names = HttpSettings(http_hosts="photos.example.org, Search.example.org:8443")
    with open_door(tmp_path, http_settings=names) as door:
        own = urlsplit(door.http.url).netloc
        for host in ("photos.example.org", "photos.example.org:7351", "PHOTOS.example.org", "search.example.org:8443", own):
            assert door.get("/v1/stats", Host=host).code == 200
        for host in ("search.example.org", "search.example.org:1", "example.org", "photos.example.org.evil.example", "", "[::1"):
            assert door.get("/v1/stats", Host=host).code == 421
        question = json.dumps({"keyword": {"words": ["cat"]}})

        def ask(origin: str, host: str) -> int:
            headers = {"Content-Type": "application/json", "Origin": origin, "Host": host}
            return door.ask("POST", "/v1/search", question, headers=headers).code

        found = 404  # there is no collection yet
        assert ask("https://photos.example.org", "photos.example.org") == found, "behind a proxy that speaks TLS"
        assert ask("https://photos.example.org:8080", "photos.example.org:8080") == found
        assert ask(f"http://{own}", own) == found
        assert ask("https://photos.example.org:666", "photos.example.org") == 403
        assert ask("ftp://photos.example.org", "photos.example.org") == 403
        assert ask("null", "photos.example.org") == 403


def test_a_public_address_needs_tls_token_and_names(tmp_path: Path, tokens: Path) -> None:
    whole = server_security(settings(server=self_signed(tmp_path, "it"), tokens=tokens))
    named = HttpSettings(http_hosts="photos.example.org")
    check_http_address("0.0.0.0:7351", setting="--http", http=named, security=whole)
    for security, http_settings, message in (
        (ServerSecurity(), named, "MIRADOURO_TLS_CERT_FILE, MIRADOURO_TLS_KEY_FILE, MIRADOURO_TOKEN_FILE"),
        (ServerSecurity(tokens=whole.tokens), named, "set MIRADOURO_TLS_CERT_FILE, MIRADOURO_TLS_KEY_FILE, or"),
        (ServerSecurity(certificates=whole.certificates), named, "set MIRADOURO_TOKEN_FILE, or"),
        (whole, HttpSettings(), "MIRADOURO_HTTP_HOSTS is not set"),
    ):
        with pytest.raises(ConfigurationError, match=f"^--http='0.0.0.0:7351'.*{message}"):
            check_http_address("0.0.0.0:7351", setting="--http", http=http_settings, security=security)


def over_tls(door: Door, authority: Pair, shown: str, *, client: Pair | None = None) -> int:
    """The code of an answer over a new connection that trusts `authority`."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    address = urlsplit(door.http.url)
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/v1/stats", headers={"Authorization": f"Bearer {shown}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_new_certificate_is_served_to_new_connections(tmp_path: Path, tokens: Path) -> None:
    old, new = self_signed(tmp_path, "old"), self_signed(tmp_path, "new")
    used = Pair(tmp_path / "used.crt", tmp_path / "used.key")
    swap(used.certificate, old.certificate.read_bytes())
    swap(used.key, old.key.read_bytes())
    shown = tokens.read_text().split()[0]
    with open_door(tmp_path / "ingest", security=server_security(settings(server=used, tokens=tokens))) as door:
        assert door.http.url.startswith("https://127.0.0.1:")
        assert over_tls(door, old, shown) == 200
        assert over_tls(door, old, token()) == 401
        with pytest.raises(http.client.HTTPException):
            door.get("/v1/stats")  # plain
        swap(used.certificate, new.certificate.read_bytes())
        swap(used.key, new.key.read_bytes())
        assert over_tls(door, new, shown) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            over_tls(door, old, shown)


def test_a_client_certificate_is_required_if_configured(tmp_path: Path, tokens: Path) -> None:
    authority, stranger = self_signed(tmp_path, "authority"), self_signed(tmp_path, "stranger")
    mine = settings(server=signed(tmp_path, "server", authority), client_ca=authority.certificate, tokens=tokens)
    shown = tokens.read_text().split()[0]
    with open_door(tmp_path / "ingest", security=server_security(mine)) as door:
        assert over_tls(door, authority, shown, client=signed(tmp_path, "client", authority)) == 200
        for client in (None, stranger):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                over_tls(door, authority, shown, client=client)
