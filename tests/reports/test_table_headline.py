"""The tables of a terminal: what they show of many metrics, how wide they are, and the lines that explain them."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from prefbench.api import Estimate, SummaryRow, counted, fixed
from prefbench.cli.grids import show, to_text
from prefbench.reports.contrasts.contrasts import contrast
from prefbench.reports.contrasts.grids import contrast_grid, standings_grid
from prefbench.reports.shared.cells import counts, number
from prefbench.reports.shared.frame import headlines
from prefbench.reports.shared.meaning import gap_note, kinds_note, scale_notes, size_note, won_notes
from prefbench.reports.table.compare import ComparedRow, Comparison, compare
from prefbench.reports.table.headline import difference_headline, run_headline, runs_headline
from prefbench.reports.table.report import Table
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import summarise
from tests.support.toy_runs import build

METRICS = {
    "preference": "preference", "preference/gain": "preference", "utility": "preference", "clip-score": "adherence",
    "prompt-fidelity": "adherence", "fid": "fidelity", "kid": "fidelity", "copy-rate": "side", "diversity": "side",
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wide(runs: list[ScoredFolder]) -> Comparison:
    """The comparison of the runs with a row of each metric for each run, as wide as numbers get."""
    comparison = compare(runs)
    row = next(row for row in comparison.rows if row.summary.metric == "utility" and row.difference)
    difference = Estimate(-102.3, -202.1, -2.3, 100, 10, 1000, 0)

    def of(label: str, metric: str, question: str) -> ComparedRow:
        ends = (-10.5, -102.32, 300.52) if metric == "fid" else (0.5, -0.312, 0.601)
        value, low, high = ends
        summary = replace(row.summary, metric=metric, question=question, value=value, low=low, high=high)
        summary = replace(summary, users_only=metric != "fid")
        return replace(row, label=label, summary=summary, difference=difference, p_holm=0.0001)

    rows = [of(label, metric, question) for label in comparison.runs for metric, question in METRICS.items()]
    return replace(comparison, rows=rows)


def widest(text: str) -> int:
    return max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()))


def test_tables_of_several_runs_fit_100_columns(runs: list[ScoredFolder]) -> None:
    comparison = wide(runs)
    for grid in (runs_headline(comparison), difference_headline(comparison)):
        assert widest(to_text(replace(grid, notes=()))) <= 100
    assert runs_headline(comparison).columns[2:] == ("utility ↑†", "clip-score ↑†", "fid ↑†", "copy-rate ↑†")


def test_the_table_of_one_run_fits_100_columns_and_leaves_parts_out(runs: list[ScoredFolder]) -> None:
    several = wide(runs)
    first = next(iter(several.runs))
    rows = [row for row in several.rows if row.label == first]
    comparison = replace(several, runs={first: several.runs[first]}, rows=rows, ranks={})
    grid = run_headline(comparison, next(iter(comparison.runs)))
    assert widest(to_text(replace(grid, notes=()))) <= 100
    assert not any("/" in row[0] for section in grid.sections for row in section)
    assert "Not shown: parts of metrics; the report has them, and --all shows them." in grid.notes


def test_contrasts_and_standings_fit_100_columns(tmp_path: Path) -> None:
    names = ("attribute-rewrite", "prompt-only", "ip-adapter")
    runs = [build(tmp_path / name, name, {"ann": i, "bob": 2.0 * i, "cyd": -i}) for i, name in enumerate(names)]
    comparison = contrast(runs, lambda: pytest.fail("no set-level metric"), all_pairs=True, metrics=("utility",))
    assert comparison.standings is not None
    for grid in (contrast_grid(comparison), standings_grid(comparison, comparison.standings)):
        assert widest(to_text(replace(grid, notes=()))) <= 100


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_is_never_passed_and_no_number_is_lost(
    runs: list[ScoredFolder], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    grid, screen = runs_headline(wide(runs)), Terminal()
    show([grid], screen)
    assert widest(screen.getvalue()) <= width
    assert screen.getvalue().count("[-0.312, 0.601]") == 3 * len(runs)
    assert screen.getvalue().count("[-102.32, 300.52]") == len(runs)


def test_a_long_label_goes_on_below_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    name = "ours (liked_only=False, negative=average, user_guidance=2.0)"
    runs = [build(tmp_path / "a", name, 0.2), build(tmp_path / "b", "prompt-only", 0.1)]
    screen = Terminal()
    show([runs_headline(compare(runs))], screen)
    assert widest(screen.getvalue()) <= 100
    assert "ours (liked_only=False," in screen.getvalue()


def test_every_column_is_there_where_it_is_asked_for(runs: list[ScoredFolder]) -> None:
    comparison = compare(runs)
    few, every = Table().tables(comparison)[0], Table(full=True).tables(comparison)[0]
    assert "missing" in every.columns
    assert "missing" not in few.columns


def test_the_headline_is_the_first_of_each_question_and_a_plug_in_takes_no_place() -> None:
    own = {"aaa": "preference", "zz": "side"}
    assert headlines(own | METRICS) == ["utility", "clip-score", "fid", "copy-rate"]
    assert headlines(METRICS | {"gap-closed": "preference"})[0] == "gap-closed"
    assert headlines(own) == ["aaa", "zz"]


def test_a_headline_without_any_value_gives_way_to_the_next(runs: list[ScoredFolder]) -> None:
    comparison = wide(runs)
    rows = [
        replace(row, summary=replace(row.summary, value=None)) if row.summary.metric == "copy-rate" else row
        for row in comparison.rows
    ]
    assert runs_headline(replace(comparison, rows=rows)).columns[-1] == "diversity ↑†"


def test_what_rounds_to_zero_has_no_minus() -> None:
    assert [number(value) for value in (-0.0, -0.0004, -0.0006, 0.0004)] == ["0.000", "0.000", "-0.001", "0.000"]
    assert number(-0.04, like=-250.0) == "0.0"
    assert [fixed(-0.001, 2), fixed(-0.0, 0), fixed(None, 3)] == ["0.00", "0", "—"]


def test_one_of_a_thing_is_not_several() -> None:
    assert [counted(n, "user") for n in (0, 1, 2, 1000)] == ["0 users", "1 user", "2 users", "1,000 users"]
    assert counts(Estimate(0.5, None, None, 1, 0, 1, 0)) == "1 user"


def test_a_table_without_the_gap_says_what_to_run() -> None:
    (line,) = gap_note(["utility"], ["ours", "prompt-only"])
    assert "no gap-closed: it takes scored runs of inferred" in line
    assert line.endswith("prefbench run --method inferred.")
    assert gap_note(["utility", "gap-closed"], ["ours"]) == []
    assert gap_note(["preference"], ["ours"]) == [
        "no gap-closed: it is made from utility, which only a suite that knows the truth has; "
        "the headline here is preference."
    ]


def test_the_line_about_the_gap_stands_under_the_table(tmp_path: Path) -> None:
    run = build(tmp_path / "a", "ours", 0.2)
    comparison = compare([run])
    for full in (False, True):
        assert any(line.startswith("no gap-closed") for line in Table(full=full).tables(comparison)[0].notes)


def test_n_is_told_as_users_prompts_and_samples(tmp_path: Path, runs: list[ScoredFolder]) -> None:
    assert size_note(runs[:1]) == ["n: 3 users × 2 prompts × 2 samples of a prompt, 12 samples in all."]
    one = build(tmp_path / "one", "ours", 0.2, present=("ann",))
    assert size_note([one]) == ["n: 1 user × 2 prompts × 2 samples of a prompt, 4 samples in all."]
    half = replace(runs[0], samples=[s for s in runs[0].samples if (s.user == "ann") == (s.prompt == "a cat")])
    assert size_note([half]) == ["n: 3 users × 1 of 2 prompts each × 2 samples of a prompt, 6 samples in all."]


def won(metric: str, *controls: str) -> SummaryRow:
    return SummaryRow("m", None, metric, "all", 0.5, 0.1, 0.9, 3, 2, 12, 0, "up", "side", won_by=controls)


def test_a_mark_says_how_the_control_wins() -> None:
    lines = won_notes([won("utility", "copy"), won("fid", "copy"), won("kid", "copy"), won("copy-rate", "other-user")])
    assert lines == [
        "† the control copy can win utility without doing what is asked: it does not look at the prompt.",
        "† the control copy can win fid, kid without doing what is asked: "
        "it looks at neither prompt nor user, and copied pictures are real ones.",
        "† the control other-user can win copy-rate without doing what is asked: "
        "only copies of the own user's likes are counted, not those of anybody else's.",
    ]
    assert won_notes([won("mine", "copy")]) == ["† the control copy can win mine without doing what is asked."]


def test_scales_are_told_of_the_shown_metrics_alone() -> None:
    assert scale_notes(["fid"]) == []
    (line,) = scale_notes(["preference", "fid", "gap-closed"])
    assert line.startswith("preference: a probability; of /gain 0 is chance")
    assert "gap-closed: 0 is prompt-only, 1 is inferred" in line
    assert "utility" not in line


def test_kinds_of_user_are_explained_in_the_words_of_their_suite(runs: list[ScoredFolder]) -> None:
    known = replace(runs[0], description={**runs[0].description, "spec": {**runs[0].spec, "suite": "picturebook"}})
    assert kinds_note(known) == [
        "kinds of user: noisy, one taste, three times the noise; "
        "sparse, as consistent, but methods see two likes and no dislikes."
    ]
    assert kinds_note(runs[0]) == []


def test_a_set_of_all_images_stands_on_what_the_other_metrics_do(
    runs: list[ScoredFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {row.n_pairs for row in summarise(runs[0]) if row.metric == "fid"} == {0}, "6 of 12 images"
    monkeypatch.setattr(ScoredFolder, "set_size", lambda *_: 12)
    assert len({counts(row) for row in summarise(runs[0]) if row.kind == "all"}) == 1
