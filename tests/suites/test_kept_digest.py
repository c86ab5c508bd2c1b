"""The kept digest of picturebook's users: it saves time and never says anything else than a digest made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.suites.picturebook.data import kept_digest as module
from prefbench.suites.picturebook.data.kept_digest import kept_digest
from prefbench.suites.picturebook.suite import Picturebook

NEW, OTHER = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path))
    return tmp_path


def never() -> str:
    raise AssertionError("the kept one should do")


def test_kept_digest_is_of_its_settings_alone() -> None:
    assert kept_digest("one", lambda: NEW) == NEW
    assert kept_digest("one", never) == NEW
    assert kept_digest("two", lambda: OTHER) == OTHER


def test_kept_digest_is_of_its_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept_digest("one", lambda: NEW)
    monkeypatch.setattr(module, "_code", lambda: "another version")
    assert kept_digest("one", lambda: OTHER) == OTHER


@pytest.mark.parametrize("content", [b"", b"\xff" * 128, b"b" * 128, OTHER.encode(), b"b" * 4096])
def test_damaged_or_edited_file_is_made_again(cache: Path, content: bytes) -> None:
    kept_digest("one", lambda: NEW)
    (path,) = (cache / "suites").iterdir()
    path.write_bytes(content if len(content) != 64 else content + path.read_bytes()[64:])
    assert kept_digest("one", lambda: NEW) == NEW
    assert kept_digest("one", never) == NEW


def test_cache_that_cannot_be_written_costs_nothing_but_time(cache: Path) -> None:
    (cache / "suites").write_text("a file in the place of the folder")
    assert kept_digest("one", lambda: NEW) == NEW


def test_code_names_every_file_that_judgments_follow_from() -> None:
    named = module._code()
    assert all(f"{name} " in named for name in ("population.py", "choices.py", "render.py", "axes.py", "drawn.png"))


def test_suite_says_the_same_from_its_kept_digest() -> None:
    first, again = Picturebook(population=3), Picturebook(population=3)
    assert first.digest == again.digest != Picturebook(population=4).digest
