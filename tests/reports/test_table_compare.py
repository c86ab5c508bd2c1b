"""Runs side by side: differences, gaps and ranks by hand; what may not stand in one table."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError
from prefbench.cli.grids import to_text
from prefbench.reports.contrasts.contrasts import contrast
from prefbench.reports.contrasts.grids import contrast_grid
from prefbench.reports.shared.meaning import scale_notes
from prefbench.reports.table.compare import as_json, compare
from prefbench.reports.table.grids import difference_grid, run_grid, runs_grid
from prefbench.reports.table.page import write_page
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats import rules
from prefbench.stats.paired import holm
from tests.reports.test_contrasts import no_suite
from tests.support.stored import scores_of
from tests.support.toy_runs import build


def test_difference_gap_and_holm_by_hand(runs: list[ScoredFolder]) -> None:
    comparison = compare(runs)
    ours, top = comparison.of("ours")["utility"], comparison.of("inferred")["utility"]
    assert ours.summary.value == pytest.approx((0.2 + 0.4 + 0.6) / 3 + 0.05)
    assert ours.difference is not None
    assert ours.difference.value == pytest.approx((0.2 + 0.3 + 0.4) / 3)
    # All three users gain: 2 of the 8 flips of their signs are as extreme.
    assert ours.p == pytest.approx(0.25)
    assert top.p is not None
    assert [ours.p_holm, top.p_holm] == pytest.approx(holm([ours.p, top.p]).tolist())
    assert ours.p_holm == pytest.approx(0.5)
    gap = comparison.of("ours")["gap-closed"].summary
    assert gap.value == pytest.approx((0.2 + 0.3 + 0.4) / (0.8 + 0.5 + 0.5))
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < gap.value < gap.high
    assert comparison.of("ours")["gap-closed/silent"].summary.value == pytest.approx(0.5)
    assert comparison.of("prompt-only")["gap-closed"].summary.value == 0
    assert comparison.of("inferred")["gap-closed"].summary.value == 1
    assert comparison.of("prompt-only")["utility"].difference is None


def test_the_share_over_the_crowd_by_hand(runs: list[ScoredFolder], tmp_path: Path) -> None:
    assert "gap-closed/over-crowd" not in compare(runs).of("ours")
    crowd = build(tmp_path / "crowd", "crowd", {"ann": 0.1, "bob": 0.2, "cyd": 0.3})
    comparison = compare([*runs, crowd])
    share = comparison.of("ours")["gap-closed/over-crowd"].summary
    assert share.value == pytest.approx((0.1 + 0.2 + 0.3) / (0.7 + 0.4 + 0.4))
    assert comparison.of("crowd")["gap-closed/over-crowd"].summary.value == 0
    assert comparison.of("inferred")["gap-closed/over-crowd"].summary.value == 1
    assert comparison.of("ours")["gap-closed"].summary == compare(runs).of("ours")["gap-closed"].summary
    assert scale_notes(["gap-closed/over-crowd"]) == ["gap-closed/over-crowd: 0 is crowd, 1 is inferred."]


def test_runs_can_be_held_against_another_method(runs: list[ScoredFolder]) -> None:
    comparison = compare(runs, baseline="ours")
    usual = compare(runs)
    label = next(name for name, run in usual.runs.items() if run.spec["method"] == "prompt-only")
    ours = next(name for name, run in usual.runs.items() if run.spec["method"] == "ours" and run.control is None)
    swapped, straight = comparison.of(label)["utility"].difference, usual.of(ours)["utility"].difference
    assert swapped is not None
    assert straight is not None
    assert swapped.value == pytest.approx(-straight.value)
    assert comparison.of(ours)["utility"].difference is None
    assert "difference to ours" in to_text(difference_grid(comparison))
    assert {row["baseline"] for row in as_json(comparison.rows)} == {None, ours}
    with pytest.raises(PrefbenchError, match="unknown baseline 'copy'"):
        compare(runs, baseline="copy")


def test_samples_that_one_run_lacks_are_unpaired_and_those_that_failed_are_missing(tmp_path: Path) -> None:
    ours = build(tmp_path / "ours", "ours", {"ann": 0.5, "bob": 0.5}, present=("ann", "bob"))
    base = build(tmp_path / "base", "prompt-only", {"ann": None, "bob": 0.1, "cyd": 0.1})
    difference = compare([ours, base]).of("ours")["utility"].difference
    assert difference is not None
    assert (difference.n_users, difference.n_samples, difference.missing, difference.unpaired) == (1, 4, 4, 4)
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
    comparison = compare(runs)
    assert [(label, rank.rank) for label, rank in comparison.ranks.items()] == [("ours", 1), ("prompt-only", 2)]


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


SIX = {"ann": 0.1, "bob": 0.2, "cyd": 0.3, "dan": 0.4, "eve": 0.5, "fay": 0.6}


def test_values_ranks_and_order_come_from_the_samples_that_all_runs_have(tmp_path: Path) -> None:
    """`many` is the best of all its users, and the worst of the three that the others have too."""
    runs = [
        build(tmp_path / "many", "many", {"ann": 0.0, "bob": 0.0, "cyd": 0.0, "dan": 9.0, "eve": 9.0, "fay": 9.0}),
        build(tmp_path / "base", "prompt-only", {"ann": 0.2, "bob": 0.2, "cyd": 0.2}),
        build(tmp_path / "other", "other", {"ann": 0.4, "bob": 0.4, "cyd": 0.4}),
    ]
    comparison = compare(runs)
    values = {label: comparison.of(label)["utility"].summary for label in comparison.runs}
    assert [(label, rank.rank) for label, rank in comparison.ranks.items()] == [
        ("other", 1),
        ("prompt-only", 2),
        ("many", 3),
    ]
    assert [round(values[label].value or 0, 3) for label in comparison.ranks] == [0.45, 0.25, 0.05]
    assert (values["many"].n_users, values["many"].missing, values["many"].unpaired) == (3, 0, 12)
    difference = comparison.of("many")["utility"].difference
    assert difference is not None
    assert difference.value == pytest.approx((values["many"].value or 0) - (values["prompt-only"].value or 0))
    assert (difference.n_users, difference.missing, difference.unpaired) == (3, 0, 12)
    grid = runs_grid(comparison)
    assert [row[0] for row in grid.sections[0]] == ["other", "prompt-only", "many"]
    assert [row[grid.columns.index("unpaired")] for row in grid.sections[0]] == ["0", "0", "12"]
    assert any(note.startswith("unpaired: samples left out") and "many 12" in note for note in grid.notes)
    assert comparison.of("many", kind="noisy")["utility"].summary.value == pytest.approx(0.05), "kinds are cut alike"
    alone = compare(runs[:1], beside=runs[1:])
    assert alone.of("many")["utility"].summary.value == pytest.approx(4.55), "one run is shown as it is"


def test_all_p_values_of_one_runs_table_are_adjusted_together(tmp_path: Path) -> None:
    ours = build(tmp_path / "ours", "ours", {user: 2 * value for user, value in SIX.items()})
    base = build(tmp_path / "base", "prompt-only", SIX)
    comparison = compare([ours], beside=[base])
    rows = [row for row in comparison.of("ours").values() if row.p is not None]
    assert [row.summary.metric for row in rows] == ["utility", "utility/silent"]
    assert [row.p for row in rows] == [2 / 64, 2 / 64]
    assert [row.p_holm for row in rows] == [4 / 64, 4 / 64]
    notes = run_grid(comparison, "ours").notes
    assert any("Adjusted: Holm over the 2 differences of this run, shown here or not." in note for note in notes)
    several = compare([ours, base])
    assert several.of("ours")["utility"].p_holm == 2 / 64
    assert any("Holm over the runs of each column, not over columns" in note for note in difference_grid(several).notes)


def test_intervals_over_users_alone_are_marked_and_explained(tmp_path: Path) -> None:
    runs = [build(tmp_path / "a", "a", SIX), build(tmp_path / "b", "prompt-only", dict.fromkeys(SIX, 0.1))]
    text = to_text(runs_grid(compare(runs)))
    assert re.search(r"\d°‡", text)
    assert "‡ under 30 users or 20 shared prompts: where few of them decide" in text
    assert "° over users only: 2 prompts, too few to speak of other prompts." in text
    assert re.search(r"\d°‡", to_text(difference_grid(compare(runs))))


@pytest.mark.parametrize("where", ["table", "page", "contrasts"])
@pytest.mark.slow
def test_what_tables_say_of_p_follows_from_the_rules(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, base = build(tmp_path / "ours", "ours", SIX), build(tmp_path / "base", "prompt-only", 0.1)

    def text() -> str:
        if where == "page":
            write_page(compare([ours, base]), tmp_path / "report")
            return (tmp_path / "report" / "report.md").read_text()
        if where == "contrasts":
            return " ".join(contrast_grid(contrast([ours, base], no_suite, metrics=["utility"])).notes)
        return " ".join(difference_grid(compare([ours, base])).notes)

    assert "sign flips over users" in text()
    assert "coin" not in text()
    monkeypatch.setattr(rules, "RULES", (*rules.RULES[:2], replace(rules.RULES[2], words="tosses of a coin")))
    assert "corrected for skewness, and tosses of a coin." in " ".join(text().split())
    assert "sign flips over users" not in text()
