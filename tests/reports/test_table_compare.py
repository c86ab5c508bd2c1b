"""Runs side by side: differences, gaps and ranks by hand; what may not stand in one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError
from prefbench.cli.grids import to_text
from prefbench.reports.table.compare import as_json, compare
from prefbench.reports.table.grids import difference_grid
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.paired import holm
from tests.support.stored import scores_of
from tests.support.toy_runs import build


def test_difference_gap_and_holm_by_hand(runs: list[ScoredFolder]) -> None:
    found = compare(runs)
    ours, top = found.of("ours")["utility"], found.of("inferred")["utility"]
    assert ours.summary.value == pytest.approx((0.2 + 0.4 + 0.6) / 3 + 0.05)
    assert ours.difference is not None
    assert ours.difference.value == pytest.approx((0.2 + 0.3 + 0.4) / 3)
    # All three users gain: 2 of the 8 flips of their signs are as extreme.
    assert ours.p == pytest.approx(0.25)
    assert top.p is not None
    assert [ours.p_holm, top.p_holm] == pytest.approx(holm([ours.p, top.p]).tolist())
    assert ours.p_holm == pytest.approx(0.5)
    gap = found.of("ours")["gap-closed"].summary
    assert gap.value == pytest.approx((0.2 + 0.3 + 0.4) / (0.8 + 0.5 + 0.5))
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < gap.value < gap.high
    assert found.of("ours")["gap-closed/silent"].summary.value == pytest.approx(0.5)
    assert found.of("prompt-only")["gap-closed"].summary.value == 0
    assert found.of("inferred")["gap-closed"].summary.value == 1
    assert found.of("prompt-only")["utility"].difference is None


def test_runs_can_be_held_against_another_method(runs: list[ScoredFolder]) -> None:
    found = compare(runs, baseline="ours")
    usual = compare(runs)
    label = next(name for name, run in usual.runs.items() if run.spec["method"] == "prompt-only")
    ours = next(name for name, run in usual.runs.items() if run.spec["method"] == "ours" and run.control is None)
    swapped, straight = found.of(label)["utility"].difference, usual.of(ours)["utility"].difference
    assert swapped is not None
    assert straight is not None
    assert swapped.value == pytest.approx(-straight.value)
    assert found.of(ours)["utility"].difference is None
    assert "difference to ours" in to_text(difference_grid(found))
    assert {row["baseline"] for row in as_json(found.rows)} == {None, ours}
    with pytest.raises(PrefbenchError, match="unknown baseline 'copy'"):
        compare(runs, baseline="copy")


def test_keys_that_one_run_lacks_are_missing_rows(tmp_path: Path) -> None:
    ours = build(tmp_path / "ours", "ours", {"ann": 0.5, "bob": 0.5}, present=("ann", "bob"))
    base = build(tmp_path / "base", "prompt-only", {"ann": None, "bob": 0.1, "cyd": 0.1})
    difference = compare([ours, base]).of("ours")["utility"].difference
    assert difference is not None
    assert (difference.n_users, difference.n_samples, difference.missing) == (1, 4, 8)
    assert difference.value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("suite_digest", "e" * 64, "suite digest"),
        ("split", "val", "split"),
        ("seed", 1, "seed"),
        ("backbone_digest", "c", "backbone"),
    ],
)
def test_mixed_runs_are_refused(tmp_path: Path, field: str, value: Any, named: str) -> None:
    one = build(tmp_path / "one", "ours", 0.1)
    other = build(tmp_path / "other", "prompt-only", 0.1, spec={field: value})
    with pytest.raises(PrefbenchError, match=f"{named}.*one and other"):
        compare([one, other])


def test_two_recipes_are_not_one_column(tmp_path: Path) -> None:
    one, other = build(tmp_path / "one", "ours", 0.5), build(tmp_path / "two", "prompt-only", 0.1)
    header, rows = scores_of(other.folder, "fid")
    other.folder.write_scores("fid", {**header, "extractor": "another"}, rows)
    with pytest.raises(PrefbenchError, match=r"fid was scored by two recipes, .*toy and .*another: prefbench score"):
        compare([one, ScoredFolder.open(tmp_path / "two")])


def test_ranks_are_of_honest_methods_only(runs: list[ScoredFolder]) -> None:
    found = compare(runs)
    assert [(label, rank.rank) for label, rank in found.ranks.items()] == [("ours", 1), ("prompt-only", 2)]


def test_a_class_from_a_file_is_no_baseline_whatever_it_calls_itself(tmp_path: Path) -> None:
    ours = build(tmp_path / "ours", "ours", 0.5)
    pretender = build(tmp_path / "file", "prompt-only", 0.1, spec={"method": "mine.py:Mine"})
    assert compare([ours, pretender]).of("ours")["utility"].difference is None


def test_json_rows_have_the_promised_keys_and_are_json(runs: list[ScoredFolder]) -> None:
    rows = as_json(compare(runs).rows)
    promised = {"method", "control", "metric", "value", "low", "high", "n_users", "n_prompts", "n_samples", "missing"}
    assert all(promised | {"kind", "direction", "difference", "p", "p_holm"} <= set(row) for row in rows)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    fid = next(row for row in rows if row["metric"] == "fid" and row["method"] == "ours")
    assert (fid["value"], fid["floor"], fid["n_samples"], fid["difference"]) == (12.5, 3.25, 6, None)
