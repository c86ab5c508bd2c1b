"""The examples of the documentation conform, run, and stand in its pages whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from prefbench.cli.main import main

ROOT = Path(__file__).parents[1]
EXAMPLES = {
    "method": "liked_colors.py:LikedColors",
    "metric": "colourfulness.py:Colourfulness",
    "scorer": "nearest_colour.py:NearestColour",
    "suite": "warm_or_cold.py:WarmOrCold",
    "report": "win_rates.py:WinRates",
}
"""Kind of plug-in to the example of it."""
PAGES = [*EXAMPLES.items(), ("scorer", "nearer_picture.py:NearerPicture")]
"""Kind of plug-in, whose page it is, and an example."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "example"), PAGES)
def test_the_example_conforms(kind: str, example: str) -> None:
    outcome = CliRunner().invoke(main, ["check", kind, f"{ROOT / 'examples' / example}"])
    assert outcome.exit_code == 0, outcome.output
    assert "FAILED" not in outcome.output


@pytest.mark.parametrize(("kind", "example"), PAGES)
def test_the_page_shows_the_whole_example_and_its_command(kind: str, example: str) -> None:
    page = (ROOT / "docs" / "extend" / f"{kind}.md").read_text(encoding="utf-8")
    file = example.partition(":")[0]
    assert f'--8<-- "examples/{file}"' in page
    assert f"prefbench check {kind} examples/{example}" in (ROOT / "examples" / file).read_text(encoding="utf-8")


def test_the_page_on_python_shows_the_whole_notebook() -> None:
    assert '--8<-- "examples/notebook.py"' in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_example_plug_ins_work_together(tmp_path: Path, tiny_sd: Path) -> None:
    """The example suite, method and metric make two runs, and the example report compares them."""
    paths = {kind: f"{ROOT / 'examples' / name}" for kind, name in EXAMPLES.items()}
    shared = ["--suite", paths["suite"], "--backbone", str(tiny_sd), "--device", "cpu", "--steps", "1", "--users", "2"]
    for method in ("prompt-only", paths["method"]):
        command = ["run", "--method", method, *shared, "--metrics", paths["metric"], "--out", str(tmp_path)]
        outcome = CliRunner().invoke(main, command)
        assert outcome.exit_code == 0, outcome.output
        assert "colourfulness" in outcome.output
    runs = [str(path) for path in tmp_path.iterdir() if (path / "run.json").is_file()]
    assert len(runs) == 2
    outcome = CliRunner().invoke(main, ["report", *runs, "--name", paths["report"], "--suite", paths["suite"]])
    assert outcome.exit_code == 0, outcome.output
    assert "colourfulness" in outcome.output
    assert "share of users" in outcome.output


def test_the_files_that_contributing_names_are_there() -> None:
    """The table that says which file to open for a change, and the map above it."""
    named = re.findall(r"`([\w./-]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(named) > 15
    below = (ROOT, ROOT / "prefbench" / "suites" / "picturebook")
    assert [name for name in named if not any((folder / name).is_file() for folder in below)] == []
