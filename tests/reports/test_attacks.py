"""The table of attacks: outcomes by hand on synthetic runs; what is committed has no attacker above honest methods."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import PrefbenchError, ReportContext, Sample, SummaryRow
from prefbench.check.findings import Finding
from prefbench.reports.attacks import attackers
from prefbench.reports.attacks.attackers import outranking
from prefbench.reports.attacks.page import MARKS, grid, render
from prefbench.reports.attacks.report import Attacks
from prefbench.reports.attacks.schema import AttackResult
from prefbench.reports.shared.audited import Fresh, store_outcome
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import samples_digest
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from tests.support.tiny_suite import TinySuite

USERS, PROMPTS = tuple(f"u{i}" for i in range(12)), ("a cat", "a dog", "a fox")
ATTACKS = {"copy": "a liked image", "flip": "a liked image, mirrored", "random": ""}
CONTROLS = ("copy", "flip", "random", "inferred")
SPEC: dict[str, Any] = {
    "suite": "toy", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method_version": "1",
    "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b" * 64, "steps": 2, "guidance": 1.0,
    "dtype": "float32", "seed": 0, "samples_per_case": 1, "users": None, "batch": 4,
}  # fmt: skip


def noise(method: str) -> NDArray[np.float64]:
    """A method's own deviations, of mean zero."""
    drawn = np.random.default_rng(zlib.crc32(method.encode())).normal(0, 0.05, (len(USERS), len(PROMPTS)))
    return drawn - drawn.mean()


def build(
    folder: Path,
    method: str,
    means: Mapping[str, float | None],
    fid: tuple[float, float] | None = None,
    **options: Any,
) -> ScoredFolder:
    """A scored run: a mean for each metric over images (`distance` falls for the better), and a metric over sets."""
    store = RunFolder(folder / f"{method}-{len(list(folder.iterdir()))}")
    card = {"name": method, "version": "1", "control": method in CONTROLS, "attack": ATTACKS.get(method, "")}
    store.write_description(
        {
            "spec": {**SPEC, "method": method, **options.get("spec", {})},
            "method": card | options.get("card", {}),
            "kinds": dict.fromkeys(USERS, "user"),
            "planned": len(USERS) * len(PROMPTS) + options.get("undrawn", 0),
            "command": f"prefbench run --method {method} -p scorer=/home/me/judge.py:Judge --out /home/me/runs",
            "environment": {"versions": {}, "hardware": {}, "code": {"commit": "0" * 40, "dirty": False}},
        }
    )
    places = [(u, p) for u in range(len(USERS)) for p in range(len(PROMPTS))]
    samples = [
        Sample(
            f"{method}/{u}/{p}",
            USERS[u],
            f"{u}/{p}",
            PROMPTS[p],
            0,
            9 * u + p,
            "ok",
            image=hashlib.sha256(f"{method}{u}{p}".encode()).hexdigest(),
        )
        for u, p in places
    ]
    store.append_samples(samples)
    digest = samples_digest(samples)
    for name, mean in means.items():
        header = {
            "metric": f"{name}@1[toy]",
            "question": "preference",
            "unit": "image",
            "won_by": ["copy"] if name == "utility" else [],
        }
        values = [None if mean is None else mean + float(noise(method)[place]) for place in places]
        rows = [{"key": s.key, "column": name, "value": v} for s, v in zip(samples, values, strict=True)]
        direction = "down" if name == "distance" else "up"
        store.write_scores(name, {**header, "direction": direction, "samples": digest}, rows)
    if fid is not None:
        value, spread = fid
        header = {"metric": "fid@1[toy]", "direction": "down", "question": "fidelity", "unit": "set", "won_by": []}
        left = {f"without/user/{i}": value + spread * (-1) ** i for i in range(6)}
        rows = [
            {"key": k, "column": "fid", "value": v, "n": 36} for k, v in {"set": value, "floor": 1.0, **left}.items()
        ]
        store.write_scores("fid", {**header, "samples": digest}, rows)
    store_summary(ScoredFolder.open(store.path))
    return ScoredFolder.open(store.path)


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredFolder]:
    return [
        build(tmp_path, "prompt-only", {"utility": 0.0, "distance": 0.9}, (10.0, 0.01)),
        build(tmp_path, "ours", {"utility": 0.6, "distance": 0.5}, (6.0, 0.01)),
        build(tmp_path, "copy", {"utility": 0.4, "distance": 0.1}, (2.0, 0.01)),
        build(tmp_path, "flip", {"utility": -0.2, "distance": 0.499}, (5.9, 2.0)),
        build(tmp_path, "random", {"utility": 0.7, "distance": 0.0}, (1.0, 0.01)),
        build(tmp_path, "inferred", {"utility": 0.8, "distance": 0.4}, (5.0, 0.01)),
    ]


def outcomes(result: AttackResult) -> dict[str, dict[str, str | None]]:
    return {
        row["method"]: {name: cell and cell["verdict"] for name, cell in row["cells"].items()}
        for row in result["attackers"]
    }


def test_rows_are_attackers_and_columns_what_the_runs_were_scored_with(runs: list[ScoredFolder]) -> None:
    result = attackers.attacks(runs, date="2026-01-01")
    assert outcomes(result) == {
        "copy": {"gap-closed": "behind", "utility": "behind", "distance": "beats", "fid": "beats"},
        "flip": {"gap-closed": "behind", "utility": "behind", "distance": "ahead", "fid": "ahead"},
    }
    assert result["honest"] == ["prompt-only", "ours"]
    assert result["headline"] == "gap-closed"
    assert {name: found["method"] for name, found in result["best"].items()} == dict.fromkeys(result["metrics"], "ours")
    assert outranking(result) == []
    above = {row["method"]: row["cells"]["utility"]["above"] for row in result["attackers"]}
    assert above == {"copy": ["prompt-only"], "flip": []}
    assert result["attackers"][0]["cells"]["fid"]["above"] == ["prompt-only", "ours"], "lower is better"
    assert "Attackers above some honest method: copy above prompt-only." in render(result, "stem")


def test_numbers_are_those_of_the_samples(runs: list[ScoredFolder]) -> None:
    cell = attackers.attacks(runs)["attackers"][0]["cells"]["distance"]
    assert cell["value"] == pytest.approx(0.1)
    assert cell["difference"]["value"] == pytest.approx(0.1 - 0.5)
    assert (cell["n_users"], cell["n_samples"], cell["missing"]) == (12, 36, 0)


def test_an_attacker_above_the_best_honest_method_outranks(runs: list[ScoredFolder], tmp_path: Path) -> None:
    higher = build(tmp_path, "flip", {"utility": 0.61}, spec={"parameters": {"margin": 1}})
    both = attackers.attacks([*runs[:3], higher])
    assert both["headline"] == "utility", "without the frame there is no gap to close"
    assert outranking(both) == ["flip"]
    assert "method is ours; flip stand above every honest method" in render(both, "stem")
    assert "method is ours; no attacker stands above it" in render(attackers.attacks(runs), "stem")


def row(value: float, low: float | None, high: float | None, direction: str = "up") -> SummaryRow:
    return SummaryRow("m", None, "x", "all", value, low, high, 9, 3, 27, 0, direction, "side")


@pytest.mark.parametrize(("attacker", "best", "expected"), [
    (row(2, 1.5, 2.5), row(1, 0.5, 1.4), "beats"),
    (row(2, 1.3, 2.5), row(1, 0.5, 1.4), "ahead"),
    (row(2, None, None), row(1, 0.5, 1.4), "ahead"),
    (row(1, 0.5, 1.4), row(1, 0.5, 1.4), "behind"),
    (row(2, 1.5, 2.5, "down"), row(1, 0.5, 1.4, "down"), "behind"),
    (row(1, 0.5, 1.4, "down"), row(2, 1.5, 2.5, "down"), "beats"),
    (row(1, 0.5, 1.6, "down"), row(2, 1.5, 2.5, "down"), "ahead"),
])  # fmt: skip
def test_outcomes_without_a_pairing_are_by_the_intervals(attacker: SummaryRow, best: SummaryRow, expected: str) -> None:
    assert attackers.outcome(attacker, best, None) == expected


def test_methods_of_older_runs_are_taken_by_their_registered_card(runs: list[ScoredFolder]) -> None:
    copied = runs[2]
    bare = {name: value for name, value in copied.description["method"].items() if name != "attack"}
    older = replace(copied, description={**copied.description, "method": bare})
    assert attackers.attack_of(older) == "a liked image as it is"
    assert (
        attackers.attack_of(
            replace(older, description={**older.description, "spec": {**older.spec, "control": "flipped"}})
        )
        == ""
    )


def test_what_an_attacker_picks_by_is_said(runs: list[ScoredFolder], tmp_path: Path) -> None:
    picking = build(
        tmp_path, "flip", {"utility": 0.1}, spec={"seed": 0, "parameters": {"n": 4}}, card={"selected_by": ["judge"]}
    )
    result = attackers.attacks([*runs[:3], picking])
    assert result["attackers"][-1]["attack"] == "a liked image, mirrored, picked by judge"
    assert "/home/me" not in json.dumps(result)


def test_a_metric_that_one_run_lacks_is_an_empty_cell(runs: list[ScoredFolder], tmp_path: Path) -> None:
    poorer = build(tmp_path, "flip", {"utility": 0.1}, spec={"parameters": {"n": 4}})
    valueless = build(tmp_path, "flip", {"utility": None}, spec={"parameters": {"n": 5}})
    result = attackers.attacks([*runs[:3], poorer, valueless])
    assert [found["cells"]["fid"] is None for found in result["attackers"]] == [False, True, True]
    assert result["attackers"][2]["cells"]["utility"] is None
    assert "(not scored)" in str(grid(result).sections)


def test_the_grid_marks_what_is_won(runs: list[ScoredFolder]) -> None:
    shown = grid(attackers.attacks(runs))
    assert shown.columns[0] == "attacker"
    assert {"utility ↑†", "distance ↓", "fid ↓"} <= set(shown.columns)
    column = shown.columns.index("fid ↓")
    (copy, flip), (best,) = shown.sections
    assert copy[column].split("\n")[0].endswith(MARKS["beats"])
    assert flip[column].split("\n")[0].endswith(MARKS["ahead"])
    assert best[column].endswith("\nours")


def test_runs_of_no_attack_or_of_other_samples_are_refused(runs: list[ScoredFolder], tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="needs runs of attackers"):
        attackers.attacks(runs[:2])
    with pytest.raises(PrefbenchError, match="needs runs of attackers"):
        attackers.attacks(runs[2:])
    fewer = build(tmp_path, "flip", {"utility": 0.1}, spec={"users": 3})
    with pytest.raises(PrefbenchError, match="differ in users, all and 3"):
        attackers.attacks([*runs, fewer])
    with pytest.raises(PrefbenchError, match="is unfinished"):
        attackers.attacks([*runs, build(tmp_path, "flip", {"utility": 0.1}, undrawn=2)])


def test_published_pages_follow_their_data(runs: list[ScoredFolder], tmp_path: Path) -> None:
    report, folder = Attacks(), tmp_path / "attacks"
    report.publish(attackers.attacks(runs), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [f"toy.test.tiny.{kind}" for kind in ("json", "md", "png")]
    assert not report.stale(tmp_path)
    stored = folder / "toy.test.tiny.json"
    stored.write_text(stored.read_text().replace("a liked image, mirrored", "a mirror image"))
    assert report.stale(tmp_path) == ["toy.test.tiny.md"]
    report.rebuild(tmp_path)
    assert not report.stale(tmp_path)
    (folder / "toy.test.tiny.png").unlink()
    assert report.stale(tmp_path) == ["toy.test.tiny.png"]
    stored.write_text("{}")
    with pytest.raises(PrefbenchError, match=r"toy\.test\.tiny\.json is no attacks report"):
        report.stale(tmp_path)


def test_the_report_shows_and_publishes_one_result(runs: list[ScoredFolder], tmp_path: Path) -> None:
    report = Attacks()
    result = report.measure(runs, ReportContext(suite=TinySuite))
    assert [table.title for table in report.tables(result)] == ["attackers and the metrics that they win"]
    paths = report.publish(result, tmp_path / "results")
    assert {path.parent for path in paths} == {tmp_path / "results" / "attacks"}
    assert json.loads(paths[1].read_text()) == report.as_json(result)


# ----------------------------------------------------------------------------------------------------- committed

COMMITTED = Attacks().committed()
committed = pytest.mark.parametrize("result", COMMITTED, ids=[Attacks().stem(result) for result in COMMITTED])


@committed
def test_an_attacker_that_outranks_the_honest_methods_fails_its_audit(result: AttackResult) -> None:
    assert result["headline"] is not None
    audits = {row["method"]: row["audit"] for row in result["attackers"]}
    for method in outranking(result):
        audit = audits[method]
        assert audit is not None
        assert audit["failed"], method


@committed
def test_some_metric_is_fooled(result: AttackResult) -> None:
    """A table without a single won metric would show attackers that attack nothing."""
    assert any(cell and cell["verdict"] == "beats" for row in result["attackers"] for cell in row["cells"].values())


def test_the_committed_tables_are_up_to_date() -> None:
    assert not Attacks().stale()


def audited(run: ScoredFolder, *failed: str) -> None:
    findings = [Finding("users", "ok", ""), *(Finding(check, "FAILED", "") for check in failed)]
    store_outcome(run.folder, run.samples, findings, Fresh(0, ""))


def test_the_page_says_which_check_catches_an_attacker_and_who_wins_and_is_not_caught(runs: list[ScoredFolder]) -> None:
    """`copy` closes half of the gap, `flip` none of it."""
    copy, flip = (next(run for run in runs if run.spec["method"] == name) for name in ("copy", "flip"))
    without = attackers.attacks(runs)
    assert "the audit" not in render(without, "x")
    assert "Not audited" not in render(without, "x")
    audited(copy)
    page = render(attackers.attacks(runs), "x")
    line = "1 of 1 audited attackers close more than 0.05 of the gap; what the audit does not catch: copy (0.500)."
    assert f"{line} Not audited: flip." in page.replace("\\", "")
    audited(copy, "near shown", "grain")
    audited(flip)
    result = attackers.attacks(runs)
    assert "1 of 2 audited attackers close more than 0.05 of the gap; the audit catches every one of them." in render(
        result, "x"
    )
    assert [row[1] for row in grid(result).sections[0]] == ["near shown, grain", "clean"]
    assert attackers.uncaught(result) == []


def test_the_page_of_results_without_audits_is_as_it_was(runs: list[ScoredFolder]) -> None:
    result = attackers.attacks(runs)
    for row in result["attackers"]:
        del row["audit"]
    assert grid(result).columns[1].startswith("gap-closed")


def test_a_page_for_some_users_has_a_name_of_its_own(runs: list[ScoredFolder]) -> None:
    result = attackers.attacks(runs)
    assert Attacks().stem({**result, "users": 15}) == f"{Attacks().stem(result)}.15-users"
