"""Tables of runs: missing values, controls, differences, marks, notes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prefbench.api import Grid
from prefbench.cli.grids import fold, to_text
from prefbench.reports.leaderboard.entries import entries_of
from prefbench.reports.leaderboard.page import render
from prefbench.reports.shared.cells import N, number
from prefbench.reports.shared.grid import to_markdown
from prefbench.reports.shared.notes import legend
from prefbench.reports.table.compare import compare
from prefbench.reports.table.grids import difference_grid, kinds_grid, run_grid, runs_grid
from prefbench.reports.validation.unmet import unmet_notes, unmet_requirements
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.sets import CROWD_KEY
from prefbench.score.summarise import store_summary
from prefbench.suites.picturebook.suite import Picturebook
from tests.support.stored import scores_of
from tests.support.toy_runs import build


def test_fid_at_unequal_n_is_marked(runs: list[ScoredFolder]) -> None:
    assert "not comparable" not in to_markdown(runs_grid(compare(runs)))
    header, rows = scores_of(runs[0].folder, "fid")
    runs[0].folder.write_scores("fid", header, [{**row, "n": 5} for row in rows])
    store_summary(ScoredFolder.open(runs[0].path))
    uneven = [ScoredFolder.open(runs[0].path), *runs[1:]]
    assert "fid stands on 5 and 6 samples: not comparable between these" in to_markdown(runs_grid(compare(uneven)))


def test_missing_values_are_shown_and_counted(tmp_path: Path) -> None:
    base = build(tmp_path / "base", "prompt-only", {"ann": 0.1, "bob": None, "cyd": 0.3})
    none = build(tmp_path / "none", "broken", float("nan"))
    text = to_text(run_grid(compare([base]), "prompt-only"))
    assert re.search(r"utility ↑† +0\.250°‡ \[.*\] +2 × 2 × 2 = 8 +4$", text, re.MULTILINE)
    assert "1 of 3 users failed altogether: no number speaks of such users or prompts" in text
    assert "4 of 12 samples failed: 4 × RuntimeError: no luck" in text
    both = to_text(runs_grid(compare([base, none])))
    assert "— (12 missing)" in both
    assert "nan" not in both.lower()


def test_controls_stand_below_the_rule_and_are_not_ranked(runs: list[ScoredFolder]) -> None:
    grid = runs_grid(compare(runs))
    assert [[row[0] for row in section] for section in grid.sections] == [["ours", "prompt-only"], ["inferred"]]
    assert grid.columns[:4] == ("method", "rank", "gap-closed ↑†", "utility ↑†")
    assert grid.sections[1][0][1] == ""
    # fid stands on 6 samples, the line on 12: the cell says so.
    assert grid.sections[0][0][grid.columns.index("fid (toy) ↓")].endswith("n 3 × 2, 6")


def test_differences_carry_their_p_and_n(runs: list[ScoredFolder]) -> None:
    grid = difference_grid(compare(runs))
    assert grid.columns == ("method", "utility ↑", "utility/silent ↑", N, "missing")
    assert grid.sections[0][0][:2] == ("ours", "+0.300\n[no interval]\np 0.500")
    assert grid.sections[0][0][3:] == ("3 × 2 × 2 = 12", "0")


def test_tables_of_several_runs_say_what_they_would_have_shown(tmp_path: Path) -> None:
    users = ("ann", "bob", "cyd", "dan", "eve", "fay")
    base, ours, top = (
        dict(zip(users, values, strict=True))
        for values in ((0.0, 0.1, 0.2, 0.1, 0.2, 0.0), (0.2, 0.4, 0.6, 0.1, 0.5, 0.3), (0.8, 0.6, 0.7, 0.9, 0.8, 0.7))
    )
    methods = {"ours": ours, "prompt-only": base, "inferred": top}
    runs = [build(tmp_path / name, name, values) for name, values in methods.items()]
    comparison = compare(runs)
    widths = []
    for label in ("ours", "inferred"):
        difference = comparison.of(label)["utility"].difference
        assert difference is not None
        assert difference.low is not None
        assert difference.high is not None
        widths.append(difference.high - difference.low)
    # Half a width is 1.96 errors; to exceed it in 4 of 5 cases takes 0.84 more.
    smallest = number(sum(widths) / 2 / 2 * (1.96 + 0.8416) / 1.96)
    note = f"smallest difference in utility that 6 × 2 × 2 = 24 samples show in 4 of 5 cases: {smallest}"
    for grid in (runs_grid(comparison), difference_grid(comparison)):
        assert f"{note} (median over 2 rows, before Holm)." in grid.notes
    assert all("4 of 5 cases" not in line for line in runs_grid(compare([runs[0], runs[2]])).notes)
    page = render(entries_of(runs))
    assert f"{note.replace('utility', 'utility to prompt-only')} (median over 2 rows, before Holm)." in page


def test_narrow_terminals_cut_no_number(runs: list[ScoredFolder]) -> None:
    grid = runs_grid(compare(runs))
    parts = fold(grid, 60)
    assert len(parts) > 1
    assert all(part.columns[0] == "method" and part.columns[-1] == "missing" for part in parts)
    assert {column for part in parts for column in part.columns} == set(grid.columns)
    assert all(max(map(len, to_text(part).splitlines())) <= 60 for part in parts)
    assert "…" not in to_text(grid)


def test_unmet_requirements_stand_under_the_table(tmp_path: Path) -> None:
    path = tmp_path / "unmet.json"
    path.write_text(json.dumps({"tiny": {"clip-score": ["must stay under palette"], "kid": ["must rise under noise"]}}))
    (note,) = unmet_notes("tiny", ["utility", "clip-score", "fid"], path)
    assert note.endswith("required: clip-score (must stay under palette).")
    assert unmet_notes("tiny", ["utility"], path) == unmet_notes("unknown", ["fid"], path) == []
    published = set(unmet_requirements("picturebook"))
    assert "clip-i" in published, "what is published is told"
    failing = {"kid", "fid", "prompt-fidelity"}
    assert published & set(Picturebook.card.metrics) == failing, "no other metric of the default tables may fail"
    (line,) = unmet_notes("picturebook", Picturebook.card.metrics)
    assert "must fall under copies); kid (identical methods" in line


def test_values_that_are_all_equal_are_marked_and_the_line_says_what_stays_unseen(tmp_path: Path) -> None:
    base = build(tmp_path / "base", "prompt-only", dict.fromkeys(("ann", "bob", "cyd"), 0.25))
    for text in (to_text(run_grid(compare([base]), "prompt-only")), to_text(runs_grid(compare([base])))):
        assert re.search(r"0\.300°‡=", text)
        assert text.count("= no user and no prompt differs") == 1
        assert "up to 63 % of users (3 alike) and 78 % of prompts (2 alike) differ as a whole" in " ".join(text.split())


def test_the_crowds_style_stands_in_a_column_beside_the_floor_and_under_the_table(tmp_path: Path) -> None:
    base = build(tmp_path / "base", "prompt-only", {"ann": 0.1, "bob": 0.2, "cyd": 0.4})
    assert "crowd" not in run_grid(compare([base]), "prompt-only").columns
    header, rows = scores_of(base.folder, "fid")
    rows.append({"key": CROWD_KEY, "column": "fid", "value": 7.25, "n": 6})
    base.folder.write_scores("fid", header, rows)
    store_summary(ScoredFolder.open(base.path))
    grid = run_grid(compare([ScoredFolder.open(base.path)]), "prompt-only")
    assert grid.columns[4:6] == ("floor", "crowd")
    (row,) = [row for section in grid.sections for row in section if row[0].startswith("fid")]
    assert row[4:6] == ("3.250", "7.250")
    assert any("the style that most users like" in note and "fid 7.250" in note for note in grid.notes)


def test_marks_of_kinds_of_users_are_explained_under_their_own_table_alone(tmp_path: Path) -> None:
    users = {f"u{i}": i / 40 for i in range(27)}  # 30 in all, of whom 29 are noisy
    comparison = compare([build(tmp_path / "base", "prompt-only", {"ann": 0.1, "bob": 0.2, "cyd": 0.4, **users})])
    of_utility = [row.summary for row in comparison.rows if row.summary.metric == "utility"]
    assert not any("‡" in note for note in legend(of_utility))
    kinds = kinds_grid(comparison, "utility")
    assert any(note.startswith("‡ under 30 users") for note in kinds.notes)
    assert any("‡" in cell for section in kinds.sections for row in section for cell in row)


def test_a_terminal_of_80_columns_shows_a_run_and_its_differences_in_one_table() -> None:
    row = ("preference (mini-dino) ↑", "0.025 [0.016, 0.036]", "+0.012 [-0.013, 0.038] p 0.335")
    columns = ("metric", "mean [95 % interval]", "− prompt-only [95 %], p")
    grid = Grid("copy on picturebook test", columns, [[row]])
    (whole,), (narrow,) = fold(grid, 100), fold(grid, 80)
    assert whole.sections == [[row]]
    assert narrow.sections == [[(row[0], "0.025\n[0.016, 0.036]", "+0.012\n[-0.013, 0.038] p 0.335")]]
    assert max(map(len, to_text(narrow).splitlines())) <= 80
