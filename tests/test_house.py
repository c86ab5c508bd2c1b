"""The house stays small enough to find one's way: every limit of benchmarks/house.py is kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "house.py"


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prefbench_house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_size_is_within_its_limit(house: ModuleType) -> None:
    passed = [f"{size.name}: {size.value:g} of {size.limit:g}" for size in house.measure() if not size.holds]
    assert passed == []


def test_the_run_path_holds_what_a_run_goes_through(house: ModuleType) -> None:
    names = {path.relative_to(house.PACKAGE).as_posix() for path in house.run_path()}
    assert {"cli/run.py", "run/draw.py", "run/folder.py", "score/evaluator.py", "stats/means.py"} <= names
    assert "cli/doctor.py" not in names
    assert "stats/power.py" not in names


def test_lines_are_counted_as_the_docstring_says(house: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    function = ["def f():", '    """Doc', "", '    more."""', "    return [", "        x,", "    ]"]
    file.write_text("\n".join(['"""Doc."""', "", "# comment", "x = 1  # why", "", "", *function]) + "\n")
    assert house.code_lines(file) == 5
    assert house.function_lengths(file) == [4]
