"""A window of a real browser on a page, and what a reader of it should never meet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, Page, Request


def until(page: Page, expression: str, *, seconds: float = 20.0) -> None:
    """Waits until an expression holds; playwright's own wait needs `eval`, which the page's policy forbids."""
    last = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < last, f"never true: {expression}"
        page.wait_for_timeout(30)


class Reader:
    """One window on the page, and what a reader should never meet: errors, dialogs, requests to elsewhere."""

    def __init__(self, page: Page, start: str) -> None:
        self.page = page
        self.start = start
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        page.on("request", self._watch)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(f"{said.type}: {said.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _watch(self, asked: Request) -> None:
        """Only files of the page's own folder are read."""
        if not asked.url.startswith((self.start.rpartition("/")[0], "data:", "about:")):
            self.complaints.append(f"asked for: {asked.url}")

    def open(self, view: str) -> Page:
        """Loads a view from nothing and waits for its heading."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.start}{view}")
        self.page.wait_for_selector("main h1")
        return self.page
