"""The committed rates of intervals and tests keep the limits, are of the whole grid, and repeat."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rates import PARTS, PROMPTS, USERS
from benchmarks.studies import SKEWED, covers, is_seldom

FILE = Path(__file__).parents[2] / "benchmarks" / "results" / "rates.json"
MEASURED: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
SKEWED_LEAST = 0.914
"""What unmarked intervals hold of lognormal effects, least with ten prompts: `docs/limits.md` says so."""


def named(cell: dict[str, Any]) -> str:
    return " ".join(str(value) for value in cell.values())


def test_every_cell_of_the_grid_was_measured() -> None:
    for name, part in PARTS.items():
        names = ("metric", "effects", "users", "prompts") if name == "sets" else ("effects", "users", "prompts")
        assert [tuple(cell[key] for key in names) for cell in MEASURED[name]] == list(part.cells())
        assert {cell[-2:] for cell in part.cells()} == set(product(USERS, PROMPTS))


def test_intervals_of_means_hold_92_percent_and_of_skewed_effects_that_or_are_marked() -> None:
    for cell in MEASURED["means"]:
        assert cell["marked"] in (0, cell["n"])
        least = SKEWED_LEAST if cell["effects"] in SKEWED else 0.92
        unpromised = bool(cell["marked"]) and cell["effects"] in SKEWED
        assert unpromised or covers(cell["held"], cell["n"], least), named(cell)
    assert not any(cell["marked"] for cell in MEASURED["means"] if (cell["users"], cell["prompts"]) == (100, 10))


def test_equal_methods_are_seldom_called_different_and_of_skewed_effects_that_or_are_marked() -> None:
    for cell in MEASURED["differences"]:
        assert cell["intervals"] == (0 if cell["users"] < 6 else cell["n"])
        unpromised = bool(cell["marked"]) and cell["effects"] in SKEWED
        assert unpromised or is_seldom(cell["rejected"], cell["n"]), named(cell)


def test_metrics_over_sets_keep_the_limits_in_every_cell_and_over_the_metrics_and_effects_of_a_size() -> None:
    for cell in MEASURED["sets"]:
        assert is_seldom(cell["rejected"], cell["n"]), named(cell)
        assert covers(cell["held"], cell["n"]), named(cell)
        assert covers(cell["held_values"], cell["n"]), named(cell)
    for size in product(USERS, PROMPTS):
        cells = [cell for cell in MEASURED["sets"] if (cell["users"], cell["prompts"]) == size]
        rejected, *held, n = (sum(cell[key] for cell in cells) for key in ("rejected", "held", "held_values", "n"))
        assert rejected <= 0.07 * n, size
        assert min(held) >= 0.92 * n, size


def test_strengths_and_ranks_keep_the_limits() -> None:
    for cell in MEASURED["strengths"]:
        assert cell["unlinked"] < 0.1 * cell["n"]
        assert covers(cell["held"], cell["n"]), named(cell)
    held, n = (sum(cell[key] for cell in MEASURED["ranks"]) for key in ("held", "n"))
    assert held >= 0.93 * n
    for cell in MEASURED["ranks"]:
        assert is_seldom(cell["n"] - cell["held"], cell["n"]), named(cell)


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
