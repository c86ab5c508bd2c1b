"""A method that returns what it was shown is marked, in runs too small for the thresholds of copy-rate too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prefbench.api import SummaryRow
from prefbench.cli.main import main
from prefbench.reports.leaderboard.entries import load_entries, rows_of
from prefbench.reports.shared.copying import COPYING, copying_notes, nearness

ROOT = Path(__file__).parents[2]
ROW = SummaryRow(
    method="m", control=None, metric="copy-rate/nearer", kind="all", value=0.97, low=0.9, high=1.0, n_users=5,
    n_prompts=2, n_samples=20, missing=0, direction="down", question="side",
)  # fmt: skip


def test_only_the_copy_is_marked_among_the_committed_runs() -> None:
    entries = load_entries(ROOT / "results" / "leaderboard")
    marked = {entry["method"] for entry in entries if nearness(rows_of(entry)) is not None}
    assert marked == {"copy"}
    page = (ROOT / "leaderboard.md").read_text(encoding="utf-8")
    assert f"copy {COPYING}" in page
    assert page.count(f"{COPYING} draws what was shown") == 1


@pytest.mark.parametrize(
    ("changes", "marked"),
    [({}, True), ({"value": 0.9, "low": 0.4}, True), ({"value": 0.89}, False), ({"value": None}, False)],
)
def test_the_mark_follows_the_value(changes: dict[str, float | None], marked: bool) -> None:
    row = replace(ROW, **changes)  # type: ignore[arg-type]
    assert (nearness({row.metric: row}) is not None) == marked


def test_a_run_without_the_column_bears_no_mark_and_no_line() -> None:
    assert nearness({}) is None
    assert copying_notes({"m": None}) == []
    assert "m 0.97" in copying_notes({"m": 0.97, "other": None})[0]


@pytest.mark.slow
def test_liked_pictures_turned_by_a_degree_and_cut_are_marked_and_new_ones_are_not(tmp_path: Path) -> None:
    """Five people with eight likes each: far too few pairs for a threshold."""
    suite, people = tmp_path / "mine", [f"p{n}" for n in range(5)]
    for who, person in enumerate(people):
        for n in range(16):
            save(scene(who, n), suite / person / "liked" / f"{n}.png")
            save(scene(who + 20, n), suite / person / "disliked" / f"{n}.png")
    (suite / "prompts.txt").write_text("a hill\na lake\n")
    shown = tmp_path / "to-draw"
    invoke("export", "cases", str(suite), str(shown))
    for who, person in enumerate(people):
        seen = sorted((shown / "histories" / person / "liked").iterdir())
        for case in range(2):
            for n in range(2):
                name = f"{person}/{case}-{n}.png"
                save(scene(who, 100 + 10 * case + n), tmp_path / "lab" / "new" / name)
                liked = Image.open(seen[2 * case + n]).convert("RGB")
                turned = liked.rotate(1, expand=False).crop((2, 2, 62, 62)).resize((64, 64))
                save(turned, tmp_path / "lab" / "turned" / name)
    options = ["--suite", str(suite), "--out", str(tmp_path / "runs")]
    invoke("score", "--images", str(tmp_path / "lab"), *options)
    runs = [str(path) for path in (tmp_path / "runs").iterdir() if (path / "run.json").is_file()]
    text = invoke("report", *runs, "--suite", str(suite))
    names = [line.split()[0:2] for line in text.splitlines() if line.strip().startswith(("turned", "new"))]
    assert ["turned", COPYING] in names or ["turned", f"≈{COPYING}"] in names, text
    assert not any(COPYING in name[1] for name in names if name[0] == "new"), text


def scene(who: int, n: int) -> Image.Image:
    """A smooth picture in one person's colours, each number another one."""
    rng = np.random.default_rng([who, n])
    coarse = rng.integers(0, 255, (5, 5, 3)) * 0.6 + np.random.default_rng(who).integers(0, 255, 3) * 0.4
    return Image.fromarray(coarse.astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def invoke(*arguments: str) -> str:
    outcome = CliRunner().invoke(main, list(arguments))
    assert outcome.exit_code == 0, outcome.output
    return outcome.output
