"""The end of a run says what its numbers do not: pictures that show nothing or the same, and words that nobody read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from transformers import CLIPTokenizer

from prefbench.cli.main import main
from prefbench.cli.options import command_for_method, command_line
from prefbench.files import WEIGHTS
from tests.support.long_prompts import PROMPTS

FILE = Path(__file__).parents[1] / "support" / "long_prompts.py"
SUITE = f"{FILE}:LongPrompts"
LIMIT = 32
Run = Callable[..., tuple[str, Path]]


@pytest.fixture
def run(tiny_sd: Path, tmp_path: Path) -> Run:
    """Runs a method of `long_prompts.py` and returns what the terminal shows, and the folder."""

    def run_one(method: str, *options: str, suite: str = SUITE) -> tuple[str, Path]:
        named = method if method == "prompt-only" else f"{FILE}:{method}"
        settings = ["--backbone", str(tiny_sd), "--device", "cpu", "--steps", "1", "--batch", "6"]
        arguments = ["run", "--suite", suite, "--method", named, "--out", str(tmp_path), *settings, *options]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        (folder,) = tmp_path.iterdir()
        return done.output, folder

    return run_one


def last_lines(output: str) -> str:
    """All that stands below the last table."""
    return output[output.rindex("missing" if "missing" in output else "drew") :]


SEEN = {
    "Black": [
        "12 of 12 pictures are of one colour",
        "12 of 12 pictures equal another (12 to one of another",
    ],
    "Colours": ["12 of 12 pictures are of one colour"],
    "Collapsed": ["12 of 12 pictures equal another (12 to one of another prompt); 1 differ"],
}


@pytest.mark.parametrize("options", [["--no-score"], ["--metrics", "clip-score"]], ids=["drawn", "scored"])
@pytest.mark.parametrize("method", SEEN)
def test_degenerate_pictures_are_said_at_the_end(run: Run, method: str, options: list[str]) -> None:
    output, folder = run(method, "--samples", "2", *options)
    for line in SEEN[method]:
        assert line in last_lines(output)
        if "--no-score" not in options:
            assert line in (folder / "report" / "report.md").read_text()


@pytest.mark.slow
def test_pictures_of_an_honest_method_are_not_complained_of(run: Run) -> None:
    output, _ = run("prompt-only", "--metrics", "clip-score", "--users", "2", suite="picturebook")
    assert "pictures are of one colour" not in output
    assert "equal another" not in output
    assert " cut at " not in output


def test_a_run_counts_the_prompts_that_its_text_encoder_and_its_metric_cut(run: Run) -> None:
    """Both are miniatures with 32 tokens; their tokenizers, loaded by transformers alone, say the same."""
    for name in ("mini-sd/tokenizer", "mini-clip"):
        tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / name)
        assert [len(tokenizer(prompt)["input_ids"]) > LIMIT for prompt in PROMPTS] == [True, True, False]
    most = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS) - LIMIT
    output, folder = run("prompt-only", "--metrics", "clip-score")
    page = (folder / "report" / "report.md").read_text()
    for text in (last_lines(output), page):
        assert f"2 of 3 prompts cut at 32 tokens, up to {most} tokens not read" in text
        assert "2 of 3 prompts cut at 32 tokens by the encoder of clip-score" in text
    assert "The following part of your input was truncated" not in output


def test_words_that_a_method_appends_behind_the_limit_are_counted(run: Run) -> None:
    output, _ = run("Appended", "--no-score")
    assert "2 of 3 rewritten prompts cut at 32 tokens" in last_lines(output)


@pytest.mark.slow
def test_run_and_score_print_every_column_where_all_are_asked_for(run: Run) -> None:
    output, folder = run("prompt-only", "--metrics", "utility", "--users", "2", suite="picturebook")
    assert "utility/" not in output
    again, _ = run("prompt-only", "--metrics", "utility", "--users", "2", "--all", suite="picturebook")
    scored = CliRunner().invoke(main, ["score", str(folder), "--metrics", "utility", "--all"])
    assert scored.exit_code == 0, scored.output
    for text in (again, scored.output):
        assert "utility/" in text
        assert "--all shows them" not in text


def test_several_methods_are_run_one_after_the_other(tiny_sd: Path, tmp_path: Path) -> None:
    settings = ["--backbone", str(tiny_sd), "--device", "cpu", "--steps", "1", "--no-score", "--out", str(tmp_path)]
    both = ["--method", "prompt-only", "--method", f"{FILE}:Colours"]
    done = CliRunner().invoke(main, ["run", "--suite", SUITE, *both, *settings])
    assert done.exit_code == 0, done.output
    assert sorted(path.name.split("-")[2] for path in tmp_path.iterdir()) == ["colours", "prompt"]
    refused = CliRunner().invoke(main, ["run", "--suite", SUITE, *both, *settings, "-p", "n=2"])
    assert refused.exit_code == 2
    assert "-p n=2 is a parameter of one method, and 2 are named" in refused.output


def test_the_command_of_one_of_several_methods_repeats_that_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["run", "--method", "a", "-s", "world=2", "--method=b", "--method", "c d", "--users", "3"]
    monkeypatch.setattr("sys.argv", ["prefbench", *typed])
    assert [command_for_method(place) for place in range(3)] == [
        "prefbench run --method a -s world=2 --users 3",
        "prefbench run -s world=2 --method=b --users 3",
        "prefbench run -s world=2 --method 'c d' --users 3",
    ]
    monkeypatch.setattr("sys.argv", ["prefbench", "run", "--method", "a"])
    assert command_for_method(0) == command_line()
