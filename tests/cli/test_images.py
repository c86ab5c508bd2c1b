"""`prefbench score --images` and `prefbench export`: several methods, JSON, exit codes, and mistakes in options."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import Features, History, Pixels
from prefbench.metrics.scorers.fitted.scorer import FittedScorer
from tests.support.finished_images import REDNESS, USERS, write_drawn
from tests.support.hostile import invoke
from tests.support.judged_folders import picture, write_layout, write_pictures, write_table


@pytest.fixture
def metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A metric that needs nothing; the working folder has a suite `mine/`."""
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_layout(tmp_path / "mine", USERS)
    (tmp_path / "redness.py").write_text(REDNESS)
    return "redness.py:Redness"


@pytest.mark.slow
def test_a_folder_of_methods_is_a_table_in_two_commands(tmp_path: Path, metric: str) -> None:
    for n, method in enumerate(("one", "two", "three")):
        write_drawn(tmp_path / "lab" / method, first=100 * n)
    (tmp_path / "lab" / "three" / "ann" / "0-0.png").unlink()
    done = invoke("score", "--images", "lab", "--suite", "mine", "--metrics", metric, "--json")
    assert done.exit_code == 1, done.output
    rows = json.loads(done.stdout)
    assert {row["method"] for row in rows} == {"one", "two"}
    assert "left out  three: 1 of 18 images is missing" in done.stderr
    runs = [str(path) for path in sorted((tmp_path / "runs").iterdir())]
    report = invoke("report", *runs, "--suite", "mine", "--out", "page")
    assert report.exit_code == 0, report.output
    assert "all runs: images given, not drawn here; backbone, encoders, training data, selection not stated" in (
        " ".join(report.output.split())
    )
    page = (tmp_path / "page" / "report.md").read_text()
    assert "none (images given); by its card: not stated" in page
    cost = next(line for line in page.splitlines() if line.startswith("| one | — |"))
    assert cost == "| one | — | — | — | — | 18 | — | — | — |", "only the number of images is known of the cost"
    compared = invoke("compare", *runs, "--suite", "mine", "--baseline", "one", "--swaps", "20")
    assert compared.exit_code in (0, 2), compared.output


@pytest.mark.slow
def test_metrics_that_cannot_apply_are_named_with_the_reason(tmp_path: Path, metric: str) -> None:
    write_drawn(tmp_path / "out")
    done = invoke("score", "--images", "out", "--suite", "mine", "--metrics", f"{metric},probing")
    assert "no probing: the method has no representations" in done.output
    assert done.exit_code == 0, "nothing is wrong with the run"


def test_a_dry_run_ends_with_1_where_the_images_would_be_refused(tmp_path: Path, metric: str) -> None:
    write_drawn(tmp_path / "out")
    picture(7).save(tmp_path / "out" / "ann" / "0-0.webp", lossless=True)
    for allowed in ([], ["--allow-missing"]):
        done = invoke("score", "--images", "out", "--suite", "mine", "--dry-run", *allowed, "--metrics", metric)
        assert (done.exit_code, "another picture" in done.output) == (1, True)


@pytest.mark.slow
@pytest.mark.usefixtures("metric")
def test_personal_gain_asks_by_the_category_of_a_case_and_elsewhere_by_its_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def score(_: FittedScorer, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        asked.append((history.user, *prompts))
        return np.full(len(pictures), 0.5)

    monkeypatch.setattr(FittedScorer, "score", score)
    rows = [
        {"file_name": f"{user}-{n}.png", "user": user, "liked": n % 2 == 0, "prompt": "cats"}
        for user in USERS
        for n in range(8)
    ]
    folder = write_table(tmp_path / "of cats", rows, "")
    (folder / "prompts.csv").write_text("prompt,user,category\ncats 1,,cats\na dog,ann,\n")
    for user, cases in {"ann": 2, "ben": 1, "cy": 1}.items():
        write_pictures(tmp_path / "drawn" / user, [f"{case}-0.png" for case in range(cases)])
    command = ["score", "--images", "drawn", "--suite", "of cats", "--samples", "1", "--name", "mine"]
    done = invoke(*command, "--metrics", "personal-gain")
    assert done.exit_code == 0, done.output
    prompts = {(*one[:1], *sorted(one[1:])) for one in asked}
    assert prompts >= {("ann", "a dog", "cats"), ("ben", "cats"), ("cy", "cats")}
    assert not any("cats 1" in one for one in prompts), "nobody's judgments know it"


def test_a_dry_run_says_everything_as_json_and_stores_nothing(tmp_path: Path, metric: str) -> None:
    write_drawn(tmp_path / "lab" / "one")
    write_drawn(tmp_path / "lab" / "two", ["ann", "ben"])
    done = invoke("score", "--images", "lab", "--suite", "mine", "--dry-run", "--json", "--metrics", metric)
    content = json.loads(done.stdout)
    assert [(one["method"], one["found"], len(one["missing"])) for one in content] == [("one", 18, 0), ("two", 12, 6)]
    assert done.exit_code == 1
    assert not (tmp_path / "runs").exists()
    allowed = invoke("score", "--images", "lab", "--suite", "mine", "--dry-run", "--allow-missing")
    assert allowed.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("runs/x --images out", "give runs or --images, not both: runs/x and --images out"),
        ("runs/x --name mine", "--name is for --images, and none is given"),
        ("runs/x --allow-missing", "--allow-missing is for --images, and none is given"),
        ("--images out --images out --name a", "--name is given once for each --images: 1 for 2"),
        ("--images lab --name a", "lab holds images of 2 methods (one, two)"),
        ("--images out --images out", "two methods are called 'out': name each with --name"),
        ("--images out --name ours", "the name 'ours' is that of the method 'ours' of prefbench"),
        ("--images out --card no.toml", "there is no card no.toml"),
        ("--images out --users 9", "users must be 1 to 3, got 9"),
        ("--images out --metrics redness", "unknown metric 'redness'"),
        ("--images ou", "there is no file or folder ou; did you mean 'out'?"),
    ],
)
def test_mistakes_in_options_are_one_line(tmp_path: Path, metric: str, arguments: str, said: str) -> None:
    write_drawn(tmp_path / "out")
    for method in ("one", "two"):
        write_drawn(tmp_path / "lab" / method)
    assert metric
    done = invoke("score", *arguments.split(), "--suite", "mine")
    assert done.exit_code == 2
    assert said in done.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_neither_runs_nor_images_is_a_mistake() -> None:
    done = invoke("score")
    assert done.exit_code == 2
    assert "Missing argument 'RUNS...'; or give --images." in done.stderr


def test_export_says_what_it_wrote_and_what_comes_next(tmp_path: Path, metric: str) -> None:
    assert metric
    done = invoke("export", "cases", "mine", "to-draw", "--users", "2")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "wrote     12 images to draw for 2 users: to-draw",
        "histories 12 pictures that these users judged",
        'next      prefbench score --images DRAWN --suite mine --name "my method" --users 2',
    ]
    assert (tmp_path / "to-draw" / "cases.csv").is_file()


def test_what_comes_next_hands_in_a_control_as_a_control_and_never_as_a_method(tmp_path: Path, metric: str) -> None:
    done = invoke("export", "cases", "mine", "to-draw", "--control", "other-user")
    card, following = done.output.splitlines()[-2:]
    assert card == "card      to-draw/card.toml: write the backbone into it, and the method's name"
    assert following == "next      prefbench score --images DRAWN --suite mine --card to-draw/card.toml"
    write_drawn(tmp_path / "DRAWN")
    command = [*shlex.split(following)[2:], "--metrics", metric]
    unsaid = invoke(*command)
    assert (unsaid.exit_code, (tmp_path / "runs").exists()) == (2, False)
    assert "control holds for images of one backbone alone: say which, backbone" in unsaid.stderr
    path = tmp_path / "to-draw" / "card.toml"
    path.write_text(path.read_text().replace('backbone = ""', 'backbone = "sdxl"'))
    assert invoke(*command).exit_code == 0
    [run] = (tmp_path / "runs").iterdir()
    content = json.loads((run / "run.json").read_text())
    assert (content["spec"]["control"], content["method"]["name"]) == ("other-user", "my method")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("case mine x", "unknown export 'case'; did you mean 'cases'?"),
        ("cases mine", "name a suite and a new folder: prefbench export cases mine FOLDER"),
        ("cases minne x", "unknown suite 'minne'"),
        ("cases mine mine/prompts.txt", "cannot write into mine/prompts.txt: it is no folder"),
    ],
)
def test_mistakes_in_an_export_are_one_line(metric: str, arguments: str, said: str) -> None:
    assert metric
    done = invoke("export", *arguments.split())
    assert done.exit_code == 2
    assert said in done.stderr.splitlines()[-1]
