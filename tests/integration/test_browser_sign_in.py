"""How a browser gets in: a link that works once, and a cookie that is good at this door alone."""

import base64
import json
from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from miradouro.runtime import browser_sessions
from miradouro.runtime.browser_sessions import BrowserSessions
from miradouro.runtime.security import ServerSecurity, server_security
from miradouro.standalone.owner_token import make_owner_token

from tests.certificates import self_signed, settings, token
from tests.http_fixture import Answer, Door, open_door
from tests.waiting import WAIT_S

QUESTION = json.dumps({"keyword": {"words": ["cat"]}})
NO_COLLECTION = 404  # the answer to QUESTION of a door that lets us in


@pytest.fixture
def owner(tmp_path: Path) -> ServerSecurity:
    return ServerSecurity(owner=make_owner_token(tmp_path / "data"))


@pytest.fixture
def sessions() -> BrowserSessions:
    return BrowserSessions()


@pytest.fixture
def door(tmp_path: Path, owner: ServerSecurity, sessions: BrowserSessions) -> Iterator[Door]:
    with open_door(tmp_path / "ingest", security=owner, sessions=sessions) as opened:
        yield opened


def cookie_of(answer: Answer) -> "Morsel[str]":
    """The one cookie that an answer sets."""
    [header] = answer.headers.get_all("Set-Cookie")
    [morsel] = SimpleCookie(header).values()
    return morsel


def sign_in(door: Door, sessions: BrowserSessions) -> str:
    """The Cookie header of a browser that opened a link."""
    morsel = cookie_of(door.get(f"/?key={sessions.new_key()}"))
    return f"{morsel.key}={morsel.value}"


def test_a_link_lets_a_browser_in_once(door: Door, sessions: BrowserSessions) -> None:
    key = sessions.new_key()
    assert door.ask("HEAD", f"/?key={key}").code == 401, "what previews a link does not use it up"
    first = door.get(f"/?key={key}")
    assert first.code == 200
    assert first.headers["Cache-Control"] == "no-store"
    assert 'http-equiv="refresh" content="0; url=/"' in first.body.decode()
    morsel = cookie_of(first)
    for path in ("/", "/page/page.js", "/v1/stats", "/openapi.json"):
        assert door.get(path, Cookie=f"other=1; {morsel.key}={morsel.value}").code == 200
    again = door.get(f"/?key={key}")
    assert (again.code, again.headers["Set-Cookie"]) == (401, None)
    assert "This link was used, or is too old." in again.body.decode()
    known = door.get(f"/?key={key}", Cookie=f"{morsel.key}={morsel.value}")
    assert (known.code, known.headers["Location"]) == (303, "/"), "who is in already goes on to the page"


def test_the_cookie_is_closed_to_scripts_and_sites(door: Door, owner: ServerSecurity, sessions: BrowserSessions) -> None:
    morsel = cookie_of(door.get(f"/?key={sessions.new_key()}"))
    assert morsel.key == f"miradouro-{urlsplit(door.http.url).port}"
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["domain"]) == (True, "strict", "/", "")
    assert not morsel["secure"]
    assert owner.owner is not None
    assert morsel.value != owner.owner.first
    for scheme in ("Bearer", "Basic"):
        shown = morsel.value if scheme == "Bearer" else base64.b64encode(f"a:{morsel.value}".encode()).decode()
        assert door.get("/v1/stats", Authorization=f"{scheme} {shown}").code == 401, "it is no token"


def test_under_tls_the_cookie_is_secure(tmp_path: Path, owner: ServerSecurity, sessions: BrowserSessions) -> None:
    import http.client
    import ssl

    pair = self_signed(tmp_path, "it")
    security = server_security(settings(server=pair))
    security = ServerSecurity(certificates=security.certificates, owner=owner.owner)
    with open_door(tmp_path / "ingest", security=security, sessions=sessions) as door:
        context = ssl.create_default_context(cafile=pair.certificate)
        connection = http.client.HTTPSConnection(urlsplit(door.http.url).netloc, context=context, timeout=WAIT_S)
        connection.request("GET", f"/?key={sessions.new_key()}")
        answer = connection.getresponse()
        assert "; Secure" in answer.headers["Set-Cookie"]
        connection.close()


def test_old_forged_and_foreign_credentials_are_refused(door: Door, sessions: BrowserSessions, monkeypatch) -> None:
    elsewhere = BrowserSessions()
    for key in (token(), elsewhere.new_key(), "x" * 4_000, "%ff", "💥".encode().hex()):
        assert door.get(f"/?key={key}").code == 401
    name = f"miradouro-{urlsplit(door.http.url).port}"
    stranger = elsewhere.redeem(elsewhere.new_key())
    for shown in (f"{name}={stranger}", f"{name}=", name, f"{name}={token()}", '"', ";;;=", f"{name}=\x00"):
        assert door.get("/v1/stats", Cookie=shown).code in {400, 401}
    monkeypatch.setattr(browser_sessions, "LINK_GOOD_FOR_S", -1.0)
    assert door.get(f"/?key={sessions.new_key()}").code == 401, "too old"
    monkeypatch.undo()
    monkeypatch.setattr(browser_sessions, "COOKIE_GOOD_FOR_S", -1)
    assert door.get("/v1/stats", Cookie=sign_in(door, sessions)).code == 401, "too old"


def test_a_cookie_works_only_for_our_own_page(door: Door, sessions: BrowserSessions) -> None:
    ours, shown = door.http.url.rstrip("/"), sign_in(door, sessions)
    port = urlsplit(ours).port
    for headers, code in (
        ({"Origin": ours}, NO_COLLECTION),
        ({"Sec-Fetch-Site": "same-origin"}, NO_COLLECTION),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://127.0.0.1:{port + 1}"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ):
        asked = door.ask("POST", "/v1/search", QUESTION, headers={"Content-Type": "application/json", "Cookie": shown, **headers})
        assert asked.code == code, headers
    assert door.get("/v1/stats", Cookie=shown, Host="photos.example.org").code == 421


def test_a_browser_without_a_cookie_gets_instructions(door: Door, owner: ServerSecurity) -> None:
    shown = door.get("/", Accept="text/html,application/xhtml+xml")
    assert (shown.code, shown.headers.get_content_type()) == (401, "text/html")
    assert shown.headers.get_all("WWW-Authenticate") == ['Bearer realm="miradouro"'], "no prompt in the place of the page"
    assert "<code>open:</code>" in shown.body.decode()
    assert door.get("/v1/stats").headers.get_content_type() == "application/json"
    asked = door.get("/sign-in", Accept="text/html")
    assert 'Basic realm="miradouro", charset="UTF-8"' in asked.headers.get_all("WWW-Authenticate")
    assert owner.owner is not None
    password = base64.b64encode(f"ana:{owner.owner.first}".encode()).decode()
    signed = door.get("/sign-in", Accept="text/html", Authorization=f"Basic {password}")
    assert (signed.code, signed.headers["Location"]) == (303, "/")
    assert door.get("/", Authorization=f"Basic {password}").code == 200


def test_links_and_cookies_are_bounded(sessions: BrowserSessions) -> None:
    keys = [sessions.new_key() for _ in range(1_000)]
    assert sessions.redeem(keys[0]) is None
    assert sessions.redeem(keys[-1])
