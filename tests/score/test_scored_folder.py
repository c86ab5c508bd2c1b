"""A scored run: what is stored is read once and typed, old folders load, and a summary of other scores is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from prefbench.api import ALL, PrefbenchError, Sample, ScoreHeader
from prefbench.cli.main import main
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.score_files import (
    StoredScores,
    read_header,
    read_scores,
    read_summary,
    samples_digest,
    write_scores,
    write_summary,
)
from prefbench.score.score_rows import ScoreRow
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary, summarise
from tests.support import toy_runs
from tests.support.stored import SPEC

OLD = Path(__file__).parent / "run-0.1"
"""A run of three users as version 0.1 stored it, without its images."""
USERS = ("ann", "bob", "cyd")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run")
    samples = [
        Sample(f"{user}/{i}", user, f"{user}/0", "a cat", i, 0, "ok", f"{k}{i}" * 32, seconds=0.5, nfe=4)
        for k, user in enumerate(USERS)
        for i in range(2)
    ]
    kinds = dict(zip(USERS, ("noisy", "noisy", "plain"), strict=True))
    folder.write_description({"spec": SPEC, "method": {"name": "m"}, "kinds": kinds, "planned": 7})
    folder.append_samples(samples)
    header = ScoreHeader("bright@1[mean]", "up", "side", "image", samples_digest(samples), bounds=(0.0, 1.0))
    rows = [ScoreRow(sample.key, "bright", 0.1 * k) for k, sample in enumerate(samples)]
    write_scores(folder, "bright", StoredScores(header, rows))
    store_summary(ScoredFolder.open(folder.path))
    return folder.path


def test_a_folder_of_version_0_1_still_loads() -> None:
    run = ScoredFolder.open(OLD)
    stored = json.loads((OLD / "summary.json").read_text())["rows"]
    rows = run.summary()
    assert [(row.metric, row.kind, row.value, row.low, row.high) for row in rows] == [
        (row["metric"], row["kind"], row["value"], row["low"], row["high"]) for row in stored
    ]
    assert rows[0].won_by == tuple(stored[0]["won_by"])
    assert run.cost().nfe_per_image == 0, "stored as evaluations_per_image"
    assert {sample.nfe for sample in run.samples} == {0}
    assert run.set_metrics().keys() == {"fid"}
    assert run.headers["preference"].scorer is not None
    figures = run.headers["preference"].scorer.figures
    assert figures is not None
    assert figures["above_permuted"]["low"] > 0.3, "stored as above_mismatched"
    assert run.summary_frame().shape == (len(rows), len(asdict(rows[0])))


def test_todays_code_computes_the_values_of_version_0_1(old: Path) -> None:
    """The rules of intervals are others, so that a folder of these days keeps its own."""
    run = ScoredFolder.open(old)
    changed = {"low", "high", "n_pairs", "users_only", "shared", "alike"}
    todays, stored = (
        [{name: value for name, value in asdict(row).items() if name not in changed} for row in rows]
        for rows in (summarise(run), run.summary())
    )
    assert todays == stored


def test_intervals_by_older_rules_are_refused_in_one_line_that_says_how_to_make_them_again(old: Path) -> None:
    run = ScoredFolder.open(old)
    store_summary(run)
    assert ScoredFolder.open(old).summary()
    stored = read_summary(run.folder)
    assert stored is not None
    write_summary(run.folder, run.spec, replace(stored, statistics="1"))
    with pytest.raises(PrefbenchError, match="its intervals follow older rules; prefbench score"):
        ScoredFolder.open(old).summary()


def test_columns_of_an_old_folder_name_their_encoders() -> None:
    named = {row.metric: row.extractor for row in ScoredFolder.open(OLD).summary()}
    assert named["fid"] == "mini-clip"
    assert named["preference"] == "mini-dino"


def test_fields_that_an_old_summary_lacks_get_defaults(old: Path) -> None:
    content = json.loads((old / "summary.json").read_text())
    for row in content["rows"]:
        del row["floor"], row["scorer"], row["unranked"]
    (old / "summary.json").write_text(json.dumps({**content, "of a later version": 1}))
    assert {(row.floor, row.scorer, row.unranked) for row in ScoredFolder.open(old).summary()} == {(None, "", "")}


def test_an_old_summary_of_other_metrics_is_refused(old: Path) -> None:
    RunFolder(old).drop_scores("fid")
    with pytest.raises(PrefbenchError, match="its summary is not of its scores; prefbench score"):
        ScoredFolder.open(old).summary()


@pytest.mark.parametrize("verb", ["score", "report", "audit", "show"])
def test_a_user_that_run_json_lacks_is_one_line_in_every_command(
    scored: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(scored)
    content = {name: value for name, value in folder.read_description().items() if name not in ("format", "sha256")}
    folder.write_description({**content, "kinds": {"ann": "noisy", "bob": "noisy"}})
    monkeypatch.chdir(scored.parent)
    done = CliRunner().invoke(main, [verb, scored.name])
    said = done.stderr + done.stdout
    assert "run/samples/0.jsonl line 6 is of no user that run.json names (cyd)" in " ".join(said.split())
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2


def test_rows_cost_and_frames_are_what_was_stored(scored: Path) -> None:
    run = ScoredFolder.open(scored)
    assert list(run.summary()) == summarise(run)
    first, *kinds = run.summary()
    assert (first.kind, first.n_samples, first.missing) == (ALL, 6, 1)
    assert first.value == pytest.approx(0.25)
    assert [(row.kind, row.missing) for row in kinds] == [("noisy", 0), ("plain", 0)]
    assert (run.cost().seconds_per_image, run.cost().nfe_per_image, run.cost().seconds_per_user) == (0.5, 4.0, None)
    assert run.summary_frame().value.tolist() == [row.value for row in run.summary()]
    frame = run.samples_frame()
    assert frame.bright.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert frame.kind.tolist() == ["noisy"] * 4 + ["plain"] * 2


def test_a_summary_of_other_scores_samples_or_kinds_is_refused(scored: Path) -> None:
    folder = RunFolder(scored)
    scores = read_scores(folder, "bright")
    assert scores is not None
    write_scores(folder, "bright", replace(scores, rows=[replace(row, value=1.0) for row in scores.rows]))
    with pytest.raises(PrefbenchError, match=r"summary is not of its scores; prefbench score .*run"):
        ScoredFolder.open(scored).summary()
    write_scores(folder, "bright", scores)
    assert ScoredFolder.open(scored).summary()
    description = folder.read_description()
    folder.write_description({**description, "kinds": dict.fromkeys(USERS, "plain")})
    with pytest.raises(PrefbenchError, match="summary is not of its scores"):
        ScoredFolder.open(scored).summary()
    folder.write_description(description)
    folder.append_samples([replace(ScoredFolder.open(scored).samples[0], image="f" * 64)])
    with pytest.raises(PrefbenchError, match="the scores of bright are of other samples; prefbench score"):
        ScoredFolder.open(scored).summary()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"rows": 3}', '{"cost": {}, "rows": [{}]}'])
def test_a_missing_or_damaged_summary_is_one_line(scored: Path, content: str | None) -> None:
    path = scored / "summary.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(PrefbenchError, match="its summary is not of its scores; prefbench score"):
        ScoredFolder.open(scored).summary()


def test_a_run_without_scores_is_one_line(scored: Path) -> None:
    RunFolder(scored).drop_scores("bright")
    with pytest.raises(PrefbenchError, match="was not scored yet; prefbench score"):
        ScoredFolder.open(scored).summary()


def test_scores_are_read_once_per_run(scored: Path) -> None:
    run = ScoredFolder.open(scored)
    before = run.columns()["bright"].scores.values
    shutil.rmtree(scored / "scores")
    assert run.columns()["bright"].scores.values is before
    assert run.recipes() == {"bright": "bright@1[mean], proportion"}


def test_headers_survive_their_file(scored: Path) -> None:
    folder, header = RunFolder(scored), ScoredFolder.open(scored).headers["bright"]
    assert read_header(folder, "bright") == header
    stored = read_scores(folder, "bright")
    assert stored is not None
    assert stored.header == header
    assert stored.rows[0] == ScoreRow("ann/0", "bright", 0.0)
    assert read_scores(folder, "other") is None
    assert read_header(folder, "other") is None


@pytest.mark.parametrize(
    ("damage", "lost", "expected"),
    [
        ({}, "direction", r"direction: Field required"),
        ({"direction": "sideways"}, "", r"direction: Input should be 'up' or 'down'"),
        ({"bounds": [0.0]}, "", r"bounds: Field required"),
        ({"bounds": 1}, "", r"bounds: Input should be a valid array"),
        (
            {"scorer": {"name": "preference", "id": "x", "encoders": [], "trained_on": []}},
            "",
            r"scorer\.figures: Field required",
        ),
    ],
)
def test_a_damaged_header_names_the_field(old: Path, damage: dict[str, object], lost: str, expected: str) -> None:
    """Of a folder without digests; else nothing but the digest would be said."""
    path = RunFolder(old).score_path("fid")
    header, *rows = path.read_text().splitlines()
    content = {name: value for name, value in (json.loads(header) | damage).items() if name != lost}
    path.write_text("\n".join([json.dumps(content), *rows, ""]))
    with pytest.raises(
        PrefbenchError, match=rf"fid\.jsonl line 1 is no header of scores \({expected}.*prefbench score"
    ):
        ScoredFolder.open(old).columns()


@pytest.mark.parametrize("line", ["", "{", "[1]", '{"metric": "bright@1"}'])
def test_a_damaged_header_is_one_line(scored: Path, line: str) -> None:
    RunFolder(scored).score_path("bright").write_text(f"{line}\n")
    with pytest.raises(
        PrefbenchError, match=r"bright\.jsonl (line 1 is no header|carries no digest).*; prefbench score"
    ):
        ScoredFolder.open(scored).columns()


def test_columns_hold_nan_where_a_sample_has_no_value(scored: Path) -> None:
    folder = RunFolder(scored)
    scores = read_scores(folder, "bright")
    assert scores is not None
    write_scores(folder, "bright", replace(scores, rows=[replace(scores.rows[0], value=None), *scores.rows[2:]]))
    values = ScoredFolder.open(scored).columns()["bright"].scores.values
    assert np.isnan(values).tolist() == [True, True, False, False, False, False]


def test_scores_under_the_name_of_another_metric_are_refused_and_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = toy_runs.build(tmp_path / "run", "mine", 0.5)
    path = run.folder.score_path("kid")
    path.write_bytes(run.folder.score_path("fid").read_bytes())
    with pytest.raises(PrefbenchError, match=r"kid\.jsonl holds the scores of fid, not of kid; prefbench score"):
        ScoredFolder.open(run.path).set_metrics()
    with caplog.at_level("WARNING"):
        Evaluator(toy_runs.HISTORIES, []).score(Material(run.folder, toy_runs.HISTORIES, "test"))
    assert "kid is removed: " in caplog.text
    assert not path.exists()


@pytest.mark.parametrize("name", ["\u202e", "a%2fb", "fid%20", "%"])
def test_a_file_of_scores_under_a_name_that_prefbench_never_writes_is_one_line(name: str, scored: Path) -> None:
    path = scored / "scores" / f"{name}.jsonl"
    path.write_bytes(RunFolder(scored).score_path("bright").read_bytes())
    with pytest.raises(PrefbenchError, match="is named as no file of scores is: move it elsewhere"):
        ScoredFolder.open(scored).columns()
