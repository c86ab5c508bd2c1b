"""Fresh users: a method that knows the public ones falls, an honest one does not, and what cannot be made is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import prefbench
from prefbench.api import PrefbenchError, ReportContext
from prefbench.calls import Run
from prefbench.check.findings import Finding
from prefbench.cli.main import main
from prefbench.reports.audit import fresh
from prefbench.reports.audit.checks import audit
from prefbench.reports.audit.contents import SuiteContents, read_suite
from prefbench.reports.audit.fresh import FILE, Sources, cannot_be_made, draw_fresh, fresh_of
from prefbench.reports.audit.fresh_file import stored
from prefbench.reports.audit.report import Audit
from prefbench.run.execute import execute_unnamed
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import Settings, prepare
from prefbench.run.stamps import stamped
from prefbench.score.score_files import samples_digests
from tests.support import audited_suite, peopled_suite
from tests.support.peopled_suite import PeopledSuite, made, path_of

SUITE = f"{peopled_suite.__file__}:PeopledSuite"


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> dict[str, Any]:
    return {"backbone": str(tiny_sd), "device": "cpu", "steps": 1}


@pytest.fixture(scope="module")
def seen() -> SuiteContents:
    return read_suite(PeopledSuite(), "test")


def run_of(method: str, folder: Path, backbone: Mapping[str, Any], **choices: Any) -> Run:
    return prefbench.run(**made(method, out=folder, **backbone, **choices))


def finding(run: Run, seen: SuiteContents, name: str = "fresh users") -> Finding:
    found = audit(RunFolder(run.path), PeopledSuite(), seen)
    return next(one for one in found if one.check == name)


def audited(run: Run, method: str, backbone: Mapping[str, Any], *more: str) -> Any:
    named = ["--suite", SUITE, "--method", path_of(method), "--backbone", backbone["backbone"]]
    return CliRunner().invoke(main, ["audit", str(run.path), "--fresh", "6", *named, *more])


@pytest.mark.slow
def test_who_knows_the_public_users_falls_on_fresh_ones(
    tmp_path: Path, backbone: dict[str, Any], seen: SuiteContents
) -> None:
    run = run_of("Knowing", tmp_path, backbone)
    assert finding(run, seen).outcome == "not applicable"
    done = audited(run, "Knowing", backbone, "--json")
    (result,) = json.loads(done.stdout)
    checks = {one["check"]: one for one in result["findings"]}
    assert (done.exit_code, checks["fresh users"]["outcome"]) == (1, "FAILED")
    (row,) = checks["fresh users"]["rows"]
    assert row["gain"] == pytest.approx(100 / 255, abs=0.05)
    assert "made the suite" in str(checks["code"]["rows"]), "the code is found too"
    assert finding(run, seen).outcome == "FAILED", "what was drawn is seen by every later audit"


@pytest.mark.slow
def test_an_honest_method_does_for_fresh_users_what_it_does_for_others(
    tmp_path: Path, backbone: dict[str, Any], seen: SuiteContents
) -> None:
    run = run_of("Grey", tmp_path, backbone, users=5)
    for _ in range(2):
        done = audited(run, "Grey", backbone)
        assert done.exit_code == 0, done.output
        assert "draw 24 images for 6 fresh users" in done.output
    assert finding(run, seen).detail.startswith("6 fresh users of a secret seed, drawn in ")
    assert len(list((run.path / "fresh").iterdir())) == 1, "those of an earlier seed are gone"
    (drawn,) = (run.path / "fresh").iterdir()
    stored = json.loads((run.path / FILE).read_text())
    assert RunFolder(drawn).read_description()["spec"]["suite_parameters"] == {"population": stored["population"]}
    assert stored["population"] != 0
    (run.path / FILE).write_text((run.path / FILE).read_text().replace('"users": 6', '"users": 60'))
    assert finding(run, seen).outcome == "FAILED", "an edited result is none"


@pytest.mark.slow
def test_who_draws_honestly_for_the_public_users_alone_is_found_by_the_pictures_for_others(
    tmp_path: Path, backbone: dict[str, Any], seen: SuiteContents
) -> None:
    run = run_of("Hiding", tmp_path, backbone)
    assert finding(run, seen, "equal pictures").outcome == "ok"
    assert audited(run, "Hiding", backbone).exit_code == 1
    found = finding(run, seen)
    assert found.outcome == "FAILED"
    assert [row["check"] for row in found.rows] == ["equal pictures"]
    assert "checks that the pictures of fresh users fail: equal pictures: 24 of 24 drawn images" in found.detail


@pytest.mark.slow
def test_drawings_that_fail_for_fresh_users_alone_are_no_way_out(
    tmp_path: Path, backbone: dict[str, Any], seen: SuiteContents
) -> None:
    run = run_of("Failing", tmp_path, backbone)
    written = json.loads(json.dumps({**CONTENT, "samples": digest_of(run), "failed": 0.5}))
    (run.path / FILE).write_text(json.dumps(stamped(written)))
    assert "50% of drawings for fresh users failed, 0% of the run's" in finding(run, seen).detail
    assert finding(run, seen).outcome == "FAILED"
    done = audited(run, "Failing", backbone)
    assert done.exit_code != 0
    assert not isinstance(done.exception, (ValueError, KeyError))


CONTENT: dict[str, Any] = {
    "users": 6, "population": 1, "folder": "x", "samples": "", "failed": 0.0, "failed_of_own": 0.0, "faults": [],
    "seconds": 1, "date": "2026-01-01",
    "rows": [{"metric": "utility", "gain": 0.0, "p": 1.0, "alike": True, "first": 0.0, "second": 0.0,
              "difference": 0.0, "low": None, "high": None}],
}  # fmt: skip


def digest_of(run: Run) -> str:
    folder = RunFolder(run.path)
    return samples_digests(list(folder.samples().values()), folder.owner)[0]


@pytest.mark.parametrize(
    "changes",
    [{"rows": []}, {"rows": 3}, {"users": "fifty"}, {"faults": [{}]}, {"rows": [{"p": "x"}]}, {"failed": None}],
    ids=str,
)
def test_a_result_that_lacks_or_mistakes_a_field_is_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / FILE).write_text(json.dumps(stamped({**CONTENT, **changes})))
    for read in (lambda: fresh_of(tmp_path, [""]), lambda: stored(tmp_path / FILE)):
        with pytest.raises(PrefbenchError, match=r"fresh\.json is damaged or of an earlier version"):
            read()


@pytest.mark.parametrize("lost", ["faults", "failed", "sha256"])
def test_a_result_without_its_digest_or_what_was_looked_at_is_none(tmp_path: Path, lost: str) -> None:
    content = {**stamped(CONTENT)}
    del content[lost]
    if lost == "sha256":
        del content["format"]
    else:
        content = stamped({name: value for name, value in CONTENT.items() if name != lost})
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(PrefbenchError, match="damaged or of an earlier version"):
        fresh_of(tmp_path, [""])
    (tmp_path / FILE).write_text(json.dumps(stamped(CONTENT)))
    assert fresh_of(tmp_path, [""]).users == 6


@pytest.mark.slow
def test_nothing_says_of_which_users_while_the_method_draws(tmp_path: Path, backbone: dict[str, Any]) -> None:
    choices = made("Grey", out=tmp_path, **backbone, suite_parameters={"population": 987654321})
    prepared = prepare(Settings(**choices))
    texts: list[str] = []

    def watched(requests: Any) -> Any:
        for path in tmp_path.rglob("*"):
            # Another batch is stored meanwhile: a temporary file may have its last name before it is read.
            with suppress(FileNotFoundError):
                if path.is_file() and path.suffix != ".png":
                    texts.append(path.read_text(errors="replace"))
        return type(prepared.method).generate(prepared.method, requests)

    prepared.method.generate = watched  # type: ignore[method-assign]
    assert execute_unnamed(prepared).failed == 0
    assert texts
    assert not any("987654321" in text for text in texts)
    assert len(RunFolder(prepared.folder.path).samples()) == prepared.n_samples, "its rows are those of run.json"
    assert "987654321" in (prepared.folder.path / "run.json").read_text()


def test_a_suite_without_the_parameter_makes_no_fresh_users() -> None:
    spec = {"backbone_digest": "b", "control": None, "suite": "x"}
    tiny = f"{audited_suite.__file__}:AuditedSuite"
    line = "suite 'x' has no parameter 'population': fresh users cannot be made"
    assert cannot_be_made(spec, Sources(suite=tiny)) == line
    assert cannot_be_made(spec, Sources(suite=SUITE)) == ""
    assert cannot_be_made({**spec, "suite": "picturebook"}, Sources()) == ""
    assert "is a file" in cannot_be_made({**spec, "control": "mine.py:f+0123"}, Sources(suite=SUITE))
    assert "were given" in cannot_be_made({**spec, "backbone_digest": "0" * 64}, Sources(suite=SUITE))


@pytest.mark.slow
def test_fresh_users_of_a_suite_that_makes_none_are_one_line_in_the_audit(
    tmp_path: Path, backbone: dict[str, Any]
) -> None:
    tiny = f"{audited_suite.__file__}:AuditedSuite"
    run = prefbench.run(path_of("Grey"), suite=tiny, out=tmp_path, samples=1, score=False, **backbone)
    done = CliRunner().invoke(main, ["audit", str(run.path), "--fresh", "3", "--suite", tiny, "--json"])
    findings = {one["check"]: one for one in json.loads(done.stdout)[0]["findings"]}
    assert (findings["fresh users"]["outcome"], done.exit_code) == ("not applicable", 0)
    assert "has no parameter 'population': fresh users cannot be made" in findings["fresh users"]["detail"]


def test_what_only_the_user_can_name_is_asked_for() -> None:
    for kind, form in (("method", "path/to/file.py:Class"), ("backbone", "path/to/folder")):
        with pytest.raises(PrefbenchError, match=f"'mine' is only loaded when you name it: --{kind} {form}"):
            fresh._registered(kind, "mine", form)


def test_one_user_is_too_few() -> None:
    done = CliRunner().invoke(main, ["audit", "nowhere", "--fresh", "1"])
    assert done.exit_code == 2
    with pytest.raises(PrefbenchError, match="fresh must be at least 2 users"):
        Audit(fresh=1)


@pytest.mark.slow
def test_a_method_that_asks_people_learns_from_the_fresh_ones(tmp_path: Path, backbone: dict[str, Any]) -> None:
    run = run_of("Learning", tmp_path, backbone)
    done = audited(run, "Learning", backbone, "--json")
    findings = {one["check"]: one for one in json.loads(done.stdout)[0]["findings"]}
    assert "6 fresh users of a secret seed" in findings["fresh users"]["detail"]
    method, context = path_of("Grey"), ReportContext(PeopledSuite)
    with pytest.raises(PrefbenchError, match="drawn by what is not here any more"):
        draw_fresh(run.scored, 2, Sources(SUITE, method, backbone["backbone"]), context)


@pytest.mark.slow
def test_a_method_that_changed_since_is_refused(tmp_path: Path, backbone: dict[str, Any]) -> None:
    run = run_of("Grey", tmp_path, backbone, users=2)
    method, context = path_of("Knowing"), ReportContext(PeopledSuite)
    with pytest.raises(PrefbenchError, match="drawn by what is not here any more"):
        draw_fresh(run.scored, 2, Sources(SUITE, method, backbone["backbone"]), context)
