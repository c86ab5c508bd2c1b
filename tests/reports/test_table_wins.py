"""Win rates in tables: over whom they are, what they stand on, whom they call impersonal, what they miss."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefbench.api.runs import NO_BACKBONE, NO_DIGEST
from prefbench.cli.grids import fold, show, to_text
from prefbench.reports.contrasts.contrasts import contrast
from prefbench.reports.shared.commands import command_for
from prefbench.reports.shared.frame import headlines, mismatched, own_column, ranking_metric
from prefbench.reports.table.beside import frame_beside
from prefbench.reports.table.compare import Comparison, as_json, compare
from prefbench.reports.table.grids import run_grid, runs_grid
from prefbench.reports.table.headline import difference_headline, run_headline, runs_headline
from prefbench.reports.table.report import Table
from prefbench.reports.table.together import together
from prefbench.score.scored_folder import ScoredFolder
from tests.support.colours import ColourSuite
from tests.support.toy_runs import Gain, build

GIVEN = {"backbone": NO_BACKBONE, "backbone_digest": NO_DIGEST, "steps": 0, "guidance": 0.0, "dtype": "none"}
USERS = tuple(f"user {i}" for i in range(9))
OVER = "win-rate over {}".format


def level(value: float) -> Gain:
    return lambda *sample: value + 0.01 * sample[2]


def run(folder: Path, method: str, own: float | Gain, **options: Any) -> ScoredFolder:
    """A run of a suite without truth; `own` is P(liked) under the own user."""
    gain = own if callable(own) else level(own)
    values = options.pop("values", dict.fromkeys(USERS, 0.0))
    name = "-".join(filter(None, [method, options.get("control")]))
    spec = {"control": options.pop("control", None), **options.pop("spec", {})}
    options = {"present": USERS, "truth": False, **options}
    return build(folder / name, method, values, gain=gain, spec=spec, **options)


def framed(folder: Path, own: float = 0.9, crowd: float = 0.6, other: float = 0.5) -> list[ScoredFolder]:
    """`ours` with its frame."""
    return [
        run(folder, "ours", own),
        run(folder, "prompt-only", 0.4),
        run(folder, "crowd", crowd),
        run(folder, "ours", other, control="other-user"),
    ]


def rates(comparison: Comparison, label: str = "ours") -> dict[str, float | None]:
    return {n: row.summary.value for n, row in comparison.of(label).items() if n.startswith("win-rate")}


def notes(comparison: Comparison) -> str:
    return "\n".join(runs_headline(comparison).notes)


def test_a_run_is_set_against_the_frame_and_its_own_control(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path))
    assert rates(comparison) == {OVER("prompt-only"): 1.0, OVER("crowd"): 1.0, OVER("other-user"): 1.0}
    assert rates(comparison, "crowd") == {OVER("prompt-only"): 1.0}
    assert rates(comparison, "prompt-only") == {OVER("crowd"): 0.0}
    assert rates(comparison, "ours + other-user") == {OVER("prompt-only"): 1.0, OVER("crowd"): 0.0}


def test_it_is_a_count_of_wins_and_half_of_ties_on_shared_samples(tmp_path: Path) -> None:
    """Of 9 users with 4 samples: the first sample wins, the last is tied but for rounding, the others lose."""

    def own(_: str, prompt: str, index: int) -> float:
        return {("a cat", 0): 0.9, ("a dog", 1): 0.5 + 1e-9}.get((prompt, index), 0.1)

    runs = [run(tmp_path, "ours", own), run(tmp_path, "prompt-only", lambda *_: 0.5)]
    (row,) = [row for row in compare(runs).rows if row.summary.metric == OVER("prompt-only")]
    assert row.summary.value == pytest.approx((1 + 0.5) / 4)
    assert row.summary.n_samples == 36
    assert (row.baseline, row.difference) == ("prompt-only", None)
    assert row.p == row.p_holm


def test_failed_samples_are_missing_and_those_of_one_run_alone_unpaired(tmp_path: Path) -> None:
    failed = {**dict.fromkeys(USERS, 0.0), USERS[0]: None}
    runs = [
        run(tmp_path, "ours", 0.9, values=failed),
        run(tmp_path, "prompt-only", lambda user, *_: None if user == USERS[1] else 0.4),
    ]
    for comparison in (compare(runs, own_samples=True), compare(runs)):
        (row,) = [row for row in comparison.rows if row.summary.metric == OVER("prompt-only")]
        assert (row.summary.value, row.summary.n_users, row.summary.missing) == (1.0, 7, 8)
    fewer = run(tmp_path / "few", "prompt-only", 0.4, present=USERS[2:])
    (row,) = [row for row in compare([runs[0], fewer]).rows if row.summary.metric == OVER("prompt-only")]
    assert (row.summary.n_users, row.summary.missing, row.summary.unpaired) == (7, 0, 8)


def test_any_baseline_gives_a_column_that_names_it(tmp_path: Path) -> None:
    runs = [*framed(tmp_path), run(tmp_path, "ip-adapter", 0.95)]
    comparison = compare(runs, baseline="ip-adapter")
    assert rates(comparison)[OVER("ip-adapter")] == 0.0
    assert OVER("ip-adapter") not in rates(comparison, "ip-adapter")
    assert OVER("crowd") in rates(compare(runs, baseline="crowd"))


def test_the_scorer_of_the_headline_is_asked_and_one_that_all_runs_have() -> None:
    both = ["preference", "preference/gain", "personal-gain", "personal-gain/own"]
    assert own_column([both, both]) == "personal-gain/own"
    assert own_column([both, both[:2]]) == "preference"
    assert own_column([both[2:], both[:2]]) == "personal-gain/own"
    assert own_column([["clip-i/own"]]) is None
    assert own_column([]) is None


def test_headlines_without_truth_are_the_gain_and_the_win_rates() -> None:
    names = dict.fromkeys(("preference", "personal-gain", OVER("crowd"), "zz"), "preference") | {"fid": "fidelity"}
    assert headlines(names) == ["personal-gain", OVER("crowd"), "fid"]
    assert headlines(names | {"utility": "preference", "gap-closed": "preference"}) == ["gap-closed", "fid"]
    assert ranking_metric(names) == "personal-gain"
    assert ranking_metric({"utility", *names}) == "utility"
    assert ranking_metric({"zz"}) is None, "no plug-in ranks by its name"


def test_without_truth_methods_are_ranked_by_the_gain(tmp_path: Path) -> None:
    comparison = compare([*framed(tmp_path), run(tmp_path, "ip-adapter", 0.7)])
    assert list(comparison.ranks)[:2] == ["ours", "ip-adapter"]
    assert "rank: by personal-gain among the methods that it may rank." in notes(comparison)


@pytest.mark.parametrize(
    ("crowd", "other", "unbeaten"),
    [(0.6, 0.5, []), (0.95, 0.5, ["crowd"]), (0.6, 0.9, ["other-user"]), (0.9, 0.95, ["crowd", "other-user"])],
)
def test_who_does_not_beat_the_crowd_and_the_own_control_is_marked(
    tmp_path: Path, crowd: float, other: float, unbeaten: list[str]
) -> None:
    comparison = compare(framed(tmp_path, 0.9, crowd, other))
    assert comparison.unbeaten == {"ours": unbeaten}
    marked = [cells[0] for cells in runs_headline(comparison).sections[0] if "≈" in cells[0]]
    assert marked == ["ours ≈"] * bool(unbeaten)
    line = f"≈ ours does not beat {' and '.join(unbeaten)}: it has personalised nothing that matters here"
    assert (line in notes(comparison)) is bool(unbeaten)


def test_a_scorer_that_may_not_rank_a_method_is_no_proof_of_anything_personal_either(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path, 0.5, 0.9, 0.4))
    rows = [replace(row, summary=replace(row.summary, unranked="shares an encoder")) for row in comparison.rows]
    assert replace(comparison, rows=rows).unbeaten == {"ours": ["crowd"]}


def test_what_is_missing_from_the_frame_is_named_with_its_command(tmp_path: Path) -> None:
    alone = run(tmp_path, "ours", 0.9, spec={"suite": "mine/", "split": "val", "users": 9})
    comparison = compare([alone])
    about = "--suite mine/ --split val --users 9 --method"
    assert comparison.lacking == {
        "prompt-only": f"prefbench run {about} prompt-only",
        "crowd": f"prefbench run {about} crowd",
        "ours + other-user": f"prefbench run {about} ours --control other-user",
    }
    for grid in (run_headline(comparison, "ours"), run_grid(comparison, "ours")):
        assert any(note.startswith("missing from the frame: prompt-only (prefbench run") for note in grid.notes)
    assert "missing from the frame" not in notes(compare(framed(tmp_path / "whole")))


def test_a_parameter_is_part_of_the_command_and_of_whose_control_it_is(tmp_path: Path) -> None:
    runs = framed(tmp_path)
    scaled = run(tmp_path / "scaled", "ours", 0.9, spec={"parameters": {"scale": 0.5}})
    everyone = {"ours": runs[0], "control": runs[3], "scaled": scaled}
    assert mismatched(everyone, "ours") == "control"
    assert mismatched(everyone, "scaled") is None
    assert mismatched(everyone, "control") is None
    assert command_for(scaled, "ours", "other-user").endswith("--method ours --control other-user -p scale=0.5")
    assert "-p" not in command_for(scaled, "crowd")


def test_the_command_of_what_is_missing_has_the_settings_that_make_it_comparable(tmp_path: Path) -> None:
    spec = {"seed": 3, "samples_per_case": 1, "suite_parameters": {"history": 2, "split_by": None}, "backbone": "sd15"}
    other = run(tmp_path / "other", "ours", 0.9, spec={**spec, "steps": 5, "guidance": 7.5})
    assert command_for(other, "crowd") == (
        "prefbench run --suite toy --seed 3 --samples 1 --backbone sd15 --steps 5 --method crowd -s history=2"
    )
    usual = {"suite": "picturebook", "suite_parameters": {"history": 8}, "backbone": "mini-sd", "steps": 16}
    bare = run(tmp_path / "bare", "ours", 0.9, spec={**usual, "guidance": 1.5})
    assert command_for(bare, "crowd") == "prefbench run --method crowd"
    fewer = run(tmp_path / "fewer", "ours", 0.9, spec={**usual, "guidance": 1.5, "suite_parameters": {"history": 4}})
    assert command_for(fewer, "crowd") == "prefbench run --method crowd -s history=4"


def test_of_given_images_no_command_is_named_that_would_draw_them_again(tmp_path: Path) -> None:
    given = run(tmp_path / "given", "images:x", 0.9, spec={**GIVEN, "samples_per_case": 3, "seed": 1})
    lacking = compare([given]).lacking
    assert not any("prefbench run" in line for line in lacking.values())
    assert (
        "prefbench export cases toy FOLDER --seed 1 --samples 3 --control other-user"
        in (lacking["images:x + other-user"])
    )


def test_a_card_of_given_images_cannot_say_that_they_need_no_proof(tmp_path: Path) -> None:
    given = run(tmp_path, "images:x", 0.6, spec=GIVEN)
    for said in ({}, {"uses_liked": False, "uses_disliked": False}):
        given.description["method"].update(said)
        assert "images:x + other-user" in compare([given]).lacking


def test_a_variant_of_the_crowd_is_a_method_and_no_frame(tmp_path: Path) -> None:
    variant = run(tmp_path / "variant", "crowd", 0.95, spec={"parameters": {"words": 1, "n": 4}})
    runs = framed(tmp_path)
    assert len(frame_beside(runs[0])) == 3
    comparison = compare([*runs, variant])
    assert rates(comparison)[OVER("crowd")] == 1.0
    assert rates(comparison, "crowd (n=4, words=1)")[OVER("crowd")] == 1.0


def test_without_a_scorer_of_users_there_are_no_win_rates_and_no_advice_about_them(tmp_path: Path) -> None:
    comparison = compare([build(tmp_path / "a", "ours", 0.5), build(tmp_path / "b", "prompt-only", 0.4)])
    assert rates(comparison) == {}
    assert "win-rate" not in notes(comparison)
    assert "missing from the frame" not in notes(comparison)


def test_a_single_run_is_shown_beside_the_crowd_and_its_own_control(tmp_path: Path) -> None:
    runs = framed(tmp_path)
    beside = frame_beside(runs[0])
    assert {(one.method, one.control) for one in beside} == {
        ("prompt-only", None),
        ("crowd", None),
        ("ours", "other-user"),
    }
    comparison = compare(runs[:1], beside=beside)
    assert set(rates(comparison)) == {OVER("prompt-only"), OVER("crowd"), OVER("other-user")}
    assert "and 3 win rates of this run" in comparison.family
    (cells,) = [c for section in run_headline(comparison, "ours").sections for c in section if "over crowd" in c[0]]
    assert re.fullmatch(r"p (< 0\.001|0\.\d{3})", cells[-1]), "no difference to prompt-only, but a p value"


def test_where_there_is_no_difference_the_column_is_p_alone(tmp_path: Path) -> None:
    runs = framed(tmp_path)
    comparison = compare(runs[1:2], beside=runs[2:3])
    for grid in (run_headline(comparison, "prompt-only"), run_grid(comparison, "prompt-only")):
        assert grid.columns[-1] == "p"
    assert comparison.family == "Holm over the 1 win rate of this run, shown here or not"


def test_tables_fit_100_columns_in_two_parts_and_hold_a_p_value_for_each_win_rate(tmp_path: Path) -> None:
    grid = runs_headline(compare(framed(tmp_path)))
    parts = fold(replace(grid, notes=()), 100)
    assert len(parts) == 2
    assert max(len(line) for part in parts for line in to_text(part).splitlines()) <= 100
    assert [name.replace("\n", " ") for name in grid.columns] == [
        "method", "rank", "personal-gain ↑", "win-rate over prompt-only ↑", "win-rate over crowd ↑",
        "win-rate over other-user ↑",
    ]  # fmt: skip
    ours = grid.sections[0][0]
    assert all(re.search(r"\np (< )?0\.\d{3}$", cell) for cell in ours[3:])
    assert [cells[3] for cells in grid.sections[0] if cells[0] == "prompt-only"] == ["—"]


def test_one_line_says_what_a_win_rate_is(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path))
    lines = [line for line in notes(comparison).splitlines() if line.startswith("win-rate:")]
    assert len(lines) == 1
    assert "(personal-gain/own)" in lines[0]
    assert "ties count half, 0.5 is alike" in lines[0]


@pytest.mark.slow
def test_page_rows_and_figure_hold_them_too(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path, crowd=0.95))
    table = Table()
    paths = table.write(comparison, tmp_path / "page")
    page = paths[0].read_text(encoding="utf-8")
    assert "win-rate over crowd ↑" in page
    assert "ours ≈" in page
    assert "Ranks are by personal-gain." in page
    assert "win-rate over crowd" in (tmp_path / "page" / "rows.csv").read_text(encoding="utf-8")
    rows = json.loads(json.dumps(as_json(comparison.rows)))
    (row,) = [row for row in rows if (row["label"], row["metric"]) == ("ours", OVER("crowd"))]
    assert (row["value"], row["baseline"], row["difference"]) == (0.0, "crowd", None)
    screen = io.StringIO()
    show(list(table.tables(comparison)), screen)
    assert "win-rate" in screen.getvalue()
    assert "gap-closed is the share" not in page


def test_every_column_of_the_full_table_is_there(tmp_path: Path) -> None:
    grid = runs_grid(compare(framed(tmp_path)))
    assert grid.columns[2:6] == (
        "personal-gain ↑",
        *(f"{OVER(name)} ↑" for name in ("prompt-only", "crowd", "other-user")),
    )


@pytest.mark.parametrize(
    "command",
    [
        "prefbench run --suite {} --method ours",
        "prefbench run --suite={} --method ours",
        "prefbench.run('ours', suite='{}')",
    ],
)
def test_commands_name_the_suite_as_the_run_was_given_it(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ran = run(tmp_path, "ours", 0.9, spec={"suite": "mine/"}, command=command.format("of/mine"))
    assert command_for(ran, "crowd") == "prefbench run --suite of/mine --method crowd"
    assert "prefbench run --suite of/mine --method crowd" in notes(compare([ran, run(tmp_path, "b", 0.1)]))


@pytest.mark.parametrize("command", ["prefbench run --suite other", "no 'command", ""])
def test_a_suite_that_is_not_the_runs_own_is_not_named_in_its_place(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = run(tmp_path, "ours", 0.9, spec={"suite": "mine/"}, command=command)
    assert command_for(ran, "crowd") == "prefbench run --suite mine/ --method crowd"


NOT_MEASURED: dict[str, Any] = {"name": "fitted", "id": "fitted@1", "encoders": [], "trained_on": [], "figures": None}


@pytest.mark.parametrize("several", [False, True])
def test_a_scorer_that_ranks_nobody_is_named_with_the_command_that_measures_it(
    tmp_path: Path, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    runs = [
        run(
            tmp_path, method, 0.9, scorer=NOT_MEASURED, spec={"suite": "mine/"}, command="prefbench run --suite of/mine"
        )
        for method in ("ours", "theirs")[: 1 + several]
    ]
    comparison = compare(runs)
    line = (
        "fitted was never measured on this suite: prefbench show scorer fitted --measure of/mine, then prefbench score "
    )
    for table in Table().tables(comparison), Table(full=True).tables(comparison):
        assert [note for note in table[0].notes if note.startswith(line)] == [line + "RUNS --suite of/mine."]


def alone(folder: Path, method: str, people: tuple[str, ...] = ("ann",), **options: Any) -> ScoredFolder:
    """A run of a folder of so few people."""
    kinds, values = {"kinds": dict.fromkeys(people, "")}, dict.fromkeys(people, 0.0)
    name = method.replace(":", "-")
    return run(folder / name, method, 0.9, values=values, present=people, description=kinds, **options)


def test_no_command_is_advised_that_one_person_is_too_few_for(tmp_path: Path) -> None:
    ran = alone(tmp_path, "ours", scorer=NOT_MEASURED, spec={"suite": "one/"})
    few = "it takes 2 people or more, and here is 1"
    lines = run_headline(compare([ran]), "ours").notes
    assert [line for line in lines if line.startswith("missing from the frame")] == [
        "missing from the frame: prompt-only (prefbench run --suite one/ --method prompt-only); "
        f"crowd ({few}); ours + other-user ({few})."
    ]
    assert "fitted was never measured on this suite: it takes 3 people or more, and here is 1." in lines
    theirs = alone(tmp_path, "images:theirs", spec={**GIVEN, "suite": "one/"})
    assert "prefbench export" not in notes(compare([theirs]))


def test_of_a_run_of_the_first_person_the_suite_is_not_thought_to_have_one(tmp_path: Path) -> None:
    ran = alone(tmp_path, "ours", scorer=NOT_MEASURED, spec={"suite": "many/", "users": 1})
    said = "\n".join(run_headline(compare([ran]), "ours").notes)
    assert "crowd (prefbench run --suite many/ --users 1 --method crowd)" in said
    assert "prefbench show scorer fitted --measure many/" in said
    assert "other-user (it takes 2 people" in said


@pytest.mark.parametrize("admitted", [False, True])
def test_a_scorer_that_is_not_admitted_is_said_to_need_more(tmp_path: Path, admitted: bool) -> None:
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    parts = dict.fromkeys(("within_user_accuracy", "best_possible", "population"), interval)
    figures = {"suite": "toy", "n_users": 5, "n_pairs": 80, "admitted": admitted, **parts}
    comparison = compare([run(tmp_path, "ours", 0.9, scorer={**NOT_MEASURED, "figures": figures})])
    lines = [note for note in run_headline(comparison, "ours").notes if note.startswith("fitted is not admitted")]
    assert lines == [
        "fitted is not admitted on this suite, by 80 pairs of 5 users: prefbench show scorer fitted has its figures; "
        "more judgments of each user, more users or a better encoder make it more certain."
    ] * (not admitted)


def test_a_folder_that_is_named_by_a_dot_is_named_so_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    ran = run(tmp_path, "ours", 0.9, spec={"suite": "mine/"}, command="prefbench run --suite . --method ours")
    assert command_for(ran, "crowd") == "prefbench run --suite . --method crowd"


STYLED = {"spec": {"backbone": "magenta"}}


def styled(folder: Path, own: float = 0.9, crowd: float = 0.6) -> list[ScoredFolder]:
    """`fitted-style` with the frame of a backbone of style transfer."""
    return [
        run(folder, "fitted-style", own, **STYLED),
        run(folder, "plain-style", 0.4, **STYLED),
        run(folder, "crowd-style", crowd, **STYLED),
        run(folder, "fitted-style", 0.5, control="other-user", **STYLED),
    ]


def test_on_a_backbone_of_style_transfer_its_own_methods_are_baseline_and_crowd(tmp_path: Path) -> None:
    comparison = compare(styled(tmp_path))
    frame = {OVER("plain-style"): 1.0, OVER("crowd-style"): 1.0, OVER("other-user"): 1.0}
    assert rates(comparison, "fitted-style") == frame
    assert comparison.unbeaten == {"fitted-style": []}, "neither part of the frame is a method that must beat it"
    assert (comparison.baseline, comparison.lacking) == ("plain-style", {})
    differences = {row.baseline for row in comparison.rows if row.difference is not None}
    assert differences == {"plain-style"}
    assert "difference to plain-style" in to_text(difference_headline(comparison))


def test_who_does_not_beat_the_crowds_style_is_marked(tmp_path: Path) -> None:
    comparison = compare(styled(tmp_path, crowd=0.95))
    assert comparison.unbeaten == {"fitted-style": ["crowd-style"]}
    assert "fitted-style ≈" in {cells[0] for cells in runs_headline(comparison).sections[0]}


def test_what_a_table_of_style_transfer_lacks_runs_on_its_backbone(tmp_path: Path) -> None:
    runs = styled(tmp_path)
    lacking = compare(runs[:1]).lacking
    assert list(lacking) == ["plain-style", "crowd-style", "fitted-style + other-user"]
    assert all("--backbone magenta" in command for command in lacking.values())
    assert {one.method for one in frame_beside(runs[0])} == {"plain-style", "crowd-style", "fitted-style"}


def test_one_run_of_each_part_of_the_frame_of_style_transfer_stands_in_a_table(tmp_path: Path) -> None:
    runs = [*styled(tmp_path), run(tmp_path / "again", "plain-style", 0.4, spec={"backbone": "magenta", "users": 9})]
    assert [one.method for one in together(runs)].count("plain-style") == 1


def test_contrasts_on_a_backbone_of_style_transfer_are_to_its_baseline(tmp_path: Path) -> None:
    contrasts = contrast(styled(tmp_path), ColourSuite, metrics=["personal-gain"])
    assert {base for _, base in contrasts.pairs} == {"plain-style"}
