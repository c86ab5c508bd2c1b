"""What surrounds the views: hostile texts, the keyboard, the way back, colours, missing files, a run that goes on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.page_data import ARABIC, HOSTILE, Sizes, write_page
from tests.support.reader import Reader, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

VIEWS = (
    "#/",
    "#/users",
    "#/users?sort=metrics",
    "#/user/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
    "#/user/user-000",
    "#/sample/2/0",
    "#/sample/2/11",
    "#/metrics",
    "#/metric/fid",
    "#/metric/clip-i",
    "#/audit",
    "#/user/<script>alert(4)</script>",
    "#/<b>none</b>",
)


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_texts_stay_texts(reader: Reader, view: str) -> None:
    page = reader.open(view)
    page.wait_for_timeout(300)
    for details in page.locator("details > summary").all():
        details.click()
    assert page.locator("img, main script, iframe, object, main style, [onerror], [onclick], [srcdoc]").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.locator("a[href^='https:']:not([rel='noopener noreferrer'])").count() == 0


def test_hostile_names_are_shown_as_they_are(reader: Reader) -> None:
    page = reader.open("#/users")
    page.wait_for_selector("li.user")
    names = page.locator("li.user > a > bdi").all_text_contents()
    assert names[1] == HOSTILE
    assert names[3] == ARABIC
    page.get_by_role("link", name=HOSTILE).first.click()
    page.wait_for_selector(".case figure")
    assert page.locator("main h1").inner_text() == HOSTILE


def test_the_policy_forbids_what_the_page_does_not_do(browser: Browser, index: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(index.as_uri())
    page.wait_for_selector("main h1")
    inline = (
        "const tag = document.createElement('script'); tag.textContent = 'window.broken = 1'; document.body.append(tag)"
    )
    page.evaluate(inline)
    assert page.evaluate("window.broken") is None
    assert page.evaluate("fetch('https://example.org').then(() => 'asked', () => 'refused')") == "refused"
    context.close()


def test_by_keyboard_alone(reader: Reader) -> None:
    page = reader.open("#/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.locator("header nav a", has_text="Users").focus()
    page.keyboard.press("Enter")
    until(page, "document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'Users'")
    assert page.title().startswith("Users · picturebook test")
    assert page.locator("nav a[aria-current=page]").inner_text() == "Users"
    page.locator("li.user a").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('li').getAttribute('aria-posinset')") == "2"
    page.keyboard.press("Enter")
    until(page, "document.activeElement.tagName === 'H1' && location.hash.startsWith('#/user/')")


def test_a_mark_opens_its_note_where_it_stands(reader: Reader) -> None:
    page = reader.open("#/")
    mark = page.locator("#q-preference ~ .wide .mark button")
    mark.focus()
    page.keyboard.press("Enter")
    note = page.locator(".note")
    assert note.inner_text() == "† copy can win this metric without doing what it asks."
    box, button = note.bounding_box(), mark.bounding_box()
    assert abs(box["y"] - button["y"]) < 60
    page.keyboard.press("Escape")
    assert page.locator(".note").count() == 0
    assert page.locator("#q-preference ~ .notes").inner_text().startswith("† copy can win")


def test_the_way_back_and_reloading(reader: Reader) -> None:
    page = reader.open("#/users")
    page.get_by_label("User or prompt").fill("user-02")
    until(page, "document.querySelector('.tally').innerText.startsWith('10 of')")
    page.get_by_role("link", name="user-025").click()
    until(page, "document.querySelector('main h1').innerText === 'user-025'")
    page.reload()
    page.wait_for_selector(".case figure")
    assert page.locator("main h1").inner_text() == "user-025"
    page.go_back()
    until(page, "document.querySelector('.tally')?.innerText.startsWith('10 of')")
    assert page.get_by_label("User or prompt").input_value() == "user-02"


def test_light_and_dark(reader: Reader) -> None:
    page = reader.open("#/")
    paper = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) != dark
    page.get_by_label("Colours").select_option("dark")
    assert page.evaluate(paper) == dark
    page.reload()
    page.wait_for_selector("main h1")
    assert page.evaluate(paper) == dark


def test_missing_files_are_named(browser: Browser, tmp_path: Path) -> None:
    index = write_page(tmp_path, Sizes(users=4))
    (tmp_path / "page" / "data" / "rows-1-0.js").unlink()
    context = browser.new_context()
    page = context.new_page()
    page.goto(index.as_uri() + "#/users")
    page.wait_for_selector("[role=alert]")
    assert "page/data/rows-1-0.js could not be read" in page.locator("[role=alert]").inner_text()
    (tmp_path / "page" / "data" / "overview.js").unlink()
    page.reload()
    page.wait_for_selector("[role=alert]")
    assert "The data of this page are missing" in page.locator("[role=alert]").inner_text()
    context.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A page of a run that goes on, and its address."""
    write_page(tmp_path, Sizes(users=4, live=True))
    (tmp_path / "version").write_text("1")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_that_goes_on_is_followed(browser: Browser, served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}#/users")
    page.wait_for_selector("text=Following the run.")
    page.evaluate("window.before = true")
    page.wait_for_timeout(2500)
    assert page.evaluate("window.before") is True
    write_page(tmp_path / "later", Sizes(users=5, live=True))
    shutil.copytree(tmp_path / "later" / "page" / "data", folder / "page" / "data", dirs_exist_ok=True)
    (folder / "version").write_text("2")
    page.wait_for_selector("text=5 of 5 users")
    assert page.evaluate("window.before") is None
    assert page.evaluate("location.hash") == "#/users"
    page.get_by_role("button", name="Pause").click()
    assert "Not following the run." in page.locator(".follow").inner_text()
    context.close()
