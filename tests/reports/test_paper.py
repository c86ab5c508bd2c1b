"""What a paper is made from: what is set off, what numbers are called, what stands in tables and figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from prefbench.api import PrefbenchError, ReportContext
from prefbench.cli.main import main
from prefbench.reports.leaderboard.entries import load_entries, path_of
from prefbench.reports.paper.cited import Citations, macro
from prefbench.reports.paper.committed import committed_material
from prefbench.reports.paper.folder import INCHES, Width, write_tables
from prefbench.reports.paper.layout import Cell, PaperTable, fit, floats
from prefbench.reports.paper.material import PairTests
from prefbench.reports.paper.probing import curves_of, probing_curves
from prefbench.reports.paper.report import Paper, PaperResult
from prefbench.reports.paper.setting_off import caption, set_off
from prefbench.reports.paper.style import LOOKS, drawable
from prefbench.reports.shared.published import results_folder
from prefbench.score.scored_folder import ScoredFolder
from tests.support.latex import names_of_tex, rows_of_tex
from tests.support.toy_runs import HISTORIES, build

CONTEXT = ReportContext(lambda: HISTORIES)
USERS = [f"u{i:02}" for i in range(14)]
BEST = {user: 0.9 + 0.002 * i for i, user in enumerate(USERS)}
MIDDLE = {user: 0.6 - 0.003 * i for i, user in enumerate(USERS)}
LOW = {user: 0.2 + 0.004 * i for i, user in enumerate(USERS)}
LIKE_MIDDLE = {user: 0.6 - 0.003 * i + (0.01 if i % 2 else -0.01) for i, user in enumerate(USERS)}


def drawn(folder: Path, method: str, values: Mapping[str, float], **options: Any) -> ScoredFolder:
    """A run for these users alone."""
    return build(folder / (options.get("name") or method), method, values, present=tuple(values), **options)


def made(runs: list[ScoredFolder], folder: Path, **options: Any) -> PaperResult:
    """The paper of some runs, written."""
    paper = Paper(**options)
    result = paper.measure(runs, CONTEXT)
    assert all(path.is_file() for path in paper.write(result, folder))
    return result


@pytest.fixture
def apart(tmp_path: Path) -> list[ScoredFolder]:
    """Three methods, each of which differs from the next, and a control."""
    values = {"ours": BEST, "tally": MIDDLE, "prompt-only": LOW}
    runs = [drawn(tmp_path, method, own) for method, own in values.items()]
    return [*runs, drawn(tmp_path, "copy", dict.fromkeys(USERS, 2.0))]


def test_the_best_and_the_second_are_set_off_where_each_differs_from_the_next(
    apart: list[ScoredFolder], tmp_path: Path
) -> None:
    made(apart, tmp_path / "paper", metrics=("utility",))
    table = (tmp_path / "paper" / "table-main.tex").read_text()
    assert re.findall(r"\\bfseries ([\d.]+)", table) == ["0.963"]
    assert re.findall(r"\\underline\{([\d.]+)\}", table) == ["0.630"]
    assert "Bold: the best ranked method where it differs from the next" in table
    assert "2.050" in table, "the control is the best, and no method"
    assert "Holm over the 3 pairs of methods of each metric" in table.replace(r"\allowbreak{}", "")


def test_nothing_is_set_off_where_the_best_does_not_differ_from_the_next(tmp_path: Path) -> None:
    values = {"ours": MIDDLE, "tally": LIKE_MIDDLE, "prompt-only": LOW}
    made([drawn(tmp_path, method, own) for method, own in values.items()], tmp_path / "paper", metrics=("utility",))
    table = (tmp_path / "paper" / "table-main.tex").read_text()
    assert r"\bfseries" not in table
    assert r"\underline" not in table
    assert "No value is set off: no best method differs significantly from the next" in table


def test_what_was_not_tested_is_not_set_off(apart: list[ScoredFolder]) -> None:
    material = Paper(metrics=("utility", "fid")).measure(apart, CONTEXT).material
    assert material.tests.of("utility", "tally", "ours") == material.tests.of("utility", "ours", "tally") is not None
    rows = {label: material.of(label)["utility"].summary for label in material.order if label in material.ranked}
    assert set_off(rows, "utility", material.tests) == {"ours": "best", "tally": "second"}
    untested = PairTests({}, "", "nobody looked")
    assert set_off(rows, "utility", untested) == {}
    assert caption(["utility"], {"utility": rows}, untested).endswith("(nobody looked).")
    no_direction = {label: replace(row, direction="") for label, row in rows.items()}
    assert set_off(no_direction, "utility", material.tests) == {}
    unranked = {label: replace(row, unranked="it trained on it" * (label == "ours")) for label, row in rows.items()}
    assert set_off(unranked, "utility", material.tests) == {"tally": "best"}


def test_a_second_is_set_off_beside_a_best_alone(apart: list[ScoredFolder]) -> None:
    material = Paper(metrics=("utility",)).measure(apart, CONTEXT).material
    rows = {label: material.of(label)["utility"].summary for label in material.order if label in material.ranked}
    tests = PairTests({("utility", "ours", "tally"): 0.06, ("utility", "tally", "prompt-only"): 0.001}, "")
    assert set_off(rows, "utility", tests) == {}
    tests = PairTests({("utility", "tally", "ours"): 0.049, ("utility", "tally", "prompt-only"): 0.06}, "", "")
    assert set_off(rows, "utility", tests) == {"ours": "best"}
    down = {label: replace(row, direction="down") for label, row in rows.items()}
    tests = PairTests({("utility", "tally", "prompt-only"): 0.001}, "", "")
    assert set_off(down, "utility", tests) == {"prompt-only": "best"}


@pytest.mark.parametrize("width", ["column", "text"])
def test_every_number_of_the_tables_is_the_stored_one(apart: list[ScoredFolder], tmp_path: Path, width: Width) -> None:
    result = made(apart, tmp_path / "paper", metrics=("utility", "fid"), width=width)
    order, runs = result.material.order, {run.method: run for run in apart}
    rows = rows_of_tex(tmp_path / "paper" / "table-main.tex")
    assert len(rows) == len(order) == 4
    for label, cells in zip(order, rows, strict=True):
        for metric, printed in zip(("utility", "fid"), cells, strict=True):
            stored = next(r for r in runs[label].summary() if (r.metric, r.kind) == (metric, "all"))
            assert_printed(printed, [stored.value, stored.low, stored.high])
    kinds = rows_of_tex(tmp_path / "paper" / "table-kinds.tex") if result.material.kinds else []
    assert all(len(cells) == 3 for cells in kinds)


def assert_printed(printed: list[float], stored: list[float | None]) -> None:
    """Printed numbers are the stored ones at three, two or one decimals, by the size of the first."""
    known = [value for value in stored if value is not None]
    assert len(printed) == len(known)
    if known:
        half = 0.5 * 10.0 ** -(3 if abs(known[0]) < 10 else 2 if abs(known[0]) < 100 else 1)
        assert printed == pytest.approx(known, abs=half * 1.0001)


@pytest.mark.parametrize("width", ["column", "text"])
def test_committed_tables_hold_the_committed_numbers(tmp_path: Path, width: Width) -> None:
    metrics = ("utility", "preference", "prompt-fidelity", "fid")
    result = Paper(metrics=metrics, width=width).measure([], CONTEXT)
    write_tables(result.material, result.choices, tmp_path)
    entries = {path_of(entry).stem: entry for entry in load_entries(results_folder() / "leaderboard")}
    labels = result.material.order
    stored = {
        (label, row["metric"], row["kind"]): row
        for label in labels
        for row in entries[label.replace(" + ", ".")]["rows"]
    }
    columns: dict[tuple[str, str], list[float]] = {}
    for path in sorted(tmp_path.glob("table-main*.tex")):
        rows = rows_of_tex(path)
        shown = [m for m in metrics if rf"\shortstack{{{m}" in path.read_text().replace(r"\allowbreak{}", "")]
        for label, cells in zip(names_of_tex(path), rows, strict=True):
            assert label in labels
            columns |= {(label, metric): cell for metric, cell in zip(shown, cells, strict=True)}
    assert len(columns) == len(labels) * len(metrics)
    for (label, metric), printed in columns.items():
        row = stored[label, metric, "all"]
        assert_printed(printed, [row["value"], row["low"], row["high"]])


def test_the_other_committed_tables_hold_the_committed_numbers_too(tmp_path: Path) -> None:
    metrics = ("utility", "prompt-fidelity")
    result = Paper(metrics=metrics).measure([], CONTEXT)
    material = result.material
    write_tables(material, result.choices, tmp_path)
    entries = {path_of(entry).stem: entry for entry in load_entries(results_folder() / "leaderboard")}
    stored = {
        (label, row["metric"], row["kind"]): row
        for label in material.order
        for row in entries[label.replace(" + ", ".")]["rows"]
    }
    labels = [label for label in material.order if stored[label, "utility", "all"]["difference"] is not None]
    rows = rows_of_tex(tmp_path / "table-differences.tex")
    for label, cells in zip(labels, rows, strict=True):
        for metric, printed in zip(metrics, cells, strict=True):
            row = stored[label, metric, "all"]
            assert_printed(printed, [row["difference"], row["difference_low"], row["difference_high"]])
    honest = [label for label in material.order if label in material.ranked]
    rows = rows_of_tex(tmp_path / "table-kinds.tex")
    for kind, cells in zip(["all", *material.kinds], rows, strict=True):
        for label, printed in zip(honest, cells, strict=True):
            row = stored[label, "utility", kind]
            assert_printed(printed, [row["value"], row["low"], row["high"]])
    (path,) = (results_folder() / "ablation").glob("*.json")
    rows = rows_of_tex(tmp_path / "table-ablation.tex")
    for variant, cells in zip(json.loads(path.read_text())["rows"], rows, strict=True):
        for metric, value, change in zip(metrics, cells[::2], cells[1::2], strict=True):
            cell = variant["metrics"][metric]
            difference = cell.get("difference", {"value": None, "low": None, "high": None})
            assert_printed(value, [cell[end] for end in ("value", "low", "high")])
            assert_printed(change, [difference[end] for end in ("value", "low", "high")])


@pytest.mark.slow
def test_committed_numbers_by_macro_are_the_committed_ones(tmp_path: Path) -> None:
    made([], tmp_path, metrics=("utility",))
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    entry = json.loads((results_folder() / "leaderboard" / "picturebook" / "ours.json").read_text())
    row = next(row for row in entry["rows"] if (row["metric"], row["kind"]) == ("utility", "all"))
    assert numbers["pbOursUtility"]["value"] == row["value"]
    assert numbers["pbOursUtilityHigh"]["value"] == row["high"]
    assert numbers["pbOursUtilityDifference"]["value"] == row["difference"]
    macros = dict(re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", (tmp_path / "macros.tex").read_text(), re.MULTILINE))
    assert macros.keys() == numbers.keys()
    for name, body in macros.items():
        printed, value = numbers[name]["printed"], numbers[name]["value"]
        digits = re.search(r"\\num\{(-?[\d.]+)\}", body)
        assert digits is not None
        assert digits[1] in printed
        if "<" not in body:
            decimals = len(digits[1].partition(".")[2])
            assert float(digits[1]) == pytest.approx(value, abs=0.5001 * 10.0**-decimals)


def test_macros_are_letters_and_no_two_share_one() -> None:
    assert macro("ours + other-user", "retrieval@10") == "pbOursOtherUserRetrievalOneZero"
    assert re.fullmatch(r"[A-Za-z]+", macro("x\\input{é 猫}", "50%"))
    cited = Citations()
    cited.add(1.0, "1.000", label="a b", metric="c")
    cited.add(2.0, "2.000", label="a", metric="b c")
    cited.add(None, "", label="d", metric="e")
    assert {name: one.value for name, one in cited.numbers.items()} == {"pbABC": 1.0, "pbABCB": 2.0}


def test_figures_have_their_printed_size_and_fonts_that_journals_take(
    apart: list[ScoredFolder], tmp_path: Path
) -> None:
    for width in ("column", "text"):
        folder = tmp_path / width
        made(apart, folder, metrics=("utility",), width=width)
        figures = sorted(folder.glob("*.pdf"))
        assert {"headline", "pictures"} <= {path.stem for path in figures}
        for path in figures:
            content = path.read_bytes()
            box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content)
            assert box is not None
            assert float(box[1]) == pytest.approx(72 * INCHES[width], abs=0.01)
            assert b"/Type3" not in content
            assert b"/FontFile2" in content
            with Image.open(path.with_suffix(".png")) as picture:
                assert picture.width == pytest.approx(300 * INCHES[width], abs=1)


def test_series_are_told_apart_in_grey() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    lightness = sorted(
        116 * luminance(one.colour) ** (1 / 3) - 16 if luminance(one.colour) > 0.01 else 0 for one in LOOKS[:6]
    )
    assert min(b - a for a, b in pairwise(lightness)) > 5
    assert len({one.marker for one in LOOKS}) == len({str(one.line) for one in LOOKS}) == len(LOOKS)


def test_figures_write_what_no_font_has_as_its_code_point() -> None:
    assert drawable("a猫\x1b[31m $x$ copy ⧉") == "a[U+732B]\N{REPLACEMENT CHARACTER}[31m $x$ copy ⋈"


def test_tables_of_earlier_choices_are_taken_away_and_nothing_else(apart: list[ScoredFolder], tmp_path: Path) -> None:
    made(apart, tmp_path, metrics=("utility",))
    (tmp_path / "table-mine.tex").write_text("% mine\n")
    (tmp_path / "table-main.tex").rename(tmp_path / "table-main-1.tex")
    result = Paper(metrics=("utility",)).measure(apart, CONTEXT)
    write_tables(result.material, result.choices, tmp_path)
    assert {path.name for path in tmp_path.glob("table-main*")} == {"table-main.tex"}
    assert (tmp_path / "table-mine.tex").is_file()


def test_one_method_with_two_settings_is_an_ablation(tmp_path: Path) -> None:
    def spec(scale: float) -> dict[str, Any]:
        return {"parameters": {"scale": scale}}

    runs = [
        drawn(tmp_path, "toy-method", BEST, name="a", spec=spec(1.0)),
        drawn(tmp_path, "toy-method", LOW, name="b", spec=spec(2.0)),
        drawn(tmp_path, "toy-method", LIKE_MIDDLE, name="c", spec=spec(3.0)),
        drawn(tmp_path, "prompt-only", MIDDLE),
    ]
    result = made(runs, tmp_path / "paper", metrics=("utility",))
    table = (tmp_path / "paper" / "table-ablation.tex").read_text().replace(r"\allowbreak{}", "")
    assert [row["name"] for row in result.material.variants.rows] == [
        f"toy-method (scale={scale})" for scale in ("1.0", "2.0", "3.0")
    ]
    rows = rows_of_tex(tmp_path / "paper" / "table-ablation.tex")
    assert rows[0][0][0] == pytest.approx(0.963)
    assert rows[1][1][0] == pytest.approx(-0.687)
    assert "Holm over the 2 variants of each metric" in table
    assert "scale=2.0" not in (tmp_path / "paper" / "table-main.tex").read_text().replace(r"\allowbreak{}", "")


def test_what_there_is_nothing_for_is_left_out_and_said(apart: list[ScoredFolder], tmp_path: Path) -> None:
    paper = Paper(metrics=("utility",))
    result = paper.measure(apart, CONTEXT)
    notes = " ".join(paper.tables(result)[0].notes)
    for what in ("history", "dose", "probing", "ablation", "tradeoff"):
        assert f"left out: {what}" in notes
        assert not list(tmp_path.glob(f"*{what}*"))
    assert "pictures" not in notes
    committed = " ".join(paper.tables(Paper().measure([], CONTEXT))[0].notes)
    assert "left out: pictures: committed results hold no pictures" in committed


def test_wrong_choices_are_one_line(apart: list[ScoredFolder]) -> None:
    with pytest.raises(PrefbenchError, match="unknown metric of these runs 'utilty'"):
        Paper(metrics=("utilty",)).measure(apart, CONTEXT)
    with pytest.raises(PrefbenchError, match="unknown user of these runs 'u99'"):
        Paper(users=("u99",)).measure(apart, CONTEXT)
    with pytest.raises(PrefbenchError, match="label must be letters"):
        Paper(label="x}\\input{y")
    with pytest.raises(PrefbenchError, match="give runs"):
        Paper(users=("u01",)).measure([], CONTEXT)
    with pytest.raises(PrefbenchError, match="suite with committed results"):
        committed_material("nowhere")


def test_the_command_line_refuses_a_papers_options_for_other_reports(apart: list[ScoredFolder]) -> None:
    run = str(apart[0].path)
    for option in (["--width", "column"], ["--label", "tab:x"], ["--users", "u01"]):
        outcome = CliRunner().invoke(main, ["report", run, *option])
        assert outcome.exit_code == 2
        assert option[0].removeprefix("--") in outcome.output
        assert len(outcome.output.strip().splitlines()) == 1
    outcome = CliRunner().invoke(main, ["report", run, "--for", "paper", "--width", "wide"])
    assert outcome.exit_code == 2
    assert "column" in outcome.output


def test_a_table_that_does_not_fit_is_set_smaller_then_in_blocks() -> None:
    def table(columns: int, rows: int = 3) -> PaperTable:
        cells = tuple(Cell("-0.123", "[-0.234, 0.345]") for _ in range(columns))
        heads = tuple(f"metric {i} ↑" for i in range(columns))
        return PaperTable("t", "", "method", heads, [[(f"method {i}", cells) for i in range(rows)]])

    assert fit(table(1), 3.25).stacked is False
    assert fit(table(3), 3.25).stacked
    assert len(fit(table(3), 3.25).blocks) == 1
    wide = fit(table(12), 3.25)
    assert [c for block in wide.blocks for c in block] == list(range(12))
    assert len(wide.blocks) > 1
    assert len(floats(table(12), 3.25)) == 1
    apart = floats(table(12, rows=20), 3.25)
    assert [len(part.heads) for part in apart] == [len(block) for block in fit(table(12, rows=20), 3.25).blocks]
    assert [part.stem for part in apart][:2] == ["t-1", "t-2"]


def test_probing_is_read_beside_the_weights_and_a_damaged_table_is_named(tmp_path: Path) -> None:
    assert probing_curves({"ours": ["no-such-weights"]})[0] == []
    curves, left_out = probing_curves({"ours": ["ours-mini-sd"]})
    assert left_out == []
    assert [panel.level is not None for panel in curves[0].panels] == [True] * 3
    (tmp_path / "probing.csv").write_text("layer,pooling,task\n0,last,verification\n")
    with pytest.raises(PrefbenchError, match="is no table of probing"):
        curves_of(tmp_path / "probing.csv", "ours")
