"""Scores of several runs are brought onto the same keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prefbench.api import Column, Scores
from prefbench.reports.shared.paired import on_shared_keys, on_shared_samples
from prefbench.reports.table.compare import compare
from prefbench.reports.table.grids import runs_grid
from prefbench.reports.table.headline import runs_headline
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import USERS, build


def scores(**values: float) -> Scores:
    keys = np.array(list(values))
    return Scores(np.array(list(values.values())), np.char.add("user-", keys), np.char.add("prompt-", keys), keys)


def test_shared_keys_are_sorted_and_others_are_left_out_and_counted() -> None:
    a, b = on_shared_keys(scores(c=3, a=1, b=2), scores(c=30, a=10, b=20))
    assert [one.values.tolist() for one in (a, b)] == [[1, 2, 3], [10, 20, 30]]
    assert a.users.tolist() == ["user-a", "user-b", "user-c"]
    assert a.unpaired == 0
    a, b, c = on_shared_keys(scores(b=2, a=1), scores(c=30, a=10), scores(a=100, d=4))
    assert [one.values.tolist() for one in (a, b, c)] == [[1], [10], [100]]
    assert c.keys is not None
    assert c.keys.tolist() == ["a"]
    assert c.prompts.tolist() == ["prompt-a"]
    assert a.unpaired == c.unpaired == 3


def test_columns_keep_what_every_run_has_a_value_for_and_their_own_gaps() -> None:
    nan = float("nan")
    runs = {
        "a": scores(p=1, q=2, r=nan, s=4),
        "b": scores(p=1, q=nan, r=3),
        "c": scores(p=5, q=6, r=7),
        "none": scores(p=nan),
    }
    found = on_shared_samples({name: {"m": Column(one, "up", "side", ())} for name, one in runs.items()})
    kept = {name: own["m"].scores for name, own in found.items()}
    keys = {name: "".join(one.keys if one.keys is not None else []) for name, one in kept.items()}
    assert keys == {"a": "pr", "b": "pq", "c": "p", "none": "p"}
    assert {name: one.unpaired for name, one in kept.items()} == {"a": 2, "b": 1, "c": 2, "none": 0}


def test_a_key_that_stands_twice_counts_once() -> None:
    twice = Scores(np.array([1.0, 2.0]), np.array(["u", "u"]), np.array(["p", "p"]), np.array(["k", "k"]))
    (one,) = on_shared_keys(twice)
    assert one.values.tolist() == [1.0]


def test_scores_without_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="without keys"):
        on_shared_keys(scores(a=1), Scores(np.ones(1), np.array(["u"]), np.array(["p"])))


def run_of(folder: Path, method: str, *present: str) -> ScoredFolder:
    return build(folder / method, method, {user: 0.1 * len(method) for user in USERS}, present=present or USERS)


SHORT = {
    "one run of few samples": ({"short": ("ann",)}, "short shares only 4 samples of utility", "without it"),
    "two of them": ({"short": ("ann",), "brief": ("ann",)}, "brief, short share only 4 samples", "without them"),
    "other users": ({"short": ("ann",), "brief": ("bob",)}, "brief, short share only 0 samples", "without them"),
}


@pytest.mark.parametrize(("present", "said", "without"), SHORT.values(), ids=SHORT)
def test_runs_that_cut_a_comparison_are_named_with_what_the_others_share(
    present: dict[str, tuple[str, ...]], said: str, without: str, tmp_path: Path
) -> None:
    methods = ("ours", "prompt-only", "other", *sorted(present))
    comparison = compare([run_of(tmp_path, name, *present.get(name, ())) for name in methods])
    for grid in (runs_grid(comparison), runs_headline(comparison)):
        (line,) = [note for note in grid.notes if "the others share" in note]
        assert line.startswith(said)
        assert line.endswith(f"with the others; {without} the others share 12.")


def test_no_run_is_named_where_all_share_their_samples_or_only_two_are_compared(tmp_path: Path) -> None:
    whole = [run_of(tmp_path, name) for name in ("ours", "prompt-only", "other")]
    short = run_of(tmp_path, "short", "ann")
    assert compare(whole).cut is None
    assert compare([whole[0], short]).cut is None
    assert compare([*whole, short], own_samples=True).cut is None
