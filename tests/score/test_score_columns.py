"""Columns as they are read from a file of scores, and what stands for the samples that they are of."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import PrefbenchError, Sample, ScoreHeader
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import StoredScores, read_columns, samples_digest, write_scores
from prefbench.score.score_rows import ScoreRow

N = 9_000
"""Samples: more than are read of the file at a time."""
PLACES = {f"key-{i}": i for i in range(N)}
HEADER = ScoreHeader("bright@1[mean]", "up", "side", "image", "0" * 16)


def stored(tmp_path: Path, rows: Sequence[ScoreRow]) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    write_scores(folder, "bright", StoredScores(HEADER, rows))
    return folder


def test_columns_are_told_apart_however_their_rows_are_mixed(tmp_path: Path) -> None:
    rng = random.Random(0)
    values = {name: {key: rng.choice([None, rng.random()]) for key in PLACES} for name in ("bright", "bright/own")}
    rows = [ScoreRow(key, name, value) for name, column in values.items() for key, value in column.items()]
    rng.shuffle(rows)
    columns = read_columns(stored(tmp_path, rows[1:]), "bright", PLACES)
    values[rows[0].column][rows[0].key] = None
    for name, column in values.items():
        expected = [np.nan if value is None else value for value in column.values()]
        np.testing.assert_array_equal(columns[name], expected)
    assert set(columns) == set(values)


@pytest.mark.parametrize("other", [(), ("bright/own",)], ids=["one column", "two columns, mixed"])
@pytest.mark.parametrize("first", [0, N // 2, N - 2])
@pytest.mark.parametrize("second", [N - 1])
def test_a_value_that_is_there_twice_is_named_by_the_line_of_the_second(
    tmp_path: Path, other: Sequence[str], first: int, second: int
) -> None:
    rows = [ScoreRow(key, name, 0.5) for key in PLACES for name in ("bright", *other)]
    step = 1 + len(other)
    rows[second * step] = rows[first * step]
    with pytest.raises(PrefbenchError, match=rf"bright.jsonl line {2 + second * step} is there twice; prefbench score"):
        read_columns(stored(tmp_path, rows), "bright", PLACES)


@pytest.mark.parametrize("place", [0, 4_321, N - 1])
def test_a_value_of_no_sample_is_named_by_its_line(tmp_path: Path, place: int) -> None:
    rows = [ScoreRow(key, "bright", 0.5) for key in PLACES]
    rows[place] = ScoreRow("another", "bright", 0.5)
    with pytest.raises(PrefbenchError, match=f"line {2 + place} is of nothing that the run holds"):
        read_columns(stored(tmp_path, rows), "bright", PLACES)


def test_the_first_of_two_faults_is_named(tmp_path: Path) -> None:
    rows = [ScoreRow(key, "bright", 0.5) for key in PLACES]
    rows[7], rows[3] = ScoreRow("another", "bright", 0.5), rows[2]
    with pytest.raises(PrefbenchError, match="line 5 is there twice"):
        read_columns(stored(tmp_path, rows), "bright", PLACES)


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 2500])
def test_the_digest_of_samples_is_that_of_each_as_json(n: int) -> None:
    """Also where texts look like what stands between rows of JSON: two sets of samples must never have one digest."""
    rng = random.Random(n)
    pieces = ('], "", [', '"', "\\", "], [", "é", "\U0001f600", "", " ", "]", "[", ", ", "\n", "a")

    def text() -> str:
        return "".join(rng.choices(pieces, k=rng.randrange(6)))

    samples = [
        Sample(text(), text(), text(), text(), i, rng.randrange(2**63), "ok", "a" * 64, text(), spread=rng.random())
        for i in range(n)
    ]
    rows = [
        json.dumps([s.key, s.user, s.case, s.prompt, s.index, s.seed, s.status, s.image, s.prompt_used, s.error,
                    s.spread, s.text_limit, s.prompt_cut, s.prompt_used_cut, s.other_cut])
        for s in samples
    ]  # fmt: skip
    assert samples_digest(samples) == hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:16]
