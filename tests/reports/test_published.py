"""Committed pages say which rules their numbers follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefbench.reports.shared.published import age

ROOT = Path(__file__).parents[2]
PAGES = [path for path in (ROOT / "results").rglob("*.md") if path.with_suffix(".json").is_file()]


def test_numbers_of_earlier_rules_are_named_so() -> None:
    assert age({"prefbench": "0.1.0"}).startswith("Measured with prefbench 0.1.0: ")
    assert age({"prefbench": "0.2.0"}) == age({"prefbench": None}) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_so_where_its_data_are_older(page: Path) -> None:
    sentence = age(json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["versions"])
    assert sentence in page.read_text(encoding="utf-8")
