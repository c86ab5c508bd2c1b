"""prefbench from Python: the same runs as by the command, methods of a notebook, numbers as DataFrames."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import prefbench
from prefbench.api import Drawing, FailedSamplesError, Method, MethodCard, PrefbenchError, Request
from prefbench.calls import Run
from prefbench.cli.main import main
from prefbench.methods.prompt_only import PromptOnly
from prefbench.registry import load_class
from prefbench.run.folder import RunFolder

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.py"


class Worded(Method):
    """A method as a cell of a notebook defines it."""

    card = MethodCard(name="worded", version="1", summary="adds a word to the prompt")

    def __init__(self, *, word: str = "red") -> None:
        self.word = word

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        if self.word == "failing":
            raise RuntimeError("no luck")
        backbone, prompts = self.context.backbone, [f"{request.prompt}, {self.word}" for request in requests]
        images = backbone.generate(prompts, [request.seed for request in requests])
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]


@pytest.fixture(scope="module")
def choices(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small run: 2 users, 20 samples."""
    return {
        "users": 2, "out": tmp_path_factory.mktemp("runs"), "metrics": ["utility", "fid"], "backbone": str(tiny_sd),
        "device": "cpu", "steps": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def worded(choices: dict[str, Any]) -> Run:
    return prefbench.run(Worded(word="blue"), **choices)


@pytest.fixture(scope="module")
def plain(choices: dict[str, Any]) -> Run:
    return prefbench.run("prompt-only", **choices)


def test_the_calls_stay_what_they_are_beside_the_packages_of_their_names() -> None:
    assert RunFolder.__module__ == "prefbench.run.folder"
    assert all(inspect.isfunction(getattr(prefbench, name)) for name in prefbench.__all__)
    assert all("Example:" in (getattr(prefbench, name).__doc__ or "") for name in prefbench.__all__)


def test_an_instance_is_drawn_and_scored_with_its_parameters(worded: Run) -> None:
    samples, summary = worded.samples(), worded.summary()
    assert len(samples) == 20
    assert samples["user"].nunique() == 2
    assert samples["prompt_used"].str.endswith(", blue").all()
    assert samples["utility"].notna().all()
    whole = {row["metric"]: row for row in summary.to_dict("records") if row["kind"] == "all"}
    assert {"utility", "fid"} <= set(whole)
    assert whole["utility"]["value"] == pytest.approx(samples["utility"].mean())
    assert whole["utility"]["low"] <= whole["utility"]["value"] <= whole["utility"]["high"]
    assert (worded.method, dict(worded.spec["parameters"])) == ("worded", {"word": "blue"})
    assert worded.path.name.startswith("picturebook-test-worded-")


@pytest.mark.slow
def test_the_same_instance_again_draws_nothing_and_another_one_is_another_run(
    worded: Run, choices: dict[str, Any]
) -> None:
    again = prefbench.run(Worded, parameters={"word": "blue"}, **choices)
    assert again.path == worded.path
    assert len(RunFolder(again.path).starts()) == 1
    other = prefbench.run(Worded(), score=False, **choices)
    assert other.path != worded.path
    assert set(other.samples()["key"]).isdisjoint(worded.samples()["key"])


def test_an_instance_can_be_given_twice(choices: dict[str, Any]) -> None:
    method = Worded(word="green")
    first, second = (prefbench.run(method, score=False, **choices | {"users": users}) for users in (1, 2))
    assert vars(method) == {"word": "green"}
    assert set(first.samples()["key"]) < set(second.samples()["key"])


class Counting(Worded):
    """Keeps what it has seen."""

    def __init__(self, *, word: str = "red") -> None:
        super().__init__(word=word)
        self.seen: dict[str, int] = {}

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        self.seen.update({request.prompt: len(self.seen) for request in requests})
        return super().generate(requests)


@pytest.mark.slow
def test_an_instance_that_changes_as_it_draws_can_be_given_twice(choices: dict[str, Any]) -> None:
    method = Counting(word="grey")
    first, second = (prefbench.run(method, score=False, **choices | {"users": users}) for users in (1, 2))
    assert method.seen == {}
    assert set(first.samples()["key"]) < set(second.samples()["key"])


def test_the_command_and_the_call_make_one_run(plain: Run, choices: dict[str, Any]) -> None:
    options = [word for name, value in choices.items() if name != "metrics" for word in (f"--{name}", str(value))]
    done = CliRunner().invoke(main, ["run", "--method", "prompt-only", *options, "--metrics", "utility,fid", "--json"])
    assert done.exit_code == 0, done.output
    assert "drew 0 of 20 samples, 20 were there already" in done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(prefbench.report([plain]).as_json()))
    assert prefbench.run(PromptOnly(), **choices).path == plain.path


def test_a_run_is_loaded_and_scored_by_its_folder(plain: Run) -> None:
    assert prefbench.load(plain.path).summary().equals(plain.summary())
    assert prefbench.load(str(plain.path)).spec == plain.spec
    scored = prefbench.score(plain.path, "probing")
    assert set(scored.refused) <= {"probing"}


def test_runs_are_compared_in_a_frame(worded: Run, plain: Run) -> None:
    contrasts = prefbench.compare([worded.path, plain], baseline="prompt-only", metrics=("utility",))
    (row,) = contrasts.to_frame().to_dict("records")
    assert (row["metric"], row["method"], row["baseline"]) == ("utility", "worded", "prompt-only")
    assert row["difference"] == pytest.approx(worded.samples()["utility"].mean() - plain.samples()["utility"].mean())
    assert contrasts.passed


def test_runs_come_in_any_iterable(worded: Run, plain: Run) -> None:
    folders = [worded.path, plain.path]
    expected = prefbench.compare(folders, metrics="utility").as_json()
    by_name = {"worded": worded, "plain": plain}
    for runs in ((run for run in (worded, plain)), map(str, folders), by_name.values()):
        assert prefbench.compare(runs, metrics=["utility"]).as_json() == expected
    assert set(prefbench.report(set(folders)).to_frame()["label"]) == {"worded", "prompt-only"}
    assert prefbench.report(path for path in worded.path.parent.glob(worded.path.name)).tables


def test_metrics_come_in_any_iterable(worded: Run) -> None:
    for metrics in ("utility", {"utility"}, (name for name in ["utility"])):
        assert prefbench.score(worded, metrics).samples()["utility"].notna().all()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda runs: prefbench.compare(runs[:0]), "the report contrasts takes at least two runs, got 0"),
        (lambda runs: prefbench.compare(runs[:1]), "the report contrasts takes at least two runs, got 1"),
        (lambda runs: prefbench.compare(runs, baseline=runs[0]), "parameter baseline of Contrasts"),
        (lambda runs: prefbench.compare(runs, pairs="al"), "cannot be 'al': it should be 'baseline' or 'all'"),
        (lambda runs: prefbench.compare(runs, swaps="9"), "cannot be '9': it should be a valid integer"),
        (lambda runs: prefbench.compare(runs, swaps=0), "swaps must be at least 1, got 0"),
        (lambda runs: prefbench.compare(runs, metrics=3), "parameter metrics of"),
        (lambda runs: prefbench.score(runs), "a run is given by the path of its folder, got [Run(path="),
        (lambda runs: prefbench.score(runs[0], [1]), "a metric is given by its name, got 1"),  # type: ignore[list-item]
        (lambda runs: prefbench.score(runs[0].path, suite=3), "a suite is given by its name, got 3"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_with_runs_are_one_line(call: Any, expected: str, worded: Run, plain: Run) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(expected)) as caught:
        call([worded, plain])
    assert "\n" not in str(caught.value)


def test_a_wrong_batch_leaves_nothing_behind(choices: dict[str, Any], tmp_path: Path) -> None:
    few = choices | {"users": 1, "out": tmp_path / "runs"}
    with pytest.raises(PrefbenchError, match="batch cannot be -5: it should be greater than or equal to 1"):
        prefbench.run("copy", score=False, batch=-5, **few)
    assert not list(tmp_path.iterdir())
    assert len(prefbench.run("copy", score=False, **few).samples()) == 10


def test_a_report_is_measured_once_and_written(worded: Run, plain: Run, tmp_path: Path) -> None:
    table = prefbench.report([worded, plain])
    assert set(table.to_frame()["label"]) == {"worded", "prompt-only"}
    assert table.write(tmp_path / "report")[0] == tmp_path / "report" / "report.md"
    assert "worded" in (tmp_path / "report" / "report.md").read_text()
    assert [grid.title for grid in table.tables]
    with pytest.raises(PrefbenchError, match="the report table is not published"):
        table.publish(tmp_path)


def test_too_many_failures_say_how_to_go_on(choices: dict[str, Any]) -> None:
    with pytest.raises(FailedSamplesError, match="20 of 20 samples failed; the same call tries them again, allow_fai"):
        prefbench.run(Worded(word="failing"), **choices)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: prefbench.run("promt-only"), "unknown method 'promt-only'; did you mean 'prompt-only'?"),
        (lambda: prefbench.run("copy", metrics=["fdi"]), "unknown metric 'fdi'; did you mean 'fid'?"),
        (lambda: prefbench.run("copy", step=3), "unknown setting of a run 'step'; did you mean 'steps'?"),
        (lambda: prefbench.run("copy", suite="picturebok"), "unknown suite 'picturebok'"),
        (lambda: prefbench.run("copy", batch=0), "batch cannot be 0: it should be greater than or equal to 1"),
        (lambda: prefbench.run("copy", batch=2.0), "batch cannot be 2.0: it should be a valid integer"),
        (lambda: prefbench.run("copy", samples=-1), "samples cannot be -1: it should be greater than or equal to 1"),
        (lambda: prefbench.run("copy", samples=0), "samples cannot be 0: it should be greater than or equal to 1"),
        (lambda: prefbench.run("copy", steps=0), "steps cannot be 0: it should be greater than or equal to 1"),
        (lambda: prefbench.run("copy", seed="a"), "seed cannot be 'a': it should be a valid integer"),
        (lambda: prefbench.run("copy", seed=1.5), "seed cannot be 1.5: it should be a valid integer"),
        (lambda: prefbench.run("copy", users="2"), "users cannot be '2': it should be a valid integer"),  # type: ignore[arg-type]
        (lambda: prefbench.run("copy", users=2.0), "users cannot be 2.0: it should be a valid integer"),  # type: ignore[arg-type]
        (lambda: prefbench.run("copy", guidance="x"), "guidance cannot be 'x': it should be a valid number"),
        (lambda: prefbench.run("copy", guidance=float("nan")), "guidance cannot be nan: it should be"),
        (lambda: prefbench.run("copy", split=3), "split cannot be 3: it should be a valid string"),  # type: ignore[arg-type]
        (lambda: prefbench.run("copy", backbone=4), "backbone cannot be 4: it should be a valid string"),
        (lambda: prefbench.run("copy", suite=3), "suite cannot be 3: it should be a valid string"),  # type: ignore[arg-type]
        (lambda: prefbench.run("copy", control=3), "control cannot be 3: it should be a valid string"),
        (lambda: prefbench.run("copy", parameters=None), "parameters cannot be None: it should be a"),
        (lambda: prefbench.run("copy", parameters="a=1"), "parameters cannot be 'a=1': it should be a"),
        (lambda: prefbench.run("copy", out=3), "out is given by the path of its folder, got 3"),  # type: ignore[arg-type]
        (
            lambda: prefbench.run("copy", out="/dev/null/x"),
            "cannot write into /dev/null/x: a file stands where a folder",
        ),
        (lambda: prefbench.run("copy", metrics=[1]), "a metric is given by its name, got 1"),  # type: ignore[list-item]
        (lambda: prefbench.run("copy", metrics=1), "metrics cannot be 1: give one, or several in a list"),  # type: ignore[arg-type]
        (lambda: prefbench.run("copy", allow_failures=2), "allow_failures must be 0 to 1, got 2"),
        (lambda: prefbench.report(None), "runs cannot be None: give one, or several in a list"),  # type: ignore[arg-type]
        (lambda: prefbench.report([None]), "a run is given by the path of its folder, got None"),  # type: ignore[list-item]
        (lambda: prefbench.report((), PromptOnly), "a report is given by its name, got <class "),
        (lambda: prefbench.load(None), "a run is given by the path of its folder, got None"),  # type: ignore[arg-type]
        (lambda: prefbench.load("no-such-run"), "no-such-run is not a run folder"),
        (lambda: prefbench.report(name="tabel"), "unknown report 'tabel'; did you mean 'table'?"),
        (lambda: prefbench.report(base="copy"), "unknown option of the report table 'base'; did you mean 'baseline'?"),
        (lambda: prefbench.report(), "the report table takes one run or more, got 0"),
    ],
)
def test_mistakes_are_one_line(call: Any, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PrefbenchError, match=re.escape(expected)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_check_of_the_notebook_draws_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_class("method", f"{NOTEBOOK}:LikedWords").card.name == "liked-words"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_notebook_runs_in_any_folder(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(NOTEBOOK)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"utility +-?[0-9.]+", done.stdout)
    assert re.search(r"utility +liked-words +prompt-only", done.stdout)
    assert (tmp_path / done.stdout.splitlines()[-1]).is_file()
