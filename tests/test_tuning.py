"""Settings of baselines that val users chose: the rule, the grids, and that the record is what the methods do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import tuning
from prefbench.api import PrefbenchError
from prefbench.methods.instant_style import STYLES
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import load

RECORDS = Path(__file__).parents[1] / "benchmarks" / "results"
RECORDED = {**tuning.GRIDS, **tuning.LEARNED}
EACH = pytest.mark.parametrize("method", list(RECORDED))


def record_of(method: str) -> Any:
    return json.loads((RECORDS / ("tuning.json" if method in tuning.GRIDS else "tuning-learned.json")).read_text())


@pytest.mark.parametrize(
    ("measured", "floor", "place"),
    [
        ([(0.1, 0.9), (0.2, 0.9)], 0.8, 1),
        ([(0.1, 0.9), (0.9, 0.7)], 0.8, 0),  # wins utility, and draws something else
        ([(0.1, 0.8), (0.1, 0.9)], 0.8, 0),  # the first of equals, and the floor itself is kept
        ([(0.5, 0.2), (0.1, 0.4), (0.9, 0.3)], 0.8, 1),  # none is kept
    ],
)
def test_most_utility_from_the_floor_up_is_chosen(
    measured: list[tuple[float, float]], floor: float, place: int
) -> None:
    assert tuning.chosen(measured, floor) == place


@pytest.mark.parametrize("method", [*RECORDED, *tuning.UNRECORDED])
def test_every_method_has_as_many_different_settings_that_it_takes(method: str) -> None:
    settings = {**RECORDED, **tuning.UNRECORDED}[method].settings
    bound = [bind(load("method", method), parse_pairs(setting.split())) for setting in settings]
    assert len(bound) == (8 if method == "ours" else 6)
    assert all(bound.count(one) == 1 for one in bound)


@EACH
def test_the_record_is_of_these_grids_and_follows_the_rule(method: str) -> None:
    record = record_of(method)
    table = record["methods"][method]
    rows = table["settings"]
    assert (table["users"], record["split"]) == (RECORDED[method].users, "val")
    assert [row["setting"] for row in rows] == [parse_pairs(s.split()) for s in RECORDED[method].settings]
    means = [(row["utility"]["value"], row["prompt-fidelity"]["value"]) for row in rows]
    best = tuning.chosen(means, table["prompt-only"]["prompt-fidelity"]["value"] - tuning.LOSS)
    assert [row["chosen"] for row in rows] == [place == best for place in range(len(rows))]


@pytest.mark.parametrize("method", [name for name in RECORDED if name != "ip-adapter"])
def test_what_was_chosen_is_what_the_method_does_by_itself(method: str) -> None:
    """But for `ip-adapter`, whose committed rows were drawn before it was tuned."""
    (row,) = (row for row in record_of(method)["methods"][method]["settings"] if row["chosen"])
    cls: Any = load("method", method)
    chosen, default = bind(cls, row["setting"]), bind(cls, {})
    if method == "instant-style":
        default |= STYLES["mini-sd"]._asdict()
    assert chosen == default


def test_a_method_without_a_grid_is_one_line() -> None:
    with pytest.raises(PrefbenchError, match=r"^no settings for crowd, only for ip-adapter"):
        CliRunner().invoke(tuning.main, ["--methods", "fabric,crowd"], catch_exceptions=False)
