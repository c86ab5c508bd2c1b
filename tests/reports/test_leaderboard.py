"""The leaderboard: what is published, what is refused, and that what is committed holds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import kendalltau

from prefbench.api import PrefbenchError
from prefbench.check.findings import Finding
from prefbench.reports.leaderboard.entries import entries_of, load_entries, path_of
from prefbench.reports.leaderboard.page import grid, render
from prefbench.reports.leaderboard.report import Leaderboard
from prefbench.reports.shared.audited import Fresh, store_outcome, stored_outcome
from prefbench.reports.shared.grid import to_markdown
from prefbench.reports.shared.published import portable, results_folder
from prefbench.reports.table.compare import compare
from prefbench.reports.table.grids import run_grid, runs_grid
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import build


def test_two_runs_with_one_result_file_are_not_published(runs: list[ScoredFolder], tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", "ours", 0.5, spec={"parameters": {"scale": 2}})
    with pytest.raises(PrefbenchError, match=r"two of these runs would both be published as ours\.json"):
        entries_of([*runs, twin])


def mismatch(folder: Path) -> ScoredFolder:
    """`ours` under another user's history."""
    return build(folder, "ours", 0.1, spec={"control": "other-user"})


def test_leaderboard_check_follows_the_results(runs: list[ScoredFolder], tmp_path: Path) -> None:
    report, results = Leaderboard(), tmp_path / "results"
    written = report.publish(entries_of([*runs, mismatch(tmp_path / "mismatch")]), results)
    assert not report.stale(results)
    path = results / "leaderboard" / "toy" / "ours.json"
    others = [path.with_stem(name) for name in ("prompt-only", "inferred")]
    assert written == [path, *others, path.with_name("ours.other-user.json"), tmp_path / "leaderboard.md"]
    entry = json.loads(path.read_text())
    next(row for row in entry["rows"] if row["metric"] == "gap-closed")["value"] = 0.987
    path.write_text(json.dumps(entry))
    assert report.stale(results) == ["leaderboard.md"]
    report.rebuild(results)
    assert not report.stale(results)
    assert "0.987" in (tmp_path / "leaderboard.md").read_text()


def test_the_page_says_how_many_passes_a_picture_takes(runs: list[ScoredFolder]) -> None:
    entries = entries_of(runs)
    entries[0]["cost"]["nfe_per_image"], entries[1]["cost"]["nfe_per_image"] = 128.0, None
    table = grid(entries)
    rows = {cells[0].split()[0]: cells[table.columns.index("passes")] for part in table.sections for cells in part}
    assert (rows[entries[0]["method"]], rows[entries[1]["method"]]) == ("128", "—")


def test_a_row_needs_its_run_under_another_users_history_and_a_passed_audit(
    runs: list[ScoredFolder], tmp_path: Path
) -> None:
    def refused(*published: ScoredFolder) -> str:
        with pytest.raises(PrefbenchError) as caught:
            Leaderboard().publish(entries_of(published), tmp_path / "results")
        assert not (tmp_path / "results").exists()
        return str(caught.value)

    ours, *frame = runs
    assert re.fullmatch(r"not published: ours needs its run under other-user \(prefbench run .*\)", refused(*runs))
    beside = mismatch(tmp_path / "mismatch")
    (ours.path / "audit.json").unlink()
    line = f"not published: ours needs a passed audit (prefbench audit {ours.path})"
    assert refused(ours, *frame, beside) == line
    failed = build(tmp_path / "failed", "ours", 0.4, audit="FAILED")
    assert "a passed audit, the last failed: rows" in refused(failed, *frame, beside)


def test_where_the_suite_can_make_users_the_audit_must_have_drawn_for_fresh_ones(tmp_path: Path) -> None:
    runs = [build(tmp_path / name, name, 0.1, spec={"suite": "picturebook"}) for name in ("prompt-only", "inferred")]
    plain = runs[0]
    with pytest.raises(PrefbenchError) as caught:
        Leaderboard().publish(entries_of(runs), tmp_path / "results")
    asked = f"an audit with 50 fresh users or more (prefbench audit {plain.path} --fresh 50)"
    assert str(caught.value) == f"not published: prompt-only needs {asked}"
    store_outcome(plain.folder, plain.samples, [Finding("rows", "ok", "")], Fresh(2, "2, own users' gain"))
    with pytest.raises(PrefbenchError, match="50 fresh users or more"):
        Leaderboard().publish(entries_of(runs), tmp_path / "results")
    gain = "50, own users' gain utility +0.001"
    store_outcome(plain.folder, plain.samples, [Finding("rows", "ok", "")], Fresh(50, gain))
    assert Leaderboard().publish(entries_of(runs), tmp_path / "results")
    assert "fresh users: 50, own users' gain utility +0.001" in (tmp_path / "leaderboard.md").read_text()


def test_what_is_wrong_with_the_data_is_named_and_prevents_no_row(tmp_path: Path) -> None:
    runs = [build(tmp_path / name, name, 0.1) for name in ("prompt-only", "inferred")]
    store_outcome(runs[0].folder, runs[0].samples, [Finding("prompts seen", "FAILED", "")], Fresh(0, ""))
    assert Leaderboard().publish(entries_of(runs), tmp_path / "results")
    page = (tmp_path / "leaderboard.md").read_text()
    assert "prompt-only: audit passed but for prompts seen, which is of the data" in page


def test_audits_that_failed_before_one_passed_are_told(tmp_path: Path) -> None:
    """An audit looks at other pictures each time, so it could be repeated until it passes."""
    runs = [build(tmp_path / name, name, 0.1) for name in ("prompt-only", "inferred")]
    for outcome in ("FAILED", "FAILED", "ok", "ok"):
        store_outcome(runs[0].folder, runs[0].samples, [Finding("grain", outcome, "")], Fresh(0, ""))
    assert Leaderboard().publish(entries_of(runs), tmp_path / "results")
    assert "prompt-only: audit passed after 2 failed ones" in (tmp_path / "leaderboard.md").read_text()


def test_an_audit_of_other_samples_vouches_for_nothing(tmp_path: Path) -> None:
    one, other = (build(tmp_path / name, "ours", value) for name, value in (("one", 0.1), ("other", {"ann": None})))
    assert stored_outcome(one.path, one.samples) is not None
    shutil.copy(one.path / "audit.json", other.path / "audit.json")
    assert stored_outcome(other.path, other.samples) is None


def test_controls_are_published_whatever_their_audit_says(tmp_path: Path) -> None:
    frame = [build(tmp_path / "base", "prompt-only", 0.1), build(tmp_path / "top", "inferred", 0.8, audited=False)]
    shown = [*frame, build(tmp_path / "copy", "copy", 0.2, audit="FAILED")]
    assert Leaderboard().publish(entries_of(shown), tmp_path / "results")


def test_the_page_names_the_audit_and_the_run_behind_a_row(runs: list[ScoredFolder], tmp_path: Path) -> None:
    page = render(entries_of([*runs, mismatch(tmp_path / "mismatch")]))
    line = next(line for line in page.splitlines() if "Behind the rows" in line)
    assert re.search(r"ours: audit passed \d{4}-\d\d-\d\d, other-user mismatch;", line)
    older = entries_of(runs)
    for entry in older:
        del entry["vouched"]
    assert "Behind the rows" not in render(older)


def test_leaderboard_sets_the_frame_apart_and_keeps_reported_figures_below(runs: list[ScoredFolder]) -> None:
    page = render(entries_of(runs))
    order = [
        page.index(text)
        for text in ("| ours ", "| prompt-only ", "| inferred ", "## Reported by papers", "143.79", "0.6889")
    ]
    assert order == sorted(order)
    ours = next(line for line in page.splitlines() if line.startswith("| ours "))
    assert "3 × 2 × 2 = 12" in ours
    assert "0123456" in ours
    assert "0.500°‡<br>" in ours


def test_results_are_whole_and_name_no_machine(runs: list[ScoredFolder]) -> None:
    result = entries_of(runs, date="2026-01-01")[0]
    assert result["date"] == "2026-01-01"
    assert result["command"] == "prefbench run --method ours"
    assert (result["commit"], result["dirty"], result["seed"]) == ("0123456789abcdef", False, 0)
    assert result["metrics"]["utility"] == "utility@1[toy]"
    assert result["cost"]["nfe_per_image"] == 4
    assert "/home" not in json.dumps(result)


def test_flat_pictures_are_said_below_the_table_also_of_published_runs(tmp_path: Path) -> None:
    flat = build(tmp_path / "prompt-only", "prompt-only", 0.1, spread=0.0)
    entries = entries_of([flat, build(tmp_path / "inferred", "inferred", 0.8)])
    line = "prompt-only: 12 of 12 pictures are of one colour"
    assert line in render(entries)
    for entry in entries:
        del entry["drawn"]
    assert line not in render(entries), "entries of older versions have no such lines"


def test_partial_runs_and_runs_without_a_frame_are_not_published(tmp_path: Path) -> None:
    part = build(tmp_path / "part", "ours", 0.1, spec={"users": 2})
    with pytest.raises(PrefbenchError, match="users 2"):
        entries_of([part])
    with pytest.raises(PrefbenchError, match="inferred"):
        entries_of([build(tmp_path / "whole", "ours", 0.1)])


def test_an_unfinished_run_says_so_and_is_not_published(tmp_path: Path) -> None:
    floor, cut = build(tmp_path / "floor", "prompt-only", 0.1), build(tmp_path / "cut", "inferred", 0.8, undrawn=5)
    note = "unfinished, 5 of 17 samples are not drawn yet"
    assert note in to_markdown(runs_grid(compare([floor, cut])))
    assert note in to_markdown(run_grid(compare([cut]), "inferred"))
    with pytest.raises(PrefbenchError, match=r"cut is unfinished \(5 samples\)"):
        entries_of([floor, cut])


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard" / "toy" / "ours.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(PrefbenchError, match=r"ours\.json"):
        Leaderboard().rebuild(tmp_path)


def test_the_committed_leaderboard_is_up_to_date() -> None:
    assert not Leaderboard().stale()


def committed() -> dict[str, dict[str, dict[str, Any]]]:
    """Rows over all users by method (and control) and metric."""
    return {
        ".".join(filter(None, [result["method"], result["control"]])): {
            row["metric"]: row for row in result["rows"] if row["kind"] == "all"
        }
        for result in load_entries(results_folder() / "leaderboard")
    }


def test_the_committed_frame_holds() -> None:
    """The controls bound what a method can reach, and each shows what it is there to show."""
    rows = committed()

    def value(run: str, metric: str = "utility") -> float:
        return float(rows[run][metric]["value"])

    assert value("ideal") >= 0.9
    assert value("ideal") > value("inferred") > value("prompt-only")
    assert value("inferred") >= 0.55
    assert abs(value("prompt-only")) <= 0.1
    for group in ("utility/worded", "utility/semantic"):
        assert value("truth", group) >= 0.75 * value("ideal", group)
    assert abs(value("truth", "utility/silent")) <= 0.05, "words say nothing of the silent axes"
    assert value("copy", "prompt-fidelity") < 0.5 * value("prompt-only", "prompt-fidelity")
    assert value("inferred.other-user") < value("inferred") / 4, "another's taste is worth what all share of it"
    assert abs(value("inferred.other-user", "utility/own")) <= 0.05
    assert rows["inferred.flipped"]["utility"]["difference_high"] < 0
    # Probing needs histories that can be halved, and prompts with both verdicts; half of the prompts name no word.
    some = ("probing", "prompt-fidelity/words")
    drawn = [row for metrics in rows.values() for name, row in metrics.items() if not name.startswith(some)]
    assert all(row["missing"] == 0 for row in drawn)


def test_the_committed_preference_orders_runs_as_what_is_liked_does() -> None:
    rows = committed()

    def tau(truth: str, column: str) -> float:
        pairs = [(metrics[truth]["value"], metrics[column]["value"]) for metrics in rows.values()]
        return float(kendalltau(*zip(*pairs, strict=True)).statistic)

    assert len(rows) >= 13
    assert tau("utility/liked", "preference") >= 0.85, "two methods that are not told apart may change places"
    assert tau("utility/own", "preference/gain") >= 0.7
    for run in ("truth", "ours"):
        assert rows["copy"]["preference"]["high"] < rows[run]["preference"]["low"]
    assert not any(row["unranked"] for metrics in rows.values() for row in metrics.values())


def test_what_is_committed_of_ours_is_personal() -> None:
    """It draws for its own user: another user's history is worth nothing, the opposite one harms; words do as well."""
    rows = committed()
    ours, rewriting = rows["ours"], rows["attribute-rewrite"]
    for baseline in ("prompt-only", "ip-adapter", "tally", "random-style"):
        assert ours["utility"]["value"] > rows[baseline]["utility"]["high"]
    assert ours["gap-closed"]["low"] > 0.4
    assert ours["utility"]["low"] < rewriting["utility"]["value"] < ours["utility"]["high"], "not told apart"
    assert rows["ours.other-user"]["gap-closed"]["low"] <= 0, "not told from nothing"
    assert rows["ours.flipped"]["gap-closed"]["high"] < 0
    assert ours["utility/silent"]["low"] > rows["prompt-only"]["utility/silent"]["value"]
    assert ours["utility/silent"]["low"] > rewriting["utility/silent"]["high"], "what words cannot carry"
    plain = rows["prompt-only"]
    for part in ("object", "setting"):
        assert ours[f"prompt-fidelity/{part}"]["value"] >= plain[f"prompt-fidelity/{part}"]["value"] - 0.02
    assert ours["prompt-fidelity/words"]["value"] < plain["prompt-fidelity/words"]["low"], "what personalising costs"
    assert ours["clip-score"]["value"] >= 0.96 * plain["clip-score"]["value"]
    for distance in ("fid", "kid"):
        assert ours[distance]["value"] < plain[distance]["value"]
    assert rows.keys() >= {"ours", "ip-adapter", "attribute-rewrite", "ours.other-user", "ours.flipped"}


def unknown_truth(folder: Path, backbone: str = "tiny", /, **own: float) -> list[ScoredFolder]:
    """Runs of a suite without truth by P(liked) under the own user: `ours_other_user` is `ours` under that control."""
    users = dict.fromkeys((f"user {i}" for i in range(9)), 0.0)
    runs = []
    for name, value in own.items():
        method, _, control = name.replace("_", "-").partition("-other")
        spec = {"suite": "mine/", "control": "other-user" if control else None, "backbone": backbone}
        gain = {"gain": lambda *sample, value=value: value + 0.01 * sample[2], "truth": False}
        runs.append(build(folder / name, method, users, present=tuple(users), spec=spec, **gain))
    return runs


FRAMED = {"ours": 0.9, "prompt_only": 0.4, "crowd": 0.6, "ours_other_user": 0.5}


def test_a_suite_without_truth_is_published_under_its_own_headline(tmp_path: Path) -> None:
    entries = entries_of(unknown_truth(tmp_path, **FRAMED))
    page = render(entries)
    assert "## mine/, test users, tiny" in page
    head = next(line for line in page.splitlines() if line.startswith("| method |"))
    over = [f"win-rate over {name} ↑" for name in ("prompt-only", "crowd", "other-user")]
    assert head.startswith(f"| method | personal-gain ↑ | {' | '.join(over)} | passes | n |")
    names = [line.split("|")[1].strip() for line in page.splitlines() if "0123456" in line]
    assert names == ["ours", "crowd", "prompt-only", "ours + other-user"], "by personal-gain, controls apart"
    assert "personal-gain, a scorer's P(liked) under the own user minus under others" in page
    assert "≈" not in page
    assert path_of(entries[0]) == Path("mine/ours.json")


def test_who_does_not_beat_the_crowd_is_marked_on_the_page_from_the_files_alone(tmp_path: Path) -> None:
    report, results = Leaderboard(), tmp_path / "results"
    report.publish(entries_of(unknown_truth(tmp_path, **FRAMED | {"crowd": 0.95})), results)
    page = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "| ours ≈ |" in page
    assert "≈ ours does not beat crowd: it has personalised nothing that matters here" in page
    (entry,) = [e for e in load_entries(results / "leaderboard") if (e["method"], e["control"]) == ("ours", None)]
    assert entry["unbeaten"] == ["crowd"]
    del entry["unbeaten"]
    assert "≈" not in render([entry]), "entries of older versions lack it"


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("crowd", r"among the runs crowd \(prefbench run --suite mine/ --method crowd\)$"),
        ("prompt_only", r"among the runs prompt-only \(prefbench run --suite mine/ --method prompt-only\)$"),
        ("ours_other_user", r"ours \+ other-user \(prefbench run --suite mine/ --method ours --control other-user\)$"),
    ],
)
def test_what_a_frame_without_truth_lacks_is_named_with_its_command(tmp_path: Path, without: str, missing: str) -> None:
    own = {name: value for name, value in FRAMED.items() if name != without}
    with pytest.raises(PrefbenchError, match=missing):
        entries_of(unknown_truth(tmp_path, **own))


STYLED = {"fitted_style": 0.9, "plain_style": 0.4, "crowd_style": 0.95, "fitted_style_other_user": 0.5}


def test_on_a_backbone_of_style_transfer_its_own_frame_is_asked_for_and_published(tmp_path: Path) -> None:
    page = render(entries_of(unknown_truth(tmp_path / "whole", "magenta", **STYLED)))
    head = next(line for line in page.splitlines() if line.startswith("| method |"))
    over = [f"win-rate over {name} ↑" for name in ("plain-style", "crowd-style", "other-user")]
    assert head.startswith(f"| method | personal-gain ↑ | {' | '.join(over)} | passes | n |")
    assert "| fitted-style ≈ |" in page
    assert "≈ fitted-style does not beat crowd-style: it has" in page
    assert "personal-gain to plain-style" in page
    without = {name: value for name, value in STYLED.items() if name != "crowd_style"}
    command = "prefbench run --suite mine/ --backbone magenta .*--method crowd-style"
    with pytest.raises(PrefbenchError, match=rf"among the runs crowd-style \({command}\)$"):
        entries_of(unknown_truth(tmp_path / "part", "magenta", **without))


def test_a_run_without_the_headline_is_not_published_where_no_truth_is_known(tmp_path: Path) -> None:
    runs = unknown_truth(tmp_path, **FRAMED)
    (runs[0].path / "scores" / "personal-gain.jsonl").unlink()
    with pytest.raises(PrefbenchError, match=r"prefbench score .*ours --metrics personal-gain$"):
        entries_of([ScoredFolder.open(runs[0].path), *runs[1:]])


def test_rows_of_two_suites_stand_in_two_tables_with_a_headline_each(runs: list[ScoredFolder], tmp_path: Path) -> None:
    page = render([*entries_of(runs), *entries_of(unknown_truth(tmp_path / "mine", **FRAMED))])
    heads = [line for line in page.splitlines() if line.startswith("| method |")]
    assert [head.split("|")[2].strip() for head in heads[:2]] == ["personal-gain ↑", "gap-closed ↑†"]


def test_two_folders_of_one_name_keep_their_entries(tmp_path: Path) -> None:
    report, results = Leaderboard(), tmp_path / "results"
    runs = [
        [
            build(tmp_path / f"{method}{digest}", method, 0.1, spec={"suite": "mine/", "suite_digest": digest * 64})
            for method in ("prompt-only", "inferred")
        ]
        for digest in "ab"
    ]
    first, second = (report.publish(entries_of(of_one), results) for of_one in runs)
    assert [path.parent.name for path in (*first[:2], *second[:2])] == ["mine", "mine", *["mine-bbbbbbbb"] * 2]
    assert [report.publish(entries_of(of_one), results) for of_one in reversed(runs)] == [second, first]
    assert len(load_entries(results / "leaderboard")) == 4
    page = (tmp_path / "leaderboard.md").read_text()
    assert page.count("## mine/, test users") == 2
    assert not report.stale(results)


def test_an_entry_that_cannot_be_read_is_named_before_anything_is_written(
    runs: list[ScoredFolder], tmp_path: Path
) -> None:
    odd = tmp_path / "results/leaderboard/toy/odd.json"
    odd.parent.mkdir(parents=True)
    odd.write_text("{}")
    with pytest.raises(PrefbenchError, match=r"odd\.json is no result"):
        Leaderboard().publish(entries_of([*runs, mismatch(tmp_path / "mismatch")]), tmp_path / "results")
    assert [path.name for path in odd.parent.iterdir()] == ["odd.json"]


@pytest.mark.parametrize(
    ("command", "published"),
    [
        ("run --suite ../of/mine/ --out runs", "run --suite mine"),
        ("run --suite=pictures/mine --method ours", "run --suite=mine --method ours"),
        ("score --images lab/ours --card lab/a.toml --suite '/home/my name/mine'", "score --images ours --card a.toml "
        "--suite mine"),
        ("run --method ./a/b.py:C -p weights=org/model -p file=/home/x/y", "run --method b.py:C -p weights=org/model "
        "-p file=y"),
        ("run --suite picturebook", "run --suite picturebook"),
    ],
)  # fmt: skip
def test_a_published_command_names_no_folder(command: str, published: str) -> None:
    assert portable(f"prefbench {command}") == f"prefbench {published}"


def test_a_published_call_names_no_folder() -> None:
    call = "prefbench.score_images('/home/x/drawn', suite='of/mine', ...)"
    assert "home" not in portable(call)
    assert "of/" not in portable(call)
