"""A small validation from end to end: known metrics get what they must, a killed one ends the same, the page tells."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prefbench.api import PrefbenchError, ReportContext
from prefbench.reports.validation import ladders, page
from prefbench.reports.validation.claims import fall, rise, stay
from prefbench.reports.validation.measured import MeasuredSystems
from prefbench.reports.validation.nuisances import NUISANCES
from prefbench.reports.validation.preparation import Preparation
from prefbench.reports.validation.report import Validation
from prefbench.reports.validation.settings import STRENGTHS, ValidationSize
from prefbench.reports.validation.study import PARTS, validate
from prefbench.reports.validation.systems import System
from prefbench.reports.validation.tables import grids
from prefbench.reports.validation.unmet import unmet_requirements
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.sets import SET_KEY
from prefbench.suites.picturebook.suite import Picturebook
from tests.support import measures
from tests.support.colours import ColourSuite
from tests.support.toy_runs import build

pytestmark = pytest.mark.slow
"""One whole validation, however small, takes half a minute."""

SMALL = ValidationSize.trial()
METRICS = ("utility", "fid", *(f"{measures.__file__}:{name}" for name in ("Twin", "Chance", "Broken", "Picky")))
Result = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validation")


@pytest.fixture(scope="module")
def suite() -> Picturebook:
    return Picturebook()


@pytest.fixture(scope="module")
def result(folder: Path, suite: Picturebook) -> Result:
    return validate(suite, folder, METRICS, size=SMALL, command="prefbench validate --out /elsewhere/x")


def test_a_metric_that_is_the_truth_gets_all_there_is(result: Result) -> None:
    parts = result["parts"]
    for part in ("per_image", "per_user"):
        assert parts[part]["twin"]["value"] == pytest.approx(1)
    assert parts["of_systems"]["tau"]["twin"]["value"] == pytest.approx(1)
    twin, utility = (parts["dose"][name] for name in ("twin", "utility"))
    assert (twin["monotone"], twin["spearman"]) == (True, 1.0)
    assert twin["detected"] == utility["detected"] is not None
    for point, true, strength in zip(twin["points"], utility["points"], STRENGTHS, strict=True):
        assert point["strength"] == strength
        assert point["value"] == pytest.approx(3 * true["value"] + 1)
    assert utility["points"][-1]["value"] > 0.8, "not 1: half of the prompts name a style word"


def test_a_metric_that_is_chance_gets_nothing(result: Result) -> None:
    parts = result["parts"]
    for found in (parts["per_image"]["chance"], parts["of_systems"]["tau"]["chance"]):
        assert found["low"] < 0 < found["high"]
    assert parts["dose"]["chance"]["monotone"] is False


def test_what_cannot_be_computed_is_left_out_and_listed(result: Result) -> None:
    assert list(result["metrics"]) == ["utility", "fid", "twin", "chance"]
    assert list(result["left_out"].values()) == ["broken has no weights", "too many for picky"]
    assert "broken has no weights" in page.render(result, "x")
    assert set(result["parts"]) == set(PARTS)


def test_metrics_over_sets_are_measured_where_they_can_be(result: Result) -> None:
    parts = result["parts"]
    assert parts["of_systems"]["tau"]["fid"]["low"] is None
    assert [point["p"] is None for point in parts["dose"]["fid"]["points"]] == [True, False, False, False, False]
    assert parts["identical_sets"]["fid"]["n"] == 2
    assert [point["n"] for point in parts["sizes"]["fid"]["points"]] == [8, 16]
    blurred = next(r for r in parts["ladders"]["rows"] if (r["metric"], r["nuisance"]) == ("fid", "blur"))
    assert blurred["effects"][-1]["value"] > 0


@pytest.fixture(scope="module")
def measured(folder: Path, suite: Picturebook, result: Result) -> MeasuredSystems:
    """Everything is there already."""
    assert result
    lines: list[str] = []
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("scores/*.jsonl")}
    systems = Preparation(suite, folder, METRICS, SMALL, lines.append).systems()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("scores/*.jsonl")} == before
    assert len(lines) == 29
    return systems


def test_an_expectation_that_is_violated_is_reported_as_failed(measured: MeasuredSystems, result: Result) -> None:
    wrong = dict.fromkeys(NUISANCES, stay("")) | {"blur": rise("what is blurred pleases more"), "noise": fall("")}
    rows = ladders.corruption_effects(measured, {"twin": wrong, "style": wrong})
    outcomes = {row["nuisance"]: row["verdict"] for row in rows["rows"] if row["metric"] == "twin"}
    assert outcomes["blur"] == "fails"
    assert outcomes["prompt dropped"] in {"holds", "open"}, "with six users no more can be said"
    assert rows["not_measured"] == ["style"]
    changed = result | {"parts": result["parts"] | {"ladders": rows}}
    text = page.render(changed, "x")
    assert "must rise: what is blurred pleases more" in text
    assert "must rise: FAILS" in text


def killed(suite: Picturebook, folder: Path, sabotage: Callable[[], None]) -> int | None:
    """The exit code of a validation in a process of its own that kills itself."""

    def work() -> None:
        sabotage()
        validate(suite, folder, ["utility"], size=SMALL)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    return process.exitcode


def killing_at_write(number: int) -> Callable[[], None]:
    def sabotage() -> None:
        writes, sync = iter(range(1, 1_000_000)), os.fsync

        def fsync(fd: Any) -> None:
            if next(writes) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(fd)

        os.fsync = fsync

    return sabotage


def test_a_validation_that_is_killed_ends_as_one_that_never_was(suite: Picturebook, tmp_path: Path) -> None:
    undisturbed = validate(suite, tmp_path / "whole", ["utility"], size=SMALL)
    kills = [killed(suite, tmp_path / "killed", killing_at_write(n)) for n in (40, 150, 300)]
    assert kills == [-signal.SIGKILL] * 3
    said: list[str] = []
    again = validate(suite, tmp_path / "killed", ["utility"], size=SMALL, log=said.append)
    assert json.dumps(again, sort_keys=True) == json.dumps(undisturbed, sort_keys=True)
    assert any(line.startswith("measure") for line in said)
    said.clear()
    assert validate(suite, tmp_path / "killed", ["utility"], size=SMALL, log=said.append) == again
    assert not any(line.startswith("measure") for line in said)


def test_the_page_is_written_with_its_figures_and_kept_up_to_date(result: Result, tmp_path: Path) -> None:
    report, folder = Validation(), tmp_path / "results" / "validation"
    paths = report.publish(result, tmp_path / "results")
    assert {path.name for path in paths} == {
        "picturebook.md", "picturebook.json", "unmet.json",
        *(f"picturebook.{name}.png" for name in ("dose", "nuisances", "nulls", "sizes")),
    }  # fmt: skip
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == 1400
    page, data = folder / "picturebook.md", folder / "picturebook.json"
    text = page.read_text()
    assert "/elsewhere/x" not in text
    assert "Left out: broken: broken has no weights; picky: too many for picky." in text
    assert str(Path(measures.__file__).parent) not in text + data.read_text()
    assert all(f"## {heading}" in text for heading, _ in grids(result))
    assert not report.stale(tmp_path / "results")
    page.write_text(text + "edited")
    assert report.stale(tmp_path / "results") == ["picturebook.md"]
    data.write_text("{}")
    with pytest.raises(PrefbenchError, match=r"picturebook\.json is no validation report"):
        report.stale(tmp_path / "results")


def test_unmet_requirements_follow_the_published_results(result: Result, tmp_path: Path) -> None:
    required = [
        {"what": "fid: must rise under blur", "found": -1.0, "passed": False},
        {"what": "fid: must rise under noise", "found": 1.0, "passed": True},
        {"what": "copy does not outrank truth by preference", "found": -1.0, "passed": False},
    ]
    Validation().publish({**result, "requirements": required}, tmp_path / "results")
    path = tmp_path / "reports" / "validation" / "unmet.json"
    assert unmet_requirements("picturebook", path) == {"fid": ["must rise under blur"]}
    path.write_text("{}")
    assert Validation().stale(tmp_path / "results") == ["unmet.json"]


def test_the_report_goes_on_where_it_was_stopped_and_publishes(result: Result, folder: Path, tmp_path: Path) -> None:
    report = Validation(metrics=",".join(METRICS), size="trial")
    lines: list[str] = []
    context = ReportContext(Picturebook, "prefbench validate --out /elsewhere/x", folder, lines.append)
    again = report.measure([], context)
    assert not any(line.startswith("measure") for line in lines)
    assert again["parts"] == result["parts"]
    assert report.as_json(again)["command"] == "prefbench validate"
    assert json.dumps(report.as_json(again), allow_nan=False)
    assert [table.title for table in report.tables(again)] == ["Requirements"]
    paths = report.publish(again, tmp_path / "results")
    assert tmp_path / "results" / "validation" / "picturebook.md" in paths


def test_the_report_refuses_runs_of_another_suite(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "honest", 0.5)
    with pytest.raises(PrefbenchError, match="was drawn for another suite than picturebook"):
        Validation(metrics="utility").measure([run], ReportContext(Picturebook))
    with pytest.raises(PrefbenchError, match="unknown metric 'utilty'"):
        Validation(metrics="utilty").measure([], ReportContext(Picturebook))


def test_what_is_published_is_up_to_date() -> None:
    assert not Validation().stale()


def test_real_runs_are_ranked_too(measured: MeasuredSystems, folder: Path, suite: Picturebook) -> None:
    """Systems stand in for real runs; without the learned metric what is required of it is not known."""
    runs = {name: measured.run(system) for name, system in zip("abc", measured.systems.strengths, strict=False)}
    found = validate(suite, folder, METRICS, runs=runs, size=SMALL)
    assert found["parts"]["of_runs"]["tau"]["twin"]["value"] == pytest.approx(1)
    assert [row["passed"] for row in found["parts"]["of_runs"]["required"]] == [None] * 4
    text = page.render(found, "x")
    assert "real runs, tau-b" in text
    assert "by preference | — | open |" in text


def test_real_runs_are_scored_for_every_metric_without_being_touched(
    measured: MeasuredSystems, folder: Path, suite: Picturebook, tmp_path: Path
) -> None:
    paths = []
    for name, system in zip("abc", measured.systems.strengths, strict=False):
        paths.append(Path(shutil.copytree(measured.run(system).folder.path, tmp_path / name)))
        (paths[-1] / "scores" / "fid.jsonl").unlink()
    runs = {path.name: ScoredFolder.open(path) for path in paths}
    assert all("fid" not in run.set_metrics() for run in runs.values())
    found = validate(suite, folder, METRICS, runs=runs, size=SMALL)["parts"]["of_runs"]
    own = [validation_value(measured, system) for system in measured.systems.strengths[:3]]
    assert [found["methods"][name]["fid"] for name in "abc"] == pytest.approx(own)
    assert not found["lacking"]
    assert all("fid" not in ScoredFolder.open(path).set_metrics() for path in paths)


def validation_value(measured: MeasuredSystems, system: System) -> float | None:
    return measured.run(system).set_values("fid")[SET_KEY]


def test_a_suite_without_a_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="needs a suite that knows the truth; colours does not"):
        validate(ColourSuite(), tmp_path, ["utility"], size=SMALL)


def test_without_utility_there_is_nothing_to_hold_against(suite: Picturebook, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="validating needs utility: it was not asked for"):
        validate(suite, tmp_path, METRICS[3:4], size=SMALL)
