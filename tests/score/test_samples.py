"""The table of a run's samples, and scores that no longer fit them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from prefbench.api import PrefbenchError
from prefbench.score.scored_folder import ScoredFolder
from tests.support.toy_runs import INDICES, KINDS, PROMPTS, USERS, build


def test_samples_and_their_values_come_as_one_table(tmp_path: Path) -> None:
    build(tmp_path / "run", "ours", {"ann": 0.2, "bob": None, "cyd": 0.6})
    table = pandas.read_parquet(tmp_path / "run" / "samples.parquet")
    assert len(table) == len(USERS) * len(PROMPTS) * len(INDICES)
    assert table.groupby("user")["utility"].mean().to_dict() == pytest.approx(
        {"ann": 0.25, "bob": np.nan, "cyd": 0.65}, nan_ok=True
    )
    assert set(table.loc[table.user == "bob", "status"]) == {"failed"}
    assert dict(zip(table.user, table.kind, strict=True)) == KINDS


def test_scores_of_other_samples_are_refused(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "ours", 0.5)
    run.folder.append_samples([replace(run.samples[0], image="0" * 64)])
    with pytest.raises(PrefbenchError, match="the scores of fid are of other samples; prefbench score"):
        ScoredFolder.open(tmp_path / "run").summary()
