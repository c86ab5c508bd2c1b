"""Jobs that share a run folder: each draws a fixed part, none writes where another does, and all is one run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import prefbench
from prefbench.api import Case, PrefbenchError
from prefbench.engines.shards import Shard, ShardFolder, is_free
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned

SUPPORT = Path(__file__).parents[1] / "support"
SUITE, METHOD = f"{SUPPORT / 'tiny_suite.py'}:TinySuite", f"{SUPPORT / 'ending.py'}:Ending"


def plan_of(users: int, each: int, batch: int) -> list[list[Planned]]:
    names = [(f"u{user}", i) for user in range(users) for i in range(each)]
    samples = [Planned(f"{user} {i}", Case(user, user, "a fox"), i, 0) for user, i in names]
    return [samples[i : i + batch] for i in range(0, len(samples), batch)]


@pytest.mark.parametrize(("users", "each", "batch"), [(100, 20, 8), (7, 3, 2), (1, 40, 1), (50, 1, 5), (9, 10, 10)])
@pytest.mark.parametrize("total", [1, 2, 3, 5, 8])
def test_shards_are_the_plan_cut_once(users: int, each: int, batch: int, total: int) -> None:
    plan = plan_of(users, each, batch)
    parts = [Shard(number, total).part_of(plan) for number in range(1, total + 1)]
    assert [batch for part in parts for batch in part.plan] == plan
    sizes = [len(part.plan) for part in parts]
    assert min(sizes) >= 1
    assert max(sizes) <= 2 * len(plan) / total + 1


def test_cuts_part_no_user_where_they_need_not() -> None:
    plan = plan_of(100, 20, 8)  # two users fill five batches
    assert [Shard(number, 16).part_of(plan).parted for number in range(1, 17)] == [frozenset()] * 16
    assert Shard(1, 2).part_of(plan_of(1, 40, 1)).parted == {"u0"}


def test_more_shards_than_batches_are_refused() -> None:
    with pytest.raises(PrefbenchError, match="shard 1/5: the run has batches for 4 shards at most"):
        Shard(1, 5).part_of(plan_of(2, 2, 1))


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "1/4/2", "-1/4", "", "1 of 4", "1/1000000"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(PrefbenchError, match="given as 3/16"):
        Shard.parse(text)
    assert Shard.parse(" 3/16 ") == Shard(3, 16)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("1/2", "2/2", None),
        ("1/2", "1/2", "shard 1/2 of .* is being drawn by another process"),
        ("1/2", "1/3", "is being drawn in 2 shards, not in 3"),
        ("1/2", None, "is being written by shards of 2"),
        (None, "1/2", "is being written by another process"),
    ],
)
def test_who_may_write_beside_whom(first: str | None, second: str | None, said: str | None, tmp_path: Path) -> None:
    def held(shard: str | None) -> AbstractContextManager[None]:
        return (RunFolder(tmp_path) if shard is None else ShardFolder(tmp_path, Shard.parse(shard))).locked()

    with held(first):
        if said is None:
            with held(second):
                assert not is_free(RunFolder(tmp_path))
        else:
            with pytest.raises(PrefbenchError, match=said), held(second):
                pass
    assert is_free(RunFolder(tmp_path))
    with held(second):  # nothing is left of what was refused
        pass


# --------------------------------------------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def choices(tiny_sd: Path) -> dict[str, Any]:
    """12 samples of three users, four each, in batches of three: the second half begins within a user."""
    return {"suite": SUITE, "samples": 4, "batch": 3, "backbone": str(tiny_sd), "device": "cpu", "score": False}


def rows(path: Path) -> Mapping[str, str | None]:
    return {key: sample.image for key, sample in RunFolder(path).samples().items()}


def test_shards_draw_together_what_one_call_draws(choices: dict[str, Any], tmp_path: Path) -> None:
    whole = prefbench.run(METHOD, out=tmp_path / "whole", **choices)
    first = prefbench.run(METHOD, out=tmp_path / "parts", shard="1/2", **choices)
    assert (first.is_partial, first.lacking) == (True, 6)
    second = prefbench.run(METHOD, out=tmp_path / "parts", shard="2/2", **choices)
    assert (second.is_partial, second.lacking) == (False, 0)
    assert first.path == second.path
    assert rows(second.path) == rows(whole.path)
    names = sorted(path.relative_to(second.path).as_posix() for path in second.path.rglob("*.jsonl"))
    kinds = ("profiles", "samples/0", "starts")
    assert names == [f"{kind}-{number}of2.jsonl" for kind in kinds for number in (1, 2)]
    folder = RunFolder(second.path)
    assert folder.read_description()["planned"] == 12
    assert (len(folder.profiles()), len(folder.starts())) == (3, 2)
    lines = sum(len(path.read_text().splitlines()) - 1 for path in second.path.glob("profiles-*.jsonl"))
    assert lines == 3, "the profile of the user whom the cut parts is made once"


def test_a_part_goes_on_as_a_whole_and_a_whole_as_parts(choices: dict[str, Any], tmp_path: Path) -> None:
    first = prefbench.run(METHOD, out=tmp_path, shard="2/2", **choices)
    again = prefbench.run(METHOD, out=tmp_path, shard="2/2", **choices)
    assert len(RunFolder(again.path).starts()) == 1, "nothing was drawn"
    whole = prefbench.run(METHOD, out=tmp_path, **choices)
    assert (whole.path, len(rows(whole.path))) == (first.path, 12)
    lines = [len(path.read_text().splitlines()) - 1 for path in sorted((whole.path / "samples").iterdir())]
    assert lines == [6, 6]
    assert not prefbench.run(METHOD, out=tmp_path, shard="1/3", **choices).is_partial
