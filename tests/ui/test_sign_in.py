"""Signing in with a real browser: the page without a session, and the link that opens one."""

import os
from pathlib import Path

from miradouro.runtime.browser_sessions import BrowserSessions
from playwright.sync_api import Browser, Page, expect

from tests.http_fixture import Door


def show(page: Page, name: str) -> None:
    """Keeps a picture of the page where MIRADOURO_TEST_SCREENSHOTS names a folder: for a person to look at."""
    if folder := os.environ.get("MIRADOURO_TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_stranger_reads_how_to_get_in(browser: Browser, door: Door) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(door.http.url)
        assert answer is not None
        assert answer.status == 401
        expect(page.locator("h1")).to_have_text("This browser is not signed in")
        expect(page.locator("body")).to_contain_text("begins with open:")
        show(page, "stranger")
        assert context.cookies() == []


def test_the_link_signs_in_without_leaving_a_key(browser: Browser, door: Door, sessions: BrowserSessions) -> None:
    key = sessions.new_key()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{door.http.url}?key={key}")
        page.wait_for_url(door.http.url)
        expect(page.locator("#wall li")).to_have_count(18)
        picture = page.locator("#wall li img").first
        assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth > 0 }")
        show(page, "signed-in")
        [cookie] = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("history.length") <= 2, "the address with the key was replaced"
        page.goto(f"{door.http.url}?keyword=trip")
        expect(page.locator("#results .photo")).to_have_count(48)
    with browser.new_context() as another:
        page = another.new_page()
        page.goto(f"{door.http.url}?key={key}")
        expect(page.locator("body")).to_contain_text("This link was used, or is too old.")


def test_a_link_from_another_site_signs_in(browser: Browser, door: Door, sessions: BrowserSessions) -> None:
    """A terminal may be a web page: what is clicked there comes from another site, without cookies that are strict."""
    with browser.new_context() as context:
        page = context.new_page()
        page.route("http://terminal.example/", lambda route: route.fulfill(
            content_type="text/html", body=f'<a href="{door.http.url}?key={sessions.new_key()}">open</a>'
        ))  # fmt: skip
        page.goto("http://terminal.example/")
        page.locator("a").click()
        page.wait_for_url(door.http.url)
        expect(page.locator("#wall li")).to_have_count(18)
