"""A real browser over a page of made-up data; without playwright or Chromium these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.page_data import Sizes, write_page
from tests.support.reader import Reader

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is a development extra")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the path")
    with api.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=path, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `index.html` of a small page."""
    return write_page(tmp_path_factory.mktemp("page"), Sizes())


@pytest.fixture
def reader(browser: Browser, index: Path) -> Iterator[Reader]:
    """A window that is closed after the test, which fails on any complaint."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    window = Reader(context.new_page(), index.as_uri())
    yield window
    context.close()
    assert window.complaints == []
