"""The page in a real browser: questions of every kind, their addresses, and texts that must stay texts."""

import json
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.http_fixture import Door
from tests.ui.album import EVIL, EVIL_FILE, NAMES
from tests.ui.conftest import Visit


def photos(page: Page) -> Locator:
    return page.locator("#results .photo")


def address(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def are_pictures(items: Locator) -> bool:
    """Whether every one of the first four photos is a picture that has been loaded."""
    return all(
        items.nth(i).locator("img").evaluate("async image => { await image.decode(); return image.naturalWidth > 0 }")
        for i in range(min(4, items.count()))
    )


def test_the_first_view_shows_totals_and_photos(visit: Visit):
    page = visit.open()
    expect(page.locator("#holding")).to_have_text("61 photos, ready to be looked through.")
    expect(page.locator("#wall li")).to_have_count(18)
    assert are_pictures(page.locator("#wall li"))
    page.locator("#common a", has_text="trip").click()
    expect(photos(page)).to_have_count(48)
    assert address(page) == {"keyword": ["trip"]}


def test_a_tag_shows_its_photos_page_by_page(visit: Visit):
    page = visit.open()
    page.keyboard.press("/")
    page.keyboard.type("Trip")
    page.keyboard.press("Enter")
    expect(photos(page)).to_have_count(48)
    assert are_pictures(photos(page))
    expect(page.locator("#status")).to_contain_text("48 of 60 photos · exact · ")
    expect(photos(page).first.locator(".near")).to_have_text("score 1.00")
    expect(photos(page).first.locator(".tags .mine")).to_have_text("trip")
    page.get_by_role("button", name="Show more").click()
    expect(photos(page)).to_have_count(60)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("60 photos · exact")
    assert page.title() == "Trip · Miradouro"


def test_captions_are_searched_and_switching_searches_again(visit: Visit):
    page = visit.open("?keyword=lighthouse")
    expect(page.locator("#status")).to_have_text("No photo was found.")
    page.get_by_role("radio", name="Captions").check()
    expect(photos(page)).to_have_count(1)
    expect(photos(page).locator(".caption")).to_have_text("Waves at the lighthouse")
    assert address(page) == {"text": ["lighthouse"]}


def test_a_chosen_photo_finds_itself(visit: Visit, album: Path):
    page = visit.open()
    page.locator("#file").set_input_files(album / NAMES[7])
    expect(photos(page)).to_have_count(48)
    expect(photos(page).first.locator(".file")).to_have_text("07.jpg")
    expect(photos(page).first.locator(".near")).to_have_text("distance 0.00")
    expect(page.locator("#example")).to_contain_text("07.jpg")
    assert page.locator("#example canvas").evaluate("canvas => canvas.width") == 320


@pytest.mark.parametrize("gesture", ["drop", "paste"])
def test_a_dropped_or_pasted_photo_finds_itself(visit: Visit, album: Path, gesture: str):
    page = visit.open()
    data = list((album / NAMES[9]).read_bytes())
    carried = page.evaluate_handle(
        """data => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(data)], "mine.jpg", { type: "image/jpeg" }));
            return carried;
        }""",
        data,
    )
    if gesture == "drop":
        page.dispatch_event("body", "dragover", {"dataTransfer": carried})
        expect(page.locator("#veil")).to_be_visible()
        page.dispatch_event("body", "drop", {"dataTransfer": carried})
        expect(page.locator("#veil")).to_be_hidden()
    else:
        page.evaluate("data => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", carried)
    expect(photos(page).first.locator(".file")).to_have_text("09.jpg")
    expect(page.locator("#example")).to_contain_text("mine.jpg")


def test_a_click_finds_similar_photos_and_back_returns(visit: Visit):
    page = visit.open("?text=lighthouse")
    photos(page).locator("a.view").click()
    expect(photos(page)).to_have_count(48)
    expect(photos(page).first.locator(".file")).to_have_text("00.jpg")
    expect(page.locator("#example")).to_contain_text("Waves at the lighthouse")
    assert address(page) == {"like": [NAMES[0]]}
    photos(page).nth(1).locator("a.view").click()
    expect(photos(page).first.locator(".near")).to_have_text("distance 0.00")
    page.go_back()
    expect(photos(page).first.locator(".file")).to_have_text("00.jpg")
    page.go_back()
    expect(photos(page)).to_have_count(1)
    expect(page.locator("#words")).to_have_value("lighthouse")
    page.go_forward()
    expect(photos(page)).to_have_count(48)
    visit.settle()


def test_more_of_this_kind_reports_the_mix(visit: Visit):
    page = visit.open(f"?like={quote(NAMES[3], safe='')}")
    page.get_by_role("link", name="More of this kind").click()
    expect(page.locator("#status")).to_contain_text("mixed with ")
    assert address(page) == {"like": [NAMES[3]], "more": ["1"]}
    page.get_by_role("link", name="Like this one alone").click()
    expect(page.locator("#status")).not_to_contain_text("mixed with ")
    assert address(page) == {"like": [NAMES[3]]}


def test_regions_have_no_more_of_their_kind(visit: Visit):
    page = visit.open(f"?like={quote(NAMES[3], safe='')}&space=tiny/deep/regions")
    expect(page.locator("#example")).to_be_visible()
    expect(page.get_by_role("link", name="More of this kind")).to_have_count(0)


def test_an_address_can_be_shared_as_a_question(visit: Visit):
    page = visit.open(f"?like={quote(NAMES[3], safe='')}&space=tiny/shallow/max")
    expect(photos(page).first.locator(".file")).to_have_text("03.jpg")
    expect(page.locator("#space")).to_have_value("tiny/shallow/max")
    expect(page.locator("#status")).to_contain_text("compared in tiny/shallow/max")


def test_the_space_can_be_chosen_for_picture_questions(visit: Visit):
    page = visit.open(f"?like={quote(NAMES[3], safe='')}")
    page.locator("#space").select_option("wee/features")
    expect(page.locator("#status")).to_contain_text("compared in wee/features")
    assert address(page)["space"] == ["wee/features"]
    visit.open("?keyword=trip")
    expect(page.locator("#spaces")).to_be_hidden()


def test_texts_of_photos_stay_texts(visit: Visit):
    page = visit.open("?keyword=evil")
    photo = photos(page)
    expect(photo).to_have_count(1)
    expect(photo.locator("h3")).to_have_text(EVIL)
    expect(photo.locator(".caption")).to_have_text(f"evil {EVIL}")
    expect(photo.locator(".file")).to_have_text(EVIL_FILE)
    assert are_pictures(photo)
    expect(photo.locator(".tags .mine").first).to_have_text(EVIL)
    photo.locator(".tags .mine a").first.click()
    expect(photos(page)).to_have_count(1)
    photos(page).locator("a.view").click()
    expect(page.locator("#example")).to_contain_text(EVIL)
    assert address(page) == {"like": [EVIL_FILE]}
    visit.open(f"?keyword={quote(EVIL)}&collection={quote('<b>x')}")
    expect(page.locator("#trouble")).to_contain_text("collection")
    assert page.locator("img[src=x], main script").count() == 0
    visit.troubles = [one for one in visit.troubles if "status of 400" not in one]


def test_the_original_opens_as_it_is(visit: Visit, door: Door, album: Path):
    page = visit.open("?text=lighthouse")
    link = page.get_by_role("link", name="Open the original of Waves at the lighthouse")
    shown = visit.page.request.get(door.http.url + str(link.get_attribute("href")).removeprefix("/"))
    assert shown.body() == (album / NAMES[0]).read_bytes()
    assert link.get_attribute("rel") == "noopener"


def test_bad_and_missing_photos_are_reported(visit: Visit, album: Path):
    page = visit.open()
    page.locator("#file").set_input_files({"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no photo at all"})
    expect(page.locator("#trouble")).to_contain_text("no picture format")
    expect(photos(page)).to_have_count(0)
    assert visit.troubles == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]
    page.locator("#file").set_input_files(album / NAMES[2])
    expect(photos(page).first.locator(".file")).to_have_text("02.jpg")
    expect(page.locator("#trouble")).to_be_hidden()
    page.reload()
    expect(page.locator("#trouble")).to_contain_text("Drop it again")
    visit.settle()
    visit.troubles.clear()


def test_a_photo_without_a_file_keeps_its_place(visit: Visit):
    page = visit.page
    page.route("**/thumbnails/**", lambda route: route.fulfill(status=404, content_type="application/json", body=json.dumps({})))
    visit.open("?text=lighthouse")
    expect(photos(page).locator(".view.gone")).to_have_count(1)
    expect(photos(page).locator(".view img")).to_have_count(0)
    visit.troubles.clear()


def test_every_control_is_named_and_reachable_by_keyboard(visit: Visit):
    page = visit.open("?text=lighthouse")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, img")].filter((one) => {
            const texts = [one.getAttribute("aria-label"), one.textContent.trim(), one.labels?.[0]?.textContent, one.title];
            return !texts.some(Boolean) && !one.hasAttribute("alt");
        }).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    page.locator("body").press("Tab")
    reached = set()
    for _ in range(25):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.name"))
        page.keyboard.press("Tab")
    assert {"skip", "brand", "kind", "words", "choose", "go", "view", "open"} <= reached


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_nothing_is_wider_than_the_window(visit: Visit, width: int, scheme: str):
    page = visit.page
    page.set_viewport_size({"width": width, "height": 740})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
    for path in ("", "?keyword=trip", "?keyword=evil", f"?like={quote(NAMES[0], safe='')}"):
        visit.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) is (scheme == "dark")
