"""The committed rates of intervals and tests keep the limits, are of the whole grid, and repeat."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rates import PARTS, PROMPTS, USERS
from benchmarks.studies import faults

FILE = Path(__file__).parents[2] / "benchmarks" / "results" / "rates.json"
MEASURED: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))


def test_every_cell_of_the_grid_was_measured() -> None:
    for name, part in PARTS.items():
        names = ("metric", "effects", "users", "prompts") if name == "sets" else ("effects", "users", "prompts")
        assert [tuple(cell[key] for key in names) for cell in MEASURED[name]] == list(part.cells())
        assert {cell[-2:] for cell in part.cells()} == set(product(USERS, PROMPTS))


def test_every_cell_keeps_the_limits_beyond_chance_and_of_skewed_effects_that_or_is_marked() -> None:
    assert [fault for name in PARTS for cell in MEASURED[name] for fault in faults(name, cell)] == []


def test_a_cell_that_misses_a_limit_is_named_unless_its_effects_are_skewed_and_it_is_marked() -> None:
    cell = {"effects": "skewed users", "users": 30, "prompts": 20, "n": 1000, "held": 800, "marked": 0}
    assert faults("means", cell) == ["means skewed users 30 20: held 800 of 1000, under 92 %"]
    assert faults("means", {**cell, "marked": 1000}) == []
    assert len(faults("means", {**cell, "effects": "users", "marked": 1000})) == 1
    assert faults("ranks", {**cell, "held": 930}) == []
    assert faults("ranks", cell) == ["ranks skewed users 30 20: 200 of 1000 rejected, over 7 %"]
    of_sets = {"metric": "fid", **cell, "effects": "prompts", "held": 950, "held_values": 800, "rejected": 150}
    where = "sets fid prompts 30 20"
    said = [f"{where}: held_values 800 of 1000, under 92 %", f"{where}: 150 of 1000 rejected, over 7 %"]
    assert faults("sets", of_sets) == said


def test_all_or_no_intervals_of_a_cell_are_marked_and_differences_of_fewer_than_six_users_have_none() -> None:
    assert all(cell["marked"] in (0, cell["n"]) for name in ("means", "differences") for cell in MEASURED[name])
    for cell in MEASURED["differences"]:
        assert cell["intervals"] == (0 if cell["users"] < 6 else cell["n"])


def test_metrics_over_sets_keep_the_limits_over_the_metrics_and_effects_of_a_size() -> None:
    for size in product(USERS, PROMPTS):
        cells = [cell for cell in MEASURED["sets"] if (cell["users"], cell["prompts"]) == size]
        rejected, *held, n = (sum(cell[key] for cell in cells) for key in ("rejected", "held", "held_values", "n"))
        assert rejected <= 0.07 * n, size
        assert min(held) >= 0.92 * n, size


def test_few_studies_lack_strengths_and_few_ranks_err_over_all_sizes() -> None:
    assert all(cell["unlinked"] < 0.1 * cell["n"] for cell in MEASURED["strengths"])
    held, n = (sum(cell[key] for cell in MEASURED["ranks"]) for key in ("held", "n"))
    assert held >= 0.93 * n


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("means", ("skewed users", 5, 10)),
        ("means", ("skewed prompts", 100, 10)),
        ("differences", ("both", 10, 10)),
        ("strengths", ("users and prompts", 5, 4)),
        ("ranks", ("users and prompts", 10, 4)),
        ("sets", ("fid", "prompts", 10, 4)),
        ("sets", ("kid", "prompts of each method", 20, 4)),
        ("sets", ("mmd", "no prompts", 5, 10)),
    ],
)
def test_a_committed_cell_is_measured_again_to_the_same_counts(name: str, cell: tuple[Any, ...]) -> None:
    committed = MEASURED[name][list(PARTS[name].cells()).index(cell)]
    assert PARTS[name].measure(*cell) == pytest.approx(committed)
