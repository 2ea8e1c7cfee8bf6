"""A real Chromium, without a window, over the real door."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.runtime.browser_sessions import BrowserSessions
from miradouro.runtime.security import ServerSecurity
from miradouro.standalone.owner_token import make_owner_token
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.http_fixture import Door, open_door
from tests.ui.album import fill
from tests.waiting import WAIT_S

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # it can't have one as root; it opens this page alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 1_000 * WAIT_S


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Where there is none the tests do not run, and on the build server they fail."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        missing = "Chromium is missing (on Debian: apt-get install chromium)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def sessions() -> BrowserSessions:
    """Who is let in by a link."""
    return BrowserSessions()


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory, sessions: BrowserSessions) -> Iterator[Door]:
    """The door over the album, which needs a token or a cookie."""
    folder = tmp_path_factory.mktemp("ingest")
    security = ServerSecurity(owner=make_owner_token(folder / "owner"))
    with open_door(folder, security=security, sessions=sessions) as opened:
        report = opened.ingest.index_folder(fill(folder / "album"))
        assert not report.failed
        yield opened


@pytest.fixture(scope="session")
def album(door: Door) -> Path:
    """The folder of the photos."""
    return door.ingest.data.parent / "album"


class Visit:
    """A page and what it did: its errors, and where its requests went."""

    def __init__(self, page: Page, door: Door) -> None:
        self.page, self.url = page, door.http.url
        self.troubles: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda message: self.troubles.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self.strangers.append(request.url)

    def open(self, address: str = "") -> Page:
        """Goes to an address of the door and waits until it shows what it has."""
        self.page.goto(self.url + address)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Waits until nothing is asked any more."""
        expect(self.page.locator("main")).to_have_attribute("aria-busy", "false")
        self.page.wait_for_load_state("networkidle")


@pytest.fixture
def visit(browser: Browser, door: Door, sessions: BrowserSessions) -> Iterator[Visit]:
    """A fresh visit by a link; it must end without an error and without a request to anybody else."""
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    made = Visit(context.new_page(), door)
    made.page.goto(f"{door.http.url}?key={sessions.new_key()}")
    made.page.wait_for_url(door.http.url)
    yield made
    context.close()
    assert made.troubles == []
    assert made.strangers == []
