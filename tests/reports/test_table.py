"""Reports of small synthetic run folders: numbers by hand, hostile text, missing values, pixels at their places."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from scipy.stats import kendalltau

from prefbench.api import Grid, History, Judgment, Picture, PrefbenchError, Sample, plain
from prefbench.cli.grids import fold, show, to_text
from prefbench.reports.leaderboard import publish
from prefbench.reports.shared.escape import code_block, csv_cell, latex, markdown
from prefbench.reports.shared.grid import to_latex, to_markdown
from prefbench.reports.table.compare import Comparison, as_json, compare, label_runs
from prefbench.reports.table.figures import draw_figure
from prefbench.reports.table.gallery import TILE, choose_users, draw_gallery, fit, page_size, place
from prefbench.reports.table.grids import difference_grid, number, run_grid, runs_grid
from prefbench.reports.table.page import write_report
from prefbench.reports.validation.shortcomings import shortcoming_notes, shortcomings
from prefbench.run.folder import RunFolder
from prefbench.score.stored import samples_digest
from prefbench.score.summarise import store_summary
from prefbench.score.summary import Run
from prefbench.stats.tests import holm
from prefbench.suites.picturebook.suite import Picturebook

USERS, PROMPTS, INDICES = ("ann", "bob", "cyd"), ("a cat", "a dog"), (0, 1)
HOSTILE = "x|y <script>alert(1)</script> [red]bold[/red] =cmd() **b** `c`\x1b[31m\nhttps://e.vil @you"
Values = Mapping[str, float | None] | float
KINDS = {"ann": "noisy", "bob": "sparse", "cyd": "noisy"}


def build(folder: Path, method: str, utility: Values, **options: Any) -> Run:
    """A scored run; `utility` is a value a user: None for failed samples, NaN for drawn ones without a value."""
    spec = {
        "suite": "toy", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method": method,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b" * 64,
        "steps": 2, "guidance": 1.0, "dtype": "float32", "seed": 0, "samples_per_case": 2, "users": None, "batch": 4,
        **options.get("spec", {}),
    }  # fmt: skip
    store = RunFolder(folder)
    is_control = options.get("is_control", method in ("inferred", "copy"))
    store.write_description(
        {
            "spec": spec,
            "method": {"name": method, "version": "1", "control": is_control},
            "kinds": KINDS,
            "planned": len(options.get("present", USERS)) * len(PROMPTS) * len(INDICES) + options.get("undrawn", 0),
            "command": options.get("command", f"prefbench run --method {method} --out /home/me/runs"),
            "environment": {
                "versions": {"python": "3.11", "torch": "2.9"},
                "hardware": {"cores": 2},
                "code": {"commit": "0123456789abcdef", "dirty": False},
            },
        }
    )
    per_user = utility if isinstance(utility, Mapping) else dict.fromkeys(USERS, utility)
    samples = [
        _sample(store, method, user, p, i, per_user.get(user), options)
        for user in USERS
        for p in PROMPTS
        for i in INDICES
    ]
    samples = [sample for sample in samples if sample.user in options.get("present", USERS)]
    store.append_samples(samples)
    _score(store, samples, per_user)
    store_summary(Run.open(folder))
    return Run.open(folder)


def _sample(store: RunFolder, method: str, user: str, prompt: str, index: int, value: Any, options: Any) -> Sample:
    failed = value is None
    colour = (40 * USERS.index(user), 90 * PROMPTS.index(prompt), 100 + index)
    image = None if failed else store.put_image(Image.new("RGB", (32, 32), colour))
    return Sample(
        key=f"{method}/{user}/{prompt}/{index}", user=user, case=f"{user}/{prompt}",
        prompt=options.get("prompts", {}).get(prompt, prompt), index=index, seed=1,
        status="failed" if failed else "ok", image=image, seconds=0.5, nfe=4,
        error=options.get("error", "RuntimeError: no luck") if failed else None,
    )  # fmt: skip


def _score(store: RunFolder, samples: Sequence[Sample], per_user: Mapping[str, float | None]) -> None:
    """Rows as `scoring` writes them: one metric with a part, one over sets."""
    drawn = [sample for sample in samples if sample.image]
    header = {
        "metric": "utility@1[toy]",
        "direction": "up",
        "question": "preference",
        "unit": "image",
        "won_by": ["copy"],
        "extractor": None,
        "samples": samples_digest(samples),
    }
    rows = []
    for sample in drawn:
        value = per_user[sample.user]
        value = None if value is None or np.isnan(value) else value + 0.1 * sample.index
        part = None if value is None else 2 * value
        rows += [
            {"key": sample.key, "column": "utility", "value": value},
            {"key": sample.key, "column": "utility/silent", "value": part},
        ]
    store.write_scores("utility", header, rows)
    fid = {
        "metric": "fid@1[toy]",
        "direction": "down",
        "question": "fidelity",
        "unit": "set",
        "won_by": [],
        "extractor": "toy",
        "samples": samples_digest(samples),
    }
    values = {"set": 12.5, "floor": 3.25, **{f"without/user/{i}": 12.0 + i for i in range(len(USERS))}}
    store.write_scores("fid", fid, [{"key": k, "column": "fid", "value": v, "n": 6} for k, v in values.items()])


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """`ours` between `prompt-only` and `inferred`, unequal over users."""
    return [
        build(tmp_path / "ours", "ours", {"ann": 0.2, "bob": 0.4, "cyd": 0.6}),
        build(tmp_path / "base", "prompt-only", {"ann": 0.0, "bob": 0.1, "cyd": 0.2}),
        build(tmp_path / "top", "inferred", {"ann": 0.8, "bob": 0.6, "cyd": 0.7}),
    ]


def history(user: str) -> History:
    """Pictures of one colour, in three sizes; `bob` dislikes nothing."""
    liked = [
        Judgment(Picture.of(Image.new("RGB", size, (250, 10, 10))), "p", True)
        for size in ((32, 32), (300, 150), (40, 20))
    ]
    disliked = [] if user == "bob" else [Judgment(Picture.of(Image.new("RGB", (32, 32), (10, 10, 250))), "p", False)]
    return History(user, tuple(liked), tuple(disliked))


# ------------------------------------------------------------------------------------------------ compare


def test_difference_gap_and_holm_by_hand(runs: list[Run]) -> None:
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


def test_runs_can_be_held_against_another_method(runs: list[Run]) -> None:
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


def test_samples_and_their_values_come_as_one_table(tmp_path: Path) -> None:
    build(tmp_path / "run", "ours", {"ann": 0.2, "bob": None, "cyd": 0.6})
    table = pandas.read_parquet(tmp_path / "run" / "samples.parquet")
    assert len(table) == len(USERS) * len(PROMPTS) * len(INDICES)
    assert table.groupby("user")["utility"].mean().to_dict() == pytest.approx(
        {"ann": 0.25, "bob": np.nan, "cyd": 0.65}, nan_ok=True
    )
    assert set(table.loc[table.user == "bob", "status"]) == {"failed"}
    assert dict(zip(table.user, table.kind, strict=True)) == KINDS


def test_two_recipes_are_not_one_column(tmp_path: Path) -> None:
    one, other = build(tmp_path / "one", "ours", 0.5), build(tmp_path / "two", "prompt-only", 0.1)
    header, rows = other.folder.scores("fid") or ({}, [])
    other.folder.write_scores("fid", {**header, "extractor": "another"}, rows)
    with pytest.raises(PrefbenchError, match=r"fid was scored by two recipes, .*toy and .*another: prefbench score"):
        compare([one, Run.open(tmp_path / "two")])


def test_scores_of_other_samples_are_refused(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "ours", 0.5)
    run.folder.append_samples([replace(run.samples[0], image="0" * 64)])
    with pytest.raises(PrefbenchError, match="the scores of fid are of other samples; prefbench score"):
        Run.open(tmp_path / "run").summary()


def test_another_sampler_is_said_in_every_label(tmp_path: Path) -> None:
    runs = [build(tmp_path / "a", "ours", 0.5, spec={"guidance": 9.0}), build(tmp_path / "b", "prompt-only", 0.1)]
    assert label_runs(runs) == ["ours (guidance=9.0)", "prompt-only (guidance=1.0)"]


def test_a_parameter_may_be_called_like_a_setting(tmp_path: Path) -> None:
    runs = [build(tmp_path / str(n), "ours", 0.5, spec={"parameters": {"steps": n}}) for n in (4, 8)]
    assert label_runs(runs) == ["ours (-p steps=4)", "ours (-p steps=8)"]


def test_a_run_reports_its_differences_to_runs_beside_it(runs: list[Run], tmp_path: Path) -> None:
    path = write_report(runs[:1], tmp_path / "report", history=history, beside=runs[1:])
    page, rows = path.read_text(), (tmp_path / "report" / "rows.csv").read_text()
    assert "gap-closed" in page
    assert "gap-closed" in rows
    assert "inferred," not in rows.split("\n", 1)[1]


def test_fid_at_unequal_n_is_marked(runs: list[Run]) -> None:
    assert "not comparable" not in to_markdown(runs_grid(compare(runs)))
    header, rows = runs[0].folder.scores("fid") or ({}, [])
    runs[0].folder.write_scores("fid", header, [{**row, "n": 5} for row in rows])
    store_summary(Run.open(runs[0].path))
    uneven = [Run.open(runs[0].path), *runs[1:]]
    assert "fid stands on 5 and 6 samples: not comparable between these" in to_markdown(runs_grid(compare(uneven)))


def test_two_runs_with_one_result_file_are_not_published(runs: list[Run], tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", "ours", 0.5, spec={"parameters": {"scale": 2}})
    with pytest.raises(PrefbenchError, match=r"two of these runs would both be published as ours\.json"):
        publish.publish([*runs, twin], folder=tmp_path / "results", page=tmp_path / "page.md")
    assert not (tmp_path / "results").exists()


def test_twins_are_labelled_by_what_differs_and_refused_if_nothing_does(tmp_path: Path) -> None:
    weak = build(tmp_path / "weak", "ours", 0.1, spec={"parameters": {"scale": 0.5, "layers": 4}})
    strong = build(tmp_path / "strong", "ours", 0.2, spec={"parameters": {"scale": 1.0, "layers": 4}})
    other = build(tmp_path / "other", "ours", 0.2, spec={"control": "other-user"})
    assert list(compare([weak, strong, other]).runs) == ["ours (scale=0.5)", "ours (scale=1.0)", "ours + other-user"]
    with pytest.raises(PrefbenchError, match="twice"):
        compare([weak, weak])


def test_ranks_are_of_honest_methods_only(runs: list[Run]) -> None:
    found = compare(runs)
    assert [(label, rank.rank) for label, rank in found.ranks.items()] == [("ours", 1), ("prompt-only", 2)]


def test_a_class_from_a_file_is_no_baseline_whatever_it_calls_itself(tmp_path: Path) -> None:
    ours = build(tmp_path / "ours", "ours", 0.5)
    pretender = build(tmp_path / "file", "prompt-only", 0.1, spec={"method": "mine.py:Mine"})
    assert compare([ours, pretender]).of("ours")["utility"].difference is None


def test_json_rows_have_the_promised_keys_and_are_json(runs: list[Run]) -> None:
    rows = as_json(compare(runs).rows)
    promised = {"method", "control", "metric", "value", "low", "high", "n_users", "n_prompts", "n_samples", "missing"}
    assert all(promised | {"kind", "direction", "difference", "p", "p_holm"} <= set(row) for row in rows)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    fid = next(row for row in rows if row["metric"] == "fid" and row["method"] == "ours")
    assert (fid["value"], fid["floor"], fid["n_samples"], fid["difference"]) == (12.5, 3.25, 6, None)


# ----------------------------------------------------------------------------------------------- escaping


def test_hostile_text_is_harmless_everywhere() -> None:
    shown = markdown(HOSTILE)
    assert not re.search(r"(?<!\\)[|`*\[\]]|[<>\x1b\n@]|://", shown)
    assert markdown("#1 @a &#64;") == r"\#1 &#64;a &amp;\#64;"
    assert plain("a\u202eb\x1b[0m") == "a�b�[0m"
    assert csv_cell("=cmd()") == "'=cmd()"
    assert csv_cell(" -2+3") == "'-2+3"
    assert csv_cell(-1.5) == -1.5
    assert latex(r"50%_\x{}") == r"50\%\_\textbackslash{}x\{\}"
    assert code_block("a ``` b").splitlines() == ["````", "a ``` b", "````"]


def test_hostile_cells_stay_in_their_cells(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid("t", ("method", "n"), [[(HOSTILE, "1")]], [HOSTILE])
    cells = re.split(r"(?<!\\)\|", to_markdown(grid).splitlines()[2])
    assert len(cells) == 4
    assert "[red]bold[/red]" in to_text(grid)
    assert "\x1b" not in to_text(grid)
    assert to_latex(grid).count("&") == 2
    show([grid])
    assert capsys.readouterr().out == to_text(grid)


def test_hostile_errors_and_commands_stay_harmless_in_the_report(tmp_path: Path) -> None:
    run = build(tmp_path / "r", "ours", {"ann": 0.1, "bob": 0.2}, error=HOSTILE, command=f"run\n```\n{HOSTILE}")
    page = write_report([run], tmp_path / "report").read_text()
    fences = [line for line in page.splitlines() if re.fullmatch(r"`{3,}", line)]
    assert fences == ["````", "````"]
    assert "<script>" not in page.replace(next(line for line in page.splitlines() if line.startswith("run ")), "")
    assert "4 of 12 samples failed: 4 × x\\|y &lt;script&gt;" in page


# ------------------------------------------------------------------------------------------ tables, report


def test_missing_values_are_shown_and_counted(tmp_path: Path) -> None:
    base = build(tmp_path / "base", "prompt-only", {"ann": 0.1, "bob": None, "cyd": 0.3})
    none = build(tmp_path / "none", "broken", float("nan"))
    text = to_text(run_grid(compare([base]), "prompt-only"))
    assert re.search(r"utility ↑† +0\.250 \[.*\] +2 × 2, 8 +4$", text, re.MULTILINE)
    assert "4 of 12 samples failed: 4 × RuntimeError: no luck" in text
    both = to_text(runs_grid(compare([base, none])))
    assert "— (12 missing)" in both
    assert "nan" not in both.lower()


def test_controls_stand_below_the_rule_and_are_not_ranked(runs: list[Run]) -> None:
    grid = runs_grid(compare(runs))
    assert [[row[0] for row in section] for section in grid.sections] == [["ours", "prompt-only"], ["inferred"]]
    assert grid.columns[:4] == ("method", "rank", "gap-closed ↑†", "utility ↑†")
    assert grid.sections[1][0][1] == ""
    # fid stands on 6 samples, the line on 12: the cell says so.
    assert grid.sections[0][0][grid.columns.index("fid ↓")].endswith("n 3 × 2, 6")


def test_the_report_holds_every_number_with_its_n(runs: list[Run], tmp_path: Path) -> None:
    path = write_report(runs, tmp_path / "report", history=history)
    page = path.read_text()
    for row in compare(runs).rows:
        if row.summary.value is not None and "/" not in row.summary.metric:
            assert number(row.summary.value) in page
            assert f"{row.summary.n_users} × {row.summary.n_prompts}, {row.summary.n_samples}" in page
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (path.parent / link).is_file()
    assert "p 0.500" in page
    assert "torch 2.9" in page
    table = list(csv.DictReader(io.StringIO((path.parent / "rows.csv").read_text())))
    assert len(table) == len(compare(runs).rows)
    assert float(table[0]["value"]) == compare(runs).rows[0].summary.value


def test_differences_carry_their_p_and_n(runs: list[Run]) -> None:
    grid = difference_grid(compare(runs))
    assert grid.columns == ("method", "utility ↑", "utility/silent ↑", "n users ×\nprompts, samples", "missing")
    assert grid.sections[0][0][:2] == ("ours", "+0.300\n[0.200, 0.400]\np 0.500")
    assert grid.sections[0][0][3:] == ("3 × 2, 12", "0")


def test_tables_of_several_runs_say_what_they_would_have_shown(runs: list[Run], tmp_path: Path) -> None:
    found = compare(runs)
    widths = []
    for label in ("ours", "inferred"):
        difference = found.of(label)["utility"].difference
        assert difference is not None
        assert difference.low is not None
        assert difference.high is not None
        widths.append(difference.high - difference.low)
    # Half a width is 1.96 errors; to exceed it in 4 of 5 cases takes 0.84 more.
    smallest = number(sum(widths) / 2 / 2 * (1.96 + 0.8416) / 1.96)
    note = f"smallest difference in utility that 3 users × 2 prompts, 12 samples show in 4 of 5 cases: {smallest}"
    for grid in (runs_grid(found), difference_grid(found)):
        assert f"{note} (median over 2 rows, before Holm)." in grid.notes
    assert all("4 of 5 cases" not in line for line in runs_grid(compare([runs[0], runs[2]])).notes)
    publish.publish(runs, folder=tmp_path / "results", page=tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert f"{note.replace('utility', 'utility to prompt-only')} (median over 2 rows, before Holm)." in page


def test_narrow_terminals_cut_no_number(runs: list[Run]) -> None:
    grid = runs_grid(compare(runs))
    parts = fold(grid, 60)
    assert len(parts) > 1
    assert all(part.columns[0] == "method" and part.columns[-1] == "missing" for part in parts)
    assert {column for part in parts for column in part.columns} == set(grid.columns)
    assert all(max(map(len, to_text(part).splitlines())) <= 60 for part in parts)
    assert "…" not in to_text(grid)


# --------------------------------------------------------------------------------------- gallery, figure


def test_gallery_shows_each_picture_at_its_place(runs: list[Run], tmp_path: Path) -> None:
    path = draw_gallery(runs[0], history, tmp_path / "gallery.png")
    page = np.asarray(Image.open(path).convert("RGB"))
    assert page.shape[1::-1] == page_size(3)
    # Users kind by kind: ann and cyd are noisy, bob is sparse.
    tiles = {
        (0, "liked"): (250, 10, 10),
        (0, "disliked"): (10, 10, 250),
        (1, "drawn"): (80, 0, 100),
        (2, "disliked"): (255, 255, 255),
    }
    for (row, group), colour in tiles.items():
        corner = place(row, group, 0)
        tile = page[corner.y + TILE // 2 : corner.y + TILE, corner.x : corner.x + TILE]
        assert (tile == colour).all(), (row, group)


def test_small_pictures_are_enlarged_unsmoothed_and_large_ones_reduced() -> None:
    checker = Image.fromarray(np.indices((32, 32)).sum(axis=0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.array_equal(np.asarray(fit(checker)), np.asarray(checker).repeat(4, axis=0).repeat(4, axis=1))
    wide = np.asarray(fit(Image.new("RGB", (512, 256), (1, 2, 3))))
    assert wide.shape == (TILE, TILE, 3)
    assert (wide[32:96] == (1, 2, 3)).all()
    assert (wide[:32] != (1, 2, 3)).any()


def test_users_are_taken_one_of_each_kind_in_turn() -> None:
    kinds = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "z", "f": "z"}
    assert choose_users(kinds, 4) == ["a", "b", "d", "e"]
    assert choose_users(kinds, 99) == ["a", "b", "c", "d", "e", "f"]


def test_figure_is_written_twice_and_repeats_exactly(runs: list[Run], tmp_path: Path) -> None:
    found: Comparison = compare(runs)
    png, pdf = draw_figure(found, tmp_path / "figure")
    with Image.open(png) as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert draw_figure(found, tmp_path / "again")[1].read_bytes() == pdf.read_bytes()


# -------------------------------------------------------------------------------------------- leaderboard


def test_leaderboard_check_follows_the_results(runs: list[Run], tmp_path: Path) -> None:
    folder, page = tmp_path / "results", tmp_path / "leaderboard.md"
    arguments = ["--results", str(folder), "--page", str(page)]
    written = publish.publish(runs, folder=folder, page=page)
    assert publish.main([*arguments, "--check"]) == 0
    path = folder / "toy" / "ours.json"
    assert path in written
    result = json.loads(path.read_text())
    next(row for row in result["rows"] if row["metric"] == "gap-closed")["value"] = 0.987
    publish.write_result(result, folder)
    assert publish.main([*arguments, "--check"]) == 1
    assert publish.main(arguments) == 0
    assert publish.main([*arguments, "--check"]) == 0
    assert "0.987" in page.read_text()


def test_leaderboard_sets_the_frame_apart_and_keeps_reported_figures_below(runs: list[Run], tmp_path: Path) -> None:
    publish.publish(runs, folder=tmp_path / "results", page=tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    order = [
        page.index(text)
        for text in ("| ours ", "| prompt-only ", "| inferred ", "## Reported by papers", "143.79", "0.6889")
    ]
    assert order == sorted(order)
    ours = next(line for line in page.splitlines() if line.startswith("| ours "))
    assert "3 × 2, 12" in ours
    assert "0123456" in ours
    assert "0.500<br>" in ours


def test_results_are_whole_and_name_no_machine(runs: list[Run]) -> None:
    result = publish.result_of(runs[0], runs[1:], date="2026-01-01")
    assert result["command"] == "prefbench run --method ours"
    assert (result["commit"], result["dirty"], result["seed"]) == ("0123456789abcdef", False, 0)
    assert result["metrics"]["utility"] == "utility@1[toy]"
    assert result["cost"]["nfe_per_image"] == 4
    assert "/home" not in json.dumps(result)


def test_partial_runs_and_runs_without_a_frame_are_not_published(tmp_path: Path) -> None:
    part = build(tmp_path / "part", "ours", 0.1, spec={"users": 2})
    with pytest.raises(PrefbenchError, match="users 2"):
        publish.result_of(part, [])
    with pytest.raises(PrefbenchError, match="inferred"):
        publish.publish([part], folder=tmp_path, page=tmp_path / "page.md")


def test_an_unfinished_run_says_so_and_is_not_published(tmp_path: Path) -> None:
    floor, cut = build(tmp_path / "floor", "prompt-only", 0.1), build(tmp_path / "cut", "inferred", 0.8, undrawn=5)
    note = "unfinished, 5 of 17 samples are not drawn yet"
    assert note in to_markdown(runs_grid(compare([floor, cut])))
    assert note in write_report([cut], tmp_path / "report").read_text()
    with pytest.raises(PrefbenchError, match=r"cut is unfinished \(5 samples\)"):
        publish.publish([floor, cut], folder=tmp_path / "results", page=tmp_path / "page.md")


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "ours.json").write_text("{}")
    with pytest.raises(PrefbenchError, match=r"ours\.json"):
        publish.render(tmp_path)


def test_the_committed_leaderboard_is_up_to_date() -> None:
    assert publish.main(["--check"]) == 0


def committed() -> dict[str, dict[str, dict[str, Any]]]:
    """Rows over all users by method (and control) and metric."""
    return {
        ".".join(filter(None, [result["method"], result["control"]])): {
            row["metric"]: row for row in result["rows"] if row["kind"] == "all"
        }
        for result in publish.load_results(publish.RESULTS)
    }


def test_the_committed_frame_holds() -> None:
    """The controls bound what a method can reach, and each shows what it is there to show."""
    rows = committed()

    def value(run: str, metric: str = "utility") -> float:
        return float(rows[run][metric]["value"])

    assert value("ideal") >= 0.9
    assert value("ideal") > value("inferred") > value("prompt-only")
    assert value("inferred") >= 0.6
    assert abs(value("prompt-only")) <= 0.1
    for group in ("utility/worded", "utility/semantic"):
        assert value("truth", group) >= 0.75 * value("ideal", group)
    assert abs(rows["truth"]["utility/silent"]["difference"]) <= 0.05, "words say nothing of the silent axes"
    assert value("copy", "prompt-fidelity") < 0.5 * value("prompt-only", "prompt-fidelity")
    assert rows["inferred.other-user"]["utility"]["difference"] <= 0.05
    assert rows["inferred.flipped"]["utility"]["difference_high"] < 0
    # Probing needs histories that can be halved, and prompts with both verdicts.
    drawn = [row for metrics in rows.values() for name, row in metrics.items() if not name.startswith("probing")]
    assert all(row["missing"] == 0 for row in drawn)


def test_the_committed_preference_orders_runs_as_their_true_utility_does() -> None:
    """And no copy of a like stands above what is drawn for the user."""
    rows = committed()
    pairs = [(metrics["utility"]["value"], metrics["preference"]["value"]) for metrics in rows.values()]
    assert len(pairs) >= 13
    assert kendalltau(*zip(*pairs, strict=True)).statistic >= 0.8
    for run in ("truth", "ours"):
        assert rows["copy"]["preference"]["high"] < rows[run]["preference"]["low"]
    assert not any(row["unranked"] for metrics in rows.values() for row in metrics.values())


def test_what_is_committed_of_ours_is_personal() -> None:
    """It draws for its own user: another user's history is worth nothing, the opposite one harms, words are not all."""
    rows = committed()
    ours, rewriting = rows["ours"], rows["attribute-rewrite"]
    for baseline in ("prompt-only", "ip-adapter", "attribute-rewrite", "random-style"):
        assert ours["utility"]["value"] > rows[baseline]["utility"]["high"]
    assert ours["gap-closed"]["low"] > 0.55
    assert rows["ours.other-user"]["gap-closed"]["value"] <= 0.05
    assert rows["ours.flipped"]["gap-closed"]["high"] < 0
    assert ours["gap-closed/silent"]["value"] > 0.3
    assert rewriting["utility/silent"]["low"] < 0.05, "what words cannot carry"
    plain = rows["prompt-only"]
    assert ours["prompt-fidelity"]["value"] >= plain["prompt-fidelity"]["value"] - 0.02
    assert ours["clip-score"]["value"] >= 0.99 * plain["clip-score"]["value"]
    for distance in ("fid", "kid"):
        others = [rows[name][distance]["value"] for name in ("prompt-only", "ip-adapter", "attribute-rewrite")]
        assert ours[distance]["value"] < min(others)
    assert rows.keys() >= {"ours", "ip-adapter", "attribute-rewrite", "ours.other-user", "ours.flipped"}


def test_what_a_validation_found_wanting_stands_under_the_table(tmp_path: Path) -> None:
    requirements = [
        {"what": "clip-score: must stay under palette", "found": -5.4, "passed": False},
        {"what": "clip-score: must fall under blur", "found": -9.0, "passed": True},
        {"what": "fid: must rise under jpeg", "found": 5.0, "passed": None},
        {"what": "kid: must rise under noise", "found": -5.0, "passed": False},
    ]
    (tmp_path / "tiny.json").write_text(json.dumps({"requirements": requirements}))
    assert shortcomings("tiny", tmp_path) == {
        "clip-score": ["must stay under palette"],
        "kid": ["must rise under noise"],
    }
    (note,) = shortcoming_notes("tiny", ["utility", "clip-score", "fid"], tmp_path)
    assert note.endswith("required: clip-score (must stay under palette).")
    assert shortcoming_notes("tiny", ["utility"], tmp_path) == shortcoming_notes("unknown", ["fid"], tmp_path) == []
    published = set(shortcomings("picturebook"))
    assert "clip-i" in published, "what is published is told"
    assert not published & set(Picturebook.card.metrics), "a metric of the default tables must hold what is required"
