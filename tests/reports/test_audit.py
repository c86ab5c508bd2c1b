"""Audits: a clean run passes, and every leak that is planted into a copy of it is found with its row."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

from prefbench.api import History, Picture, PrefbenchError, ReportContext, Sample, Viewer, image_digest, to_pixels
from prefbench.check import Finding, duplicates
from prefbench.check.duplicates import nearest
from prefbench.cli.main import main
from prefbench.registry import load
from prefbench.reports.audit import training
from prefbench.reports.audit.audited_run import split_of
from prefbench.reports.audit.checks import audit
from prefbench.reports.audit.contents import SuiteContents, read_suite
from prefbench.reports.audit.prompts import alike_prompts, content_words
from prefbench.reports.audit.report import Audit
from prefbench.run.folder import RunFolder
from prefbench.score.scored_folder import ScoredFolder
from tests.support import audited_suite
from tests.support.audited_suite import UNSEEN, AuditedSuite
from tests.support.stored import describe as write_anew
from tests.support.stored import profile, rewrite_samples, scores_of

SUITE = f"{audited_suite.__file__}:AuditedSuite"
METRIC = """
from prefbench.api import ImageMetric, MetricCard

class Redness(ImageMetric):
    card = MetricCard("redness", "1", "share of red", "side", "up", "image", "mean")

    def score(self, drawn):
        return {"redness": [float(s.pixels[..., 0].mean() / 255) for s in drawn.samples]}
"""
Auditing = Callable[[RunFolder], dict[str, Finding]]


@pytest.fixture(scope="module")
def clean(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all three users and twelve samples, scored by one metric."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "redness.py").write_text(METRIC)
    options = ["--suite", SUITE, "--backbone", tiny_sd, "--device", "cpu", "--steps", "1", "--out", folder / "made"]
    done = invoke("run", "--method", "prompt-only", *options, "--metrics", f"{folder / 'redness.py'}:Redness")
    assert done.exit_code == 0, done.output
    (path,) = (folder / "made").iterdir()
    return path


@pytest.fixture
def run(clean: Path, tmp_path: Path) -> RunFolder:
    """A copy to plant something in."""
    return RunFolder(Path(shutil.copytree(clean, tmp_path / clean.name)))


@pytest.fixture(scope="module")
def seen() -> SuiteContents:
    return read_suite(AuditedSuite(), "test")


@pytest.fixture(scope="module")
def audited(seen: SuiteContents) -> Auditing:
    return lambda folder: {finding.check: finding for finding in audit(folder, AuditedSuite(), seen)}


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def failed(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if not finding.passed}


def first(run: RunFolder) -> Sample:
    return min(run.samples().values(), key=lambda sample: sample.key)


def rewrite(run: RunFolder, change: Callable[[Sample], Sample | None]) -> None:
    """Changes the stored row of the first sample, or takes it away."""
    rows, chosen = run.samples(), first(run).key
    kept = [change(sample) if key == chosen else sample for key, sample in rows.items()]
    rewrite_samples(run, [sample for sample in kept if sample is not None])


def redraw(run: RunFolder, image: Image.Image) -> str:
    """Plants an image in the first sample's place and returns the sample's key."""
    digest = run.put_image(image)
    rewrite(run, lambda sample: replace(sample, image=digest))
    return first(run).key


def describe(run: RunFolder, change: Callable[[dict[str, Any]], object]) -> None:
    content = run.read_description()
    change(content)
    write_anew(run, content)


def noisy(picture: Picture, levels: int) -> Image.Image:
    """The picture with every pixel off by at most so many levels."""
    pixels = to_pixels(picture.load()).astype(int)
    moved = pixels + np.random.default_rng(3).integers(-levels, levels + 1, pixels.shape)
    return Image.fromarray(moved.clip(0, 255).astype(np.uint8))


# ------------------------------------------------------------------------------------------------------- clean


def test_a_clean_run_passes(clean: Path, audited: Auditing) -> None:
    findings = audited(RunFolder(clean))
    assert failed(findings) == set()
    # The backbone is a folder without a card, and the code that tests run may have local changes.
    assert {name for name, f in findings.items() if f.outcome == "warning"} <= {"trained on", "description"}
    assert findings["rows"].detail == "12 rows, each as planned"
    assert "redness" in findings["scores"].detail
    assert findings["users"].detail.startswith("3 users of test")


def test_everything_of_the_suite_is_looked_at(seen: SuiteContents) -> None:
    suite = AuditedSuite()
    contents = {
        visibility: set(zip(map(str, group.sources), group.digests, strict=True))
        for visibility, group in seen.groups.items()
    }
    for user in ("test-0", "test-1", "test-2"):
        for judgment in suite.history(user).liked + suite.history(user).disliked:
            assert (f"shown history of {user}", judgment.picture.digest) in contents["shown"]
        for judgment in suite.history(user, "scorer").liked:
            assert (f"reference of {user}", judgment.picture.digest) in contents["held-out"]
        for judgment in suite.history(user, "scorer").disliked:
            assert (f"held-out judgments of {user}", judgment.picture.digest) in contents["held-out"]
    of_scorer = suite.history("scorer-1").liked[0].picture.digest
    assert ("scorer user's judgments of scorer-1", of_scorer) in contents["held-out"]
    histories = [train_user.history for train_user in suite.train_users()]
    learned = {judgment.picture.digest for h in histories for judgment in h.liked + h.disliked}
    assert {digest for _, digest in contents["learned"]} == learned


# ----------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("part", ["method", "scorer"])
def test_a_drawn_picture_of_the_suite_is_found(run: RunFolder, audited: Auditing, part: Any) -> None:
    picture = AuditedSuite().history("test-1", part).liked[0].picture
    key = redraw(run, picture.load())
    finding = audited(run)["equal pictures"]
    place = "shown history" if part == "method" else "reference"
    (row,) = finding.rows
    assert not finding.passed
    assert (row["key"], row["image"], row["found"]) == (key, picture.digest, f"{place} of test-1")


@pytest.mark.parametrize(("source", "check", "outcome", "place"), [
    ("held-out", "near held-out", "FAILED", "reference of test-2"),
    ("scorer user", "near held-out", "FAILED", "scorer user's judgments of scorer-0"),
    ("shown", "near shown", "warning", "shown history of test-2"),
    ("train user", "near learned", "warning", "train user's judgments of train-3"),
])  # fmt: skip
def test_a_picture_off_by_three_levels_is_found(
    run: RunFolder, audited: Auditing, source: str, check: str, outcome: str, place: str
) -> None:
    suite = AuditedSuite()
    picture = {
        "held-out": suite.history("test-2", "scorer").liked[1].picture,
        "scorer user": suite.history("scorer-0").disliked[0].picture,
        "shown": suite.history("test-2").disliked[2].picture,
        "train user": suite.train_users()[3].history.liked[0].picture,
    }[source]
    planted = noisy(picture, 3)
    assert image_digest(planted) != picture.digest
    key = redraw(run, planted)
    findings = audited(run)
    (row,) = findings[check].rows
    assert findings[check].outcome == outcome
    assert (row["key"], row["found"], row["picture"]) == (key, place, picture.digest)
    assert 0 < row["distance"] < 3
    assert failed(findings) == {"scores", *([check] if outcome == "FAILED" else [])}


def test_a_mirrored_picture_is_found(run: RunFolder, audited: Auditing) -> None:
    picture = AuditedSuite().history("test-0", "scorer").liked[0].picture
    key = redraw(run, ImageOps.mirror(picture.load()))
    findings = audited(run)
    (row,) = findings["near held-out"].rows
    assert (row["key"], row["picture"]) == (key, picture.digest)
    assert "equal pictures" not in failed(findings)


def test_the_nearest_picture_is_the_one_a_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr(duplicates, "_BLOCK", 5)
    first_, second = (rng.uniform(0, 255, (n, 192)).astype(np.float32) for n in (7, 45))
    found = nearest(first_, second)
    for row, place, distance in zip(first_, found.places, found.distances, strict=True):
        all_distances = [float(np.sqrt(np.mean((row.astype(float) - other) ** 2))) for other in second]
        assert place == int(np.argmin(all_distances))
        assert distance == pytest.approx(min(all_distances))
    nothing = nearest(first_, second[:0])
    assert set(nothing.places) == {-1}
    assert np.isinf(nothing.distances).all()


# ------------------------------------------------------------------------------------------------- users, rows


def test_a_row_of_a_user_that_the_run_does_not_name_is_found(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda sample: replace(sample, user="train-2"))
    findings = audited(run)
    assert not findings["files"].passed
    assert "is of no user that run.json names (train-2)" in str(findings["files"].rows)


def test_a_user_of_another_split_is_found(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["kinds"].update({"train-2": "user"}))
    rewrite(run, lambda sample: replace(sample, user="train-2"))
    findings = audited(run)
    assert {"users", "rows"} <= failed(findings)
    assert list(findings["users"].rows) == [{"user": "train-2", "split": "train"}]


def test_a_user_of_another_kind_than_the_suites_is_found(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["kinds"].update({"test-0": "easy"}))
    findings = audited(run)
    assert "users" in failed(findings)
    (row,) = findings["users"].rows
    assert (row["user"], row["kind"]) == ("test-0", "easy")


def test_a_user_of_nowhere_is_found(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["kinds"].update({"test-9": "user"}))
    assert list(audited(run)["users"].rows) == [{"user": "test-9", "split": None}]


def test_a_row_given_to_another_user_of_the_run_is_found(run: RunFolder, audited: Auditing) -> None:
    owner = first(run).user
    other = next(name for name in ("test-0", "test-1") if name != owner)
    rewrite(run, lambda sample: replace(sample, user=other, index=9))
    findings = audited(run)
    assert failed(findings) >= {"rows"}
    assert findings["rows"].rows[0]["fault"] == f"a case of {owner}"


def test_a_sample_in_two_rows_is_found(run: RunFolder, audited: Auditing) -> None:
    owner = first(run).user
    other = next(name for name in ("test-0", "test-1") if name != owner)
    rewrite(run, lambda sample: replace(sample, user=other))
    assert "is of a user, prompt and index that a row before it has by another key" in str(audited(run)["files"].rows)


def test_a_shared_seed_is_found(run: RunFolder, audited: Auditing) -> None:
    taken = next(sample.seed for key, sample in run.samples().items() if key != first(run).key)
    rewrite(run, lambda sample: replace(sample, seed=taken))
    findings = audited(run)
    assert len(findings["seeds"].rows) == 2
    assert "planned" in findings["rows"].rows[0]["fault"]


def test_a_key_that_nobody_planned_is_found(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda sample: replace(sample, key="0" * 32))
    assert audited(run)["rows"].rows[0]["fault"] == "a key that the spec does not plan"


def test_an_unfinished_run_is_said_to_be_one(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda _: None)
    finding = audited(run)["rows"]
    assert finding.outcome == "warning"
    assert finding.detail.startswith("1 row is not drawn yet")


def test_another_history_behind_a_profile_is_found(run: RunFolder, audited: Auditing) -> None:
    run.append_profile(profile("test-0", "f" * 64))
    finding = audited(run)["rows"]
    assert finding.rows[-1] == {"user": "test-0", "fault": "a profile of another history"}


def test_a_run_of_a_split_that_is_learned_from_fails(run: RunFolder) -> None:
    describe(run, lambda content: content["spec"].update(split="train"))
    suite = AuditedSuite()
    findings = audit(run, suite, read_suite(suite, split_of(run.read_description()["spec"])))
    assert "users" in {finding.check for finding in findings if not finding.passed}


def test_a_run_under_a_control_is_planned_under_it(tiny_sd: Path, tmp_path: Path, audited: Auditing) -> None:
    options = [
        "--suite",
        SUITE,
        "--backbone",
        tiny_sd,
        "--device",
        "cpu",
        "--steps",
        "1",
        "--out",
        tmp_path,
        "--no-score",
    ]
    done = invoke("run", "--method", "prompt-only", "--control", "other-user", *options)
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.iterdir()
    findings = audited(RunFolder(path))
    assert findings["rows"].outcome == "ok"
    assert findings["scores"].detail == "the run was not scored yet"


# ------------------------------------------------------------------------------------------------------ prompts


def test_a_prompt_from_a_history_is_found(run: RunFolder, audited: Auditing) -> None:
    prompt = AuditedSuite().history(first(run).user).liked[0].prompt
    rewrite(run, lambda sample: replace(sample, prompt=f" {prompt.upper()} "))
    findings = audited(run)
    assert {"prompts seen", "targets"} <= failed(findings)
    assert findings["prompts seen"].rows[0]["key"] == first(run).key
    assert "of t" in findings["prompts seen"].rows[0]["found"]


def test_a_training_caption_is_found(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda sample: replace(sample, prompt="A lake  at noon"))
    findings = audited(run)
    assert findings["prompts seen"].rows[0]["found"] == "training captions"
    assert "targets" not in failed(findings)


def test_a_prompt_in_another_order_is_a_warning(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda sample: replace(sample, prompt="at noon, the lake"))
    finding = audited(run)["prompts near"]
    assert finding.outcome == "warning"
    assert (finding.rows[0]["near"], finding.rows[0]["jaccard"]) == ("a lake at noon", 1.0)


def test_near_prompts_are_those_that_a_loop_finds() -> None:
    rng = np.random.default_rng(5)
    words = ["fox", "snow", "boat", "night", "house", "sea", "old", "red"]
    asked, seen = (
        [" ".join(rng.choice(words, rng.integers(1, 7), replace=False)) for _ in range(60)] for _ in range(2)
    )
    found = alike_prompts(asked, seen)
    for prompt in asked:
        own = set(prompt.split())
        best = max(len(own & set(o.split())) / len(own | set(o.split())) for o in seen)
        assert (prompt in found) == (best >= 0.8)
        if prompt in found:
            assert found[prompt][1] == pytest.approx(best)
    assert any(value < 1 for _, value in found.values()), "some are near and not equal"


def test_one_template_makes_no_prompts_near() -> None:
    """Of all words two such prompts share four in six, of content words none."""
    assert content_words("A cat, on the hill") == {"cat", "hill"}
    assert content_words("of the") == {"of", "the"}
    prompts = [f"a {a} in the {b}" for a, b in itertools.product(["fox", "owl", "cup"], ["snow", "sea", "rain"])]
    assert alike_prompts(prompts[:1], prompts[1:]) == {}


# ------------------------------------------------------------------------------------------------ trained on what


@pytest.mark.parametrize("data", ["tiny:test", "tiny:scorer", "tiny"])
def test_training_on_the_evaluated_users_is_found(run: RunFolder, audited: Auditing, data: str) -> None:
    describe(run, lambda content: content["method"].update(trained_on=["tiny:train", data]))
    findings = audited(run)
    assert failed(findings) == {"trained on"}
    assert list(findings["trained on"].rows) == [{"declared by": "method prompt-only", "trained on": data}]


def test_training_on_train_users_is_no_leak(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["method"].update(trained_on=["tiny:train"]))
    assert failed(audited(run)) == set()


def test_cards_of_weights_are_read(
    run: RunFolder, audited: Auditing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = {"good": {"suite": "tiny", "split": "train"}, "bad": {"suite": "tiny", "split": "test"}, "mute": None}
    for name, data in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps({"name": name, "data": data}))
    monkeypatch.setattr(training, "WEIGHTS", tmp_path)
    describe(run, lambda content: content["spec"].update(method_version="1+abc"))
    describe(run, lambda content: content["method"].update(weights=["good", "mute", "absent"]))
    finding = audited(run)["trained on"]
    assert finding.outcome == "warning"
    assert [row["weights"] for row in finding.rows][-2:] == ["mute", "absent"]
    assert all("undeclared" in row["fault"] for row in finding.rows)
    assert "weights good: tiny:train" in finding.detail
    describe(run, lambda content: content["method"].update(weights=["good", "bad"]))
    finding = audited(run)["trained on"]
    assert list(finding.rows) == [{"declared by": "weights bad", "trained on": "tiny:test"}]


def test_weights_of_a_registered_backbone_are_no_doubt_about_a_method_and_a_folders_are(
    run: RunFolder, audited: Auditing
) -> None:
    card = load("backbone", "magenta")
    describe(run, lambda content: content["spec"].update(backbone=card.name))
    describe(run, lambda content: content["backbone"].update(source=card.source))
    finding = audited(run)["trained on"]
    assert (finding.outcome, finding.rows) == ("ok", ())
    describe(run, lambda content: content["backbone"].update(source="/home/ann/magenta"))
    finding = audited(run)["trained on"]
    assert (finding.outcome, [row["weights"] for row in finding.rows]) == ("warning", ["magenta"])


def test_a_scorer_that_a_method_picks_by_is_a_warning(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["method"].update(selected_by=["preference"]))
    finding = audited(run)["trained on"]
    assert finding.outcome == "warning"
    assert finding.rows[0] == {"picks by": "preference", "fault": "scores by preference say nothing of this run"}


def test_shipped_weights_declare_what_they_saw() -> None:
    data = {path.name: training.data_of(path.name) for path in training.WEIGHTS.iterdir() if path.is_dir()}
    assert data
    assert None not in data.values()
    assert data["ours-mini-sd"] == ("picturebook:train",)
    assert data["mini-sd"] == ("picturebook:captioned corpus",)


# ----------------------------------------------------------------------------------------------------- provenance


def test_a_tampered_image_is_found(run: RunFolder, audited: Auditing) -> None:
    sample = first(run)
    Image.new("RGB", (32, 32), (9, 9, 9)).save(run.image_path(sample.image or ""))
    finding = audited(run)["images"]
    (row,) = finding.rows
    assert not finding.passed
    assert row["key"] == sample.key
    assert "holds another picture than its name says" in row["fault"]


def test_a_missing_image_is_found(run: RunFolder, audited: Auditing) -> None:
    run.image_path(first(run).image or "").unlink()
    assert [row["key"] for row in audited(run)["images"].rows] == [first(run).key]


def test_a_row_without_an_image_is_found(run: RunFolder, audited: Auditing) -> None:
    rewrite(run, lambda sample: replace(sample, image=None))
    assert audited(run)["images"].rows[0]["fault"] == "drawn, but no image is named"


def test_another_suite_is_found(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["spec"].update(suite_digest="0" * 64))
    assert "suite" in failed(audited(run))


@pytest.mark.parametrize(("path", "name"), [
    (("spec", "backbone_digest"), "spec.backbone_digest"),
    (("environment", "versions", "torch"), "environment.versions.torch"),
    (("environment", "code"), "environment.code"),
    (("command",), "command"),
])  # fmt: skip
def test_what_a_description_lacks_is_named(run: RunFolder, audited: Auditing, path: Sequence[str], name: str) -> None:
    def drop(content: dict[str, Any]) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = "" if isinstance(content[path[-1]], str) else None

    describe(run, drop)
    assert {"lacking": name} in audited(run)["description"].rows


def test_files_that_are_not_as_they_were_written_are_named(run: RunFolder, audited: Auditing) -> None:
    assert audited(run)["files"].outcome == "ok"
    path = run.path / "profiles.jsonl"
    path.write_text(path.read_text().replace('"seconds": ', '"seconds": 1'))
    finding = audited(run)["files"]
    assert finding.outcome == "FAILED"
    assert "profiles.jsonl line 2 is not as it was written" in str(finding.rows[0]["fault"])


def test_users_without_a_profile_are_a_warning(run: RunFolder, audited: Auditing) -> None:
    (run.path / "profiles.jsonl").unlink()
    (run.path / "summary.json").unlink()
    (run.path / "scores").rename(run.path / "no scores")
    assert audited(run)["files"].detail == "3 users with samples have no profile"


def test_folders_without_digests_are_said_to_have_none(tmp_path: Path, audited: Auditing) -> None:
    old = shutil.copytree(Path(__file__).parents[1] / "score" / "run-0.1", tmp_path / "old")
    finding = audited(RunFolder(old))["files"]
    assert finding.outcome == "warning"
    assert "format 1, as of version 0.2 and older: without digests not every edit can be found" in finding.detail


def test_weights_without_a_digest_are_found(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["method"].update(weights=["mini-mllm"]))
    assert "the digest of the weights" in audited(run)["description"].detail


def test_local_changes_are_a_warning(run: RunFolder, audited: Auditing) -> None:
    describe(run, lambda content: content["environment"].update(code={"commit": "a" * 40, "dirty": True}))
    assert audited(run)["description"].outcome == "warning"
    describe(run, lambda content: content["environment"].update(code={"commit": "a" * 40, "dirty": False}))
    assert audited(run)["description"].outcome == "ok"


@pytest.mark.parametrize(("change", "fault"), [
    ({"samples": "0" * 16}, "stale: of other samples"),
    ({"suite": "other"}, "of another suite"),
    ({"metric": "redness"}, "names no metric, version and recipe"),
])  # fmt: skip
def test_scores_of_something_else_are_found(
    run: RunFolder, audited: Auditing, change: dict[str, str], fault: str
) -> None:
    header, rows = scores_of(run, "redness")
    run.write_scores("redness", {**header, **change}, rows)
    findings = audited(run)
    assert failed(findings) == {"scores"}
    assert list(findings["scores"].rows) == [{"metric": "redness", "fault": fault}]


# -------------------------------------------------------------------------------------------------------- command


def test_the_command_shows_a_line_a_check(clean: Path) -> None:
    done = invoke("audit", clean, "--suite", SUITE)
    assert done.exit_code == 0, done.output
    assert f"run {clean.name}: clean" in done.stdout
    assert re.search(r"^ *ok +seeds +12 seeds, each once$", done.stdout, re.MULTILINE)


def test_the_command_fails_and_shows_ten_rows(run: RunFolder, clean: Path) -> None:
    for sample in run.samples().values():
        run.image_path(sample.image or "").unlink()
    done = invoke("audit", run.path, clean, "--suite", SUITE)
    assert done.exit_code == 1
    assert "checks FAILED: images" in done.stdout
    assert done.stdout.count("is missing; the run's") == 10
    assert "and 2 more, all of them with --json" in done.stdout
    assert done.stdout.count(": clean") == 1
    as_json = invoke("audit", run.path, "--suite", SUITE, "--json")
    (audited,) = json.loads(as_json.stdout)
    found = {finding["check"]: finding for finding in audited["findings"]}
    assert (as_json.exit_code, audited["passed"], found["images"]["passed"]) == (1, False, False)
    assert len(found["images"]["rows"]) == 12


def test_the_report_holds_every_finding_of_every_run(run: RunFolder, clean: Path) -> None:
    shutil.rmtree(run.path / "images")
    lines: list[str] = []
    report = Audit(suite=SUITE)
    context = ReportContext(suite=AuditedSuite, log=lines.append)
    result = report.measure([ScoredFolder.open(run.path), ScoredFolder.open(clean)], context)
    damaged, sound = report.tables(result)
    assert damaged.title == f"run {run.path.name}: 1 of 23 checks FAILED: images"
    assert sound.title.startswith(f"run {clean.name}: clean")
    warned = [finding.check for finding in result[1].findings if finding.outcome == "warning"]
    assert all(check in sound.title for check in warned)
    (images,) = [row for row in damaged.sections[0] if row[1] == "images"]
    assert images[0] == "FAILED"
    assert images[2].count("is missing; the run's own command draws it again") == 10
    assert images[2].endswith("\nand 2 more, all of them with --json")
    assert not report.passed(result)
    assert report.passed(result[1:])
    assert [len(audited["findings"]) for audited in report.as_json(result)] == [23, 23]
    assert lines[1:] == [f"audit {run.path.name}", f"audit {clean.name}"], "the suite's pictures are loaded once"


def test_mistakes_are_one_line(run: RunFolder, tmp_path: Path) -> None:
    done = invoke("audit", tmp_path)
    assert (done.exit_code, "is not a run folder" in done.stderr) == (2, True)
    done = invoke("audit", run.path)
    assert (done.exit_code, "--suite path/to/file.py:Class" in done.stderr) == (2, True)
    with pytest.raises(PrefbenchError, match="unknown split of the run 'tset'; did you mean 'test'"):
        split_of({"split": "tset"})


def test_the_prompts_of_the_fixture_are_unseen(seen: SuiteContents) -> None:
    assert not set(UNSEEN) & set(seen.prompts)


def test_a_picture_of_the_suite_that_cannot_be_read_fails_the_audit_with_its_user_and_side(run: RunFolder) -> None:
    class Damaged(AuditedSuite):
        def history(self, user: str, viewer: Viewer = "method") -> History:
            history = super().history(user, viewer)
            if (user, viewer) != ("test-1", "method"):
                return history
            broken = replace(history.disliked[0].picture, data=b"<html>403 Forbidden</html>")
            return replace(history, disliked=(replace(history.disliked[0], picture=broken), *history.disliked[1:]))

    suite = Damaged()
    findings = {one.check: one for one in audit(run, suite, read_suite(suite, "test"))}
    found = findings["suite pictures"]
    assert found.outcome == "FAILED"
    assert found.detail.startswith("1 of ")
    assert found.detail.endswith("is an HTML page, as of a download that failed, no PNG, JPEG, WebP, GIF, BMP or TIFF"
                                 " (disliked shown history of test-1)")  # fmt: skip
    assert [row["user"] for row in found.rows] == ["test-1"]
    assert findings["near shown"].outcome == "ok"


def test_every_long_stage_shows_its_share_to_the_end(clean: Path) -> None:
    steps_told: dict[str, list[int]] = {}

    @contextmanager
    def bar(stage: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
        assert unit in ("img", "user", "history")
        done = steps_told[stage] = [total]
        yield done.append

    Audit(suite=SUITE).measure([ScoredFolder.open(clean)], ReportContext(suite=AuditedSuite, bar=bar))
    assert list(steps_told) == [
        "references", "judged pictures", "read images",
        "compare with held-out pictures", "compare with shown pictures", "compare with learned pictures",
    ]  # fmt: skip
    for stage, (total, *done) in steps_told.items():
        assert sum(done) == total, stage


def test_a_comparison_tells_how_many_pictures_are_done() -> None:
    steps_told: list[int] = []
    nearest(np.zeros((3000, 192), np.float32), np.zeros((5, 192), np.float32), steps_told.append)
    assert steps_told == [2048, 952]
