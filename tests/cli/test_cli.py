"""The command: quick help, one line for every mistake, JSON that parses, and a whole run from drawing to report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result

from prefbench.cli.main import main
from prefbench.registry import Kind, names
from prefbench.run.folder import RunFolder
from tests.support.stored import describe
from tests.support.toy_runs import build

EXAMPLES = Path(__file__).parents[2] / "examples"
ROW_KEYS = {
    "method", "control", "metric", "kind", "value", "low", "high", "n_users", "n_prompts", "n_samples", "missing",
}  # fmt: skip
VERBS = (
    "run", "score", "report", "compare", "audit", "power", "validate", "show", "list", "check", "train", "ablate",
    "doctor",
)  # fmt: skip
FAILING = """
from prefbench.api import Method, MethodCard
from prefbench.api import Drawing

class Failing(Method):
    card = MethodCard(name="failing", version="1", summary="fails for the first sample of every case")

    def generate(self, requests):
        if any(request.index == 0 for request in requests):
            raise RuntimeError("no [bold]such[/bold] luck")
        images = self.context.backbone.generate([r.prompt for r in requests], [r.seed for r in requests])
        return [Drawing(image, r.prompt) for image, r in zip(images, requests)]
"""

Invoke = Callable[..., Result]


METRIC = """
from prefbench.api import ImageMetric, MetricCard

class Redness(ImageMetric):
    card = MetricCard("redness", "1", "share of red", "side", "up", "image", "mean")

    def score(self, drawn):
        return {"redness": [float(s.pixels[..., 0].mean() / 255) for s in drawn.samples]}
"""


@pytest.fixture(scope="module")
def invoke() -> Invoke:
    def invoke_one(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke_one


@pytest.fixture(scope="module")
def options(tiny_sd: Path) -> list[str]:
    """A small run: 3 users, 30 samples."""
    return ["--backbone", str(tiny_sd), "--device", "cpu", "--users", "3", "--steps", "2", "--batch", "10"]


# ------------------------------------------------------------------------------------------------------- help


def test_help_imports_nothing_heavy() -> None:
    """NumPy alone: the records of the contracts are typed with its arrays."""
    program = (
        "import sys\n"
        "from prefbench.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    heavy = {'torch', 'diffusers', 'transformers', 'scipy', 'pandas', 'sklearn', 'matplotlib'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(invoke: Invoke, verb: str) -> None:
    done = invoke(verb, "--help")
    assert done.exit_code == 0
    assert f"Usage: main {verb}" in done.stdout


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefbench.cli.main", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("prefbench, version ")


def test_without_a_standard_output_a_command_works_all_the_same() -> None:
    command = f"{sys.executable} -m prefbench.cli.main list methods --json >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_terminal_of_another_encoding_gets_the_table_without_the_signs_that_it_lacks(tmp_path: Path) -> None:
    build(tmp_path / "run", "honest", 0.5)
    command = [sys.executable, "-m", "prefbench.cli.main", "report", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "utility ?" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_link_to_nothing_among_the_scores_leaves_its_run_out_and_the_other_in(tmp_path: Path, invoke: Invoke) -> None:
    folders = [build(tmp_path / name, name, 0.5).path for name in ("intact", "linked")]
    score = next((folders[1] / "scores").iterdir())
    score.unlink()
    score.symlink_to(tmp_path / "nowhere")
    done = invoke("report", *folders)
    assert isinstance(done.exception, SystemExit), done.exception
    assert f"{score} is a link to nothing" in done.output
    assert "intact on toy test" in done.stdout


# --------------------------------------------------------------------------------------------------- mistakes


MISTAKES = {
    "method": (["run", "--method", "promt-only"], "unknown method 'promt-only'; did you mean 'prompt-only'?"),
    "suite": (["run", "--method", "copy", "--suite", "picturebok"], "did you mean 'picturebook'?"),
    "split": (["run", "--method", "copy", "--split", "tset"], "unknown split 'tset'; did you mean 'test'?"),
    "control": (["run", "--method", "copy", "--control", "fliped"], "did you mean 'flipped'?"),
    "parameter": (["run", "--method", "copy", "-p", "scale=1"], "unknown parameter of CopyLiked 'scale'"),
    "parameter without a value": (["run", "--method", "copy", "-p", "scale"], "must read name=value"),
    "suite parameter": (["run", "--method", "copy", "-s", "histroy=4"], "did you mean 'history'?"),
    "suite parameter's value": (["run", "--method", "copy", "-s", "history=99"], "history must be 1 to 16"),
    "backbone": (["run", "--method", "copy", "--backbone", "mini-ds"], "did you mean 'mini-sd'?"),
    "device": (["run", "--method", "copy", "--device", "cuba"], "unknown device 'cuba'; did you mean 'cuda'?"),
    "dtype": (["run", "--method", "copy", "--dtype", "float61"], "unknown dtype 'float61'; did you mean 'float16'?"),
    "metric": (["run", "--method", "copy", "--metrics", "utility,fdi"], "unknown metric 'fdi'; did you mean 'fid'?"),
    "users": (["run", "--method", "copy", "--users", "0"], "users cannot be 0: it should be greater than or equal"),
    "file": (["run", "--method", "absent.py:Mine"], "method file absent.py does not exist"),
    "file without a class": (["run", "--method", "absent.py"], "must name a class too: absent.py:Class"),
    "run folder": (["score", "no-such-run"], "no-such-run is not a run folder"),
    "report of no run": (["report", "no-such-run", "--json"], "no-such-run is not a run folder"),
    "kind": (["list", "metods"], "unknown kind 'metods'; did you mean 'methods'?"),
    "kind of weights": (["list", "weightss"], "did you mean 'weights'? (known: suites,"),
    "kind of families": (["list", "metric_familys"], "did you mean 'metric_families'?"),
    "kind to check": (["check", "metrik", "x"], "unknown kind 'metrik'; did you mean 'metric'?"),
    "card": (["show", "metric", "utilty"], "did you mean 'utility'?"),
    "a suite's parameter": (
        ["check", "metric", "utility", "-s", "world=2"],
        "-s world=2 is for checking suites; parameters of a metric go after -p",
    ),
    "check": (["check", "method", "promt-only"], "did you mean 'prompt-only'?"),
    "trainer": (["train", "mini-slip"], "did you mean 'mini-clip'?"),
    "trainer's parameter": (["train", "mini-sd", "-p", "compile=yes"], "did you mean 'compile_model'?"),
    "trainer's backbone": (["train", "ours", "-p", "backbone=sdlx"], "unknown backbone 'sdlx'; did you mean 'sdxl'?"),
    "trainer's language model": (["train", "ours", "-p", "mllm=mini-mlm"], "did you mean 'mini-mllm'?"),
    "trainer's suite": (["train", "preference", "-p", "suite=picturebok"], "did you mean 'picturebook'?"),
    "report's class": (["report", "x", "--name", f"{EXAMPLES / 'win_rates.py'}:WinRate"], "did you mean 'WinRates'?"),
    "trainer's stage": (["train", "ours", "-p", "stage=layer"], "did you mean 'layers'?"),
    "verb": (["rum"], "No such command 'rum'"),
    "option": (["run", "--metod", "copy"], "No such option"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_with_a_way_out(
    invoke: Invoke, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, expected = MISTAKES[what]
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    *before, last = done.stderr.strip().splitlines()
    assert expected in last
    assert not before or what in ("verb", "option")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_here_come_with_the_command_that_gets_them(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("run", "--method", "prompt-only", "--backbone", "sdxl", "--out", tmp_path)
    assert done.exit_code == 2
    assert "get it with: hf download stabilityai/stable-diffusion-xl-base-1.0" in done.stderr


def test_a_folder_that_cannot_be_written_is_one_line(invoke: Invoke, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = invoke("run", "--method", "prompt-only", *options, "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert done.stderr.startswith("prefbench: cannot write")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_debug_shows_the_traceback() -> None:
    command = [sys.executable, "-m", "prefbench.cli.main", "--debug", "show", "no-such-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "no-such-run is not a run folder" in done.stderr


# ---------------------------------------------------------------------------------------------- what there is


def test_list_paths_are_lines_that_exist(invoke: Invoke) -> None:
    done = invoke("list", "--paths", "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert {(row["kind"], row["name"]) for row in rows} == {(k, name) for k in get_args(Kind) for name in names(k)}
    for row in rows:
        path, _, line = row["path"].rpartition(":")
        assert 1 <= int(line) <= len(Path(path).read_text().splitlines()), row


@pytest.mark.parametrize("kind", ["method", "methods"])
def test_list_takes_a_kind_in_either_number(invoke: Invoke, kind: str) -> None:
    done = invoke("list", kind)
    listed = [line.split("\t")[1] for line in done.stdout.splitlines()]
    assert sorted(listed) == sorted(names("method")), "each once, in its group"


@pytest.mark.parametrize("kind", ["method", "metric", "suite", "backbone", "control", "extractor"])
def test_every_card_shows(invoke: Invoke, kind: Kind) -> None:
    for name in names(kind):
        shown = json.loads(invoke("show", kind, name, "--json").stdout)
        assert shown["name"] == name
        assert ("alpha on white" in shown.get("pictures", "")) == (kind in ("suite", "method", "metric"))
        assert invoke("show", kind, name).exit_code == 0


def test_doctor_names_versions_folders_and_weights(invoke: Invoke, cache: Path) -> None:
    done = invoke("doctor", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["versions"]["torch"]
    assert found["hardware"]["cores"] >= 1
    assert found["folders"]["cache"] == str(cache)
    rows = {(row["kind"], row["name"]): row for row in found["weights"]}
    assert rows["backbone", "sdxl"]["command"].startswith("hf download")
    assert {("method", name) for name in names("method")} < set(rows)
    lines = [line.split("\t") for line in invoke("doctor").stdout.splitlines()]
    (sdxl,) = (line for line in lines if line[:2] == ["backbone", "sdxl"])
    assert sdxl[2].startswith("missing: there is no local copy of stabilityai/stable-diffusion-xl-base-1.0")
    assert sdxl[3:5] == ["about 6,940.0 MB to download", "CreativeML Open RAIL++-M"]
    assert sdxl[5].startswith("hf download stabilityai/")
    assert ["method", "prompt-only", "ready"] in [line[:3] for line in lines]


# ------------------------------------------------------------------------------------------------ a whole run


@pytest.fixture(scope="module")
def whole_run(invoke: Invoke, options: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("runs")
    done = invoke("run", "--method", "prompt-only", *options, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    (path,) = out.iterdir()
    return path, done


def rows_of(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert rows
    assert all(set(row) >= ROW_KEYS for row in rows)
    return rows


def test_a_run_draws_scores_and_reports(whole_run: tuple[Path, Result]) -> None:
    path, done = whole_run
    rows = {row["metric"]: row for row in rows_of(done) if row["kind"] == "all"}
    assert {"utility", "preference", "prompt-fidelity", "clip-score", "fid", "kid", "diversity"} <= set(rows)
    assert {name for name, row in rows.items() if row["value"] is None} == {
        "copy-rate", "copy-rate/hash", "copy-rate/embedding",
    }, "of three users it is not known what a copy is"  # fmt: skip
    for row in rows.values():
        assert (row["method"], row["control"]) == ("prompt-only", None)
        if row["value"] is None:
            continue
        asked = 18 if row["metric"] == "prompt-fidelity/words" else 30
        assert (row["n_users"], row["n_samples"], row["missing"]) == (3, asked, 30 - asked), "12 ask for no word"
        assert row["low"] <= row["value"] <= row["high"]
    assert {"run.json", "summary.json", "profiles.jsonl", "report", "images"} <= {
        found.name for found in path.iterdir()
    }
    assert (path / "report" / "report.md").is_file()
    assert list((path / "report").rglob("*.png"))


def test_progress_and_tables_go_to_standard_error_beside_json(whole_run: tuple[Path, Result]) -> None:
    path, done = whole_run
    assert "drew 30 of 30 samples" in done.stderr
    assert f"folder    {path}\n" in done.stderr
    assert f"next      prefbench report {path.parent}/*" in done.stderr
    assert "\x1b" not in done.output


def test_the_same_command_again_repeats_nothing(
    invoke: Invoke, options: list[str], whole_run: tuple[Path, Result]
) -> None:
    path, first = whole_run
    stored = [
        p for folder in ("samples", "images", "scores", "features") for p in (path / folder).rglob("*") if p.is_file()
    ]
    before = {p: p.stat().st_mtime_ns for p in stored}
    again = invoke("run", "--method", "prompt-only", *options, "--out", path.parent, "--json")
    assert rows_of(again) == rows_of(first)
    assert "drew 0 of 30 samples, 30 were there already" in again.stderr
    assert before == {p: p.stat().st_mtime_ns for p in stored}


@pytest.mark.parametrize("verb", ["score", "report"])
def test_score_and_report_tell_what_the_run_told(invoke: Invoke, whole_run: tuple[Path, Result], verb: str) -> None:
    path, done = whole_run
    assert rows_of(invoke(verb, path, "--json")) == rows_of(done)


def test_scoring_waits_for_no_other_writer(invoke: Invoke, whole_run: tuple[Path, Result]) -> None:
    path, _ = whole_run
    with RunFolder(path).locked():
        done = invoke("score", path)
    assert done.exit_code == 2
    assert "is being written by process" in done.stderr


@pytest.mark.parametrize("verb", ["score", "report"])
def test_a_run_folder_makes_nobody_load_code(
    invoke: Invoke, whole_run: tuple[Path, Result], verb: str, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.py"
    evil.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'pwned')!r}).touch()\nclass S: pass\n")
    shutil.copytree(whole_run[0], tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    description = folder.read_description()
    describe(folder, {**description, "spec": {**description["spec"], "suite": f"{evil}:S"}})
    done = invoke(verb, tmp_path / "run", *(["--metrics", "utility"] if verb == "score" else []))
    assert done.exit_code == 2
    assert "which is only loaded when you name it: --suite" in done.stderr
    assert not (tmp_path / "pwned").exists()


def test_what_is_no_run_folder_is_left_out_of_a_glob(
    invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path
) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "run").symlink_to(whole_run[0])
    done = invoke("report", tmp_path / "run", tmp_path / "train", "--out", tmp_path / "report", "--json")
    assert rows_of(done) == rows_of(whole_run[1])
    assert "train is not a run folder" in done.stderr
    assert (tmp_path / "report" / "report.md").is_file(), "--json and --out go together"


def test_a_broken_neighbour_does_not_break_a_report(
    invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path
) -> None:
    for name in ("broken", "run"):
        shutil.copytree(whole_run[0], tmp_path / name)
    (tmp_path / "broken" / "run.json").write_text("{}")
    assert rows_of(invoke("score", tmp_path / "run", "--json")) == rows_of(whole_run[1])


def test_a_metric_of_ones_own_comes_from_a_file(invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(METRIC)
    shutil.copytree(whole_run[0], tmp_path / "run")
    done = invoke("score", tmp_path / "run", "--metrics", f"{tmp_path / 'mine.py'}:Redness", "--json")
    (row,) = [row for row in rows_of(done) if row["metric"] == "redness" and row["kind"] == "all"]
    assert 0 <= row["value"] <= 1


@pytest.mark.slow
def test_a_run_too_small_for_a_metric_reports_the_others(invoke: Invoke, options: list[str], tmp_path: Path) -> None:
    """And fails only where that metric was asked for by name."""
    command = ["run", "--method", "copy", *options, "--users", "1", "--out", str(tmp_path), "--json"]
    done = invoke(*command)
    assert done.exit_code == 0
    assert invoke(*command, "--metrics", "utility,kid").exit_code == 1
    assert "no kid: kid needs drawn images of at least 2 users, there is 1" in done.stderr
    assert {"utility", "fid"} <= {row["metric"] for row in json.loads(done.stdout)}
    assert list(tmp_path.glob("*/report/report.md"))


def test_report_writes_where_it_is_told(invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path) -> None:
    done = invoke("report", whole_run[0], "--out", tmp_path / "report")
    assert done.exit_code == 0, done.output
    assert "utility" in done.stdout
    assert "prompt-only" in (tmp_path / "report" / "report.md").read_text()


def test_a_report_without_a_page_writes_its_data_and_says_where(
    invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path
) -> None:
    name = f"{EXAMPLES / 'win_rates.py'}:WinRates"
    done = invoke("report", whole_run[0], "--name", name, "--out", tmp_path / "rates")
    assert done.exit_code == 0, done.output
    assert f"report    {tmp_path / 'rates' / 'win-rates.json'}" in done.stdout
    assert json.loads((tmp_path / "rates" / "win-rates.json").read_text()) == []
    assert [path.name for path in (tmp_path / "rates").iterdir()] == ["win-rates.json"]


def test_a_report_that_writes_nothing_says_so(invoke: Invoke, whole_run: tuple[Path, Result], tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text(
        "from prefbench.api import Report, ReportCard\n\n"
        "class Silent(Report):\n"
        "    card = ReportCard('silent', '1', 'nothing', 'runs')\n"
        "    def measure(self, runs, context):\n        return len(runs)\n"
        "    def as_json(self, result):\n        return {'runs': result}\n"
        "    def tables(self, result):\n        return []\n"
        "    def write(self, result, folder):\n        return ()\n"
    )
    name = f"{tmp_path / 'silent.py'}:Silent"
    done = invoke("report", whole_run[0], "--name", name, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"the report {name} writes no files" in done.stdout
    assert not (tmp_path / "out").exists()


def test_show_describes_a_run(invoke: Invoke, whole_run: tuple[Path, Result]) -> None:
    shown = json.loads(invoke("show", whole_run[0], "--json").stdout)
    assert shown["drawn"] == shown["planned"] == 30
    assert {"utility", "preference", "prompt-fidelity", "clip-score", "fid", "kid"} <= set(shown["scored"])
    assert shown["environment"]["versions"]["torch"]


@pytest.mark.slow
def test_a_damaged_image_is_drawn_again_by_the_same_command(invoke: Invoke, options: list[str], tmp_path: Path) -> None:
    command = ["run", "--method", "copy", *options, "--out", str(tmp_path), "--json"]
    assert invoke(*command, "--no-score").stdout.strip() == "[]"
    (path,) = tmp_path.iterdir()
    image = next((path / "images").rglob("*.png"))
    drawn = image.read_bytes()
    image.write_bytes(b"damaged")
    done = invoke(*command)
    assert rows_of(done)
    assert "damaged" in done.stderr
    assert image.read_bytes() == drawn


@pytest.mark.slow
def test_failures_are_counted_and_stop_a_run_unless_they_are_allowed(
    invoke: Invoke, options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    command = ["run", "--method", f"{tmp_path / 'failing.py'}:Failing", *options, "--out", str(tmp_path / "runs")]
    done = invoke(*command)
    assert done.exit_code == 1
    assert "15 failed" in done.stdout
    assert "15 x RuntimeError: no [bold]such[/bold] luck" in done.stdout
    (path,) = (tmp_path / "runs").iterdir()
    assert RunFolder(path).scored() == []

    allowed = invoke(*command, "--allow-failures", "0.5", "--json", "--metrics", "utility,fid")
    rows = {row["metric"]: row for row in rows_of(allowed) if row["kind"] == "all"}
    assert (rows["utility"]["n_samples"], rows["utility"]["missing"]) == (15, 15)
    assert (rows["fid"]["n_samples"], rows["fid"]["missing"]) == (15, 15)


def test_an_argument_without_end_is_quoted_in_a_line_of_bounded_length() -> None:
    done = CliRunner().invoke(main, ["run", "--method", "prompt-only", "--users", "y" * 10**6])
    assert done.exit_code == 2
    assert max(map(len, done.stderr.splitlines())) < 9000
