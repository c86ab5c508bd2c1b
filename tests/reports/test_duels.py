"""Win rates by a pairwise judge on small runs whose pictures and answers can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prefbench.api import PrefbenchError, ReportContext, Sample, ScoredRun, Suite
from prefbench.cli.grids import to_text
from prefbench.reports.duels.duels import MeasuredDuels, duel
from prefbench.reports.duels.grid import duels_grid
from prefbench.reports.duels.report import Duels
from prefbench.run.folder import RunFolder
from prefbench.score.figures import Interval
from prefbench.score.judge_figures import measure_judge
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.scorer_figures import keep
from tests.support.colours import ColourSuite
from tests.support.judges import Brighter, Stranger

USERS, PROMPTS, INDICES = tuple(f"u{i}" for i in range(8)), ("a cat", "a dog", "a hat", "a sea"), (0, 1)
SUITE: Suite = ColourSuite()
Levels = Mapping[tuple[str, str, int], int | None]


def run(folder: Path, method: str, levels: Levels, *, control: bool = False) -> ScoredRun:
    """A run whose pictures have one grey level each; None is for a failed sample."""
    store = RunFolder(folder / method)
    spec: dict[str, Any] = {
        "suite": "colours", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method": method,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b" * 64,
        "steps": 2, "guidance": 1.0, "dtype": "float32", "seed": 0, "samples_per_case": 2, "users": None, "batch": 4,
    }  # fmt: skip
    card = {"name": method, "version": "1", "control": control}
    store.write_description(
        {
            "spec": spec,
            "method": card,
            "kinds": {user: "user" for user, *_ in levels},
            "planned": len(levels),
            "command": "run",
        }
    )
    store.append_samples([sample(store, method, *key, level) for key, level in levels.items()])
    return ScoredFolder.open(folder / method)


def sample(store: RunFolder, method: str, user: str, prompt: str, index: int, level: int | None) -> Sample:
    image = None if level is None else store.put_image(Image.new("RGB", (8, 8), (level,) * 3))
    error = "RuntimeError: no luck" if level is None else None
    key, status = f"{method}/{user}/{prompt}/{index}", "failed" if level is None else "ok"
    case = f"{user}/{PROMPTS.index(prompt)}"
    return Sample(key, user, case, prompt, index, 1, status, image, error=error)  # type: ignore[arg-type]


def levels(rule: Any) -> Levels:
    keys = [(user, prompt, index) for user in USERS for prompt in PROMPTS for index in INDICES]
    return {key: rule(*key) for key in keys}


def context(tmp_path: Path) -> ReportContext:
    return ReportContext(lambda: SUITE, work=tmp_path / "work")


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredRun]:
    base = levels(lambda *_: 100)
    better = levels(lambda user, prompt, _: 200 if (int(user[1]) + PROMPTS.index(prompt)) % 4 else 20)
    patchy = levels(lambda user, _, index: None if (user, index) == ("u0", 1) else 100)
    return [
        run(tmp_path, "prompt-only", base),
        run(tmp_path, "better", better),
        run(tmp_path, "patchy", patchy, control=True),
    ]


def measured(runs: list[ScoredRun], tmp_path: Path, judge: Any = None) -> MeasuredDuels:
    return duel(runs, context(tmp_path), judge or Brighter(), "prompt-only", {})


def test_the_win_rate_is_the_share_of_samples_that_win_in_both_orders(runs: list[ScoredRun], tmp_path: Path) -> None:
    better, patchy = measured(runs, tmp_path).rows
    assert (better.win_rate.value, better.win_rate.n_samples, better.ties.value) == (0.75, 64, 0.0)
    assert better.win_rate.low is not None
    assert better.win_rate.low < 0.75 < (better.win_rate.high or 0) <= 1
    assert better.p is not None
    assert (better.p < 0.05) == (better.win_rate.low > 0.5)
    assert (patchy.win_rate.value, patchy.win_rate.n_samples, patchy.win_rate.missing) == (0.5, 60, 4)
    assert patchy.ties.value == 1.0
    assert patchy.control


def test_a_judge_that_names_one_place_finds_ties_and_its_bias_stands_beside(
    runs: list[ScoredRun], tmp_path: Path
) -> None:
    duels = measured(runs, tmp_path, Brighter(lean=1e3))
    assert [row.win_rate.value for row in duels.rows] == [0.5, 0.5]
    assert duels.position_bias.value == 0.5
    text = to_text(duels_grid(duels))
    assert "position bias 0.500" in text
    assert "§ not ranked: better, patchy (brighter was never measured on this suite)" in text.replace("\n", " ")


def test_nothing_is_asked_twice_and_a_stop_loses_no_stored_answer(runs: list[ScoredRun], tmp_path: Path) -> None:
    class Tired(Brighter):
        left = 3

        def prefer_first(self, *asked: Any) -> Any:
            Tired.left -= 1
            if Tired.left < 0:
                raise PrefbenchError("no more")
            return super().prefer_first(*asked)

    with pytest.raises(PrefbenchError, match="no more"):
        measured(runs, tmp_path, Tired())
    Brighter.asked = 0
    first = measured(runs, tmp_path)
    # 64 + 60 pairs; equal pictures of one user and prompt are one question, and one user's was answered before.
    asked = Brighter.asked
    assert 0 < asked < 2 * 124
    assert measured(runs, tmp_path) == first
    assert Brighter.asked == asked


def test_another_judge_or_setting_is_asked_anew(runs: list[ScoredRun], tmp_path: Path) -> None:
    measured(runs, tmp_path)
    Brighter.asked = 0
    measured(runs, tmp_path, Brighter(lean=0.25))
    assert Brighter.asked > 0


def test_the_judge_sees_the_judgments_that_no_method_sees(tmp_path: Path) -> None:
    seen: list[str] = []

    class Notes(Stranger):
        def prefer_first(self, history: Any, *asked: Any) -> Any:
            seen.append(history.digest)
            return np.full(len(asked[0]), 0.5)

    users = [user.id for user in SUITE.users("test")]
    renamed = levels(lambda *_: 100)
    renamed = {(users[int(u[1]) % len(users)], p, i): 100 for u, p, i in renamed}
    pair = [run(tmp_path / "r", "prompt-only", renamed), run(tmp_path / "r", "better", renamed)]
    duel(pair, context(tmp_path), Notes(), "prompt-only", {})
    assert set(seen) == {SUITE.history(user, "scorer").digest for user in users[: len(USERS)]}


def test_an_edited_answer_is_one_line(runs: list[ScoredRun], tmp_path: Path) -> None:
    measured(runs, tmp_path)
    (path,) = (tmp_path / "work" / "duels").glob("*.jsonl")
    path.write_text(path.read_text().replace('"shown_first": 0.', '"shown_first": 0.9', 1))
    with pytest.raises(PrefbenchError, match=rf"^{path}.*line 2"):
        measured(runs, tmp_path)


def test_what_cannot_be_judged_is_one_line(runs: list[ScoredRun], tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="unknown baseline 'prompt_only'; did you mean 'prompt-only'"):
        duel(runs, context(tmp_path), Brighter(), "prompt_only", {})
    with pytest.raises(PrefbenchError, match="'preference' values single pictures; duels are judged by a PairScorer"):
        Duels(judge="preference").measure(runs, context(tmp_path))
    alone = [runs[0], run(tmp_path / "x", "elsewhere", {("u9", "a cat", 0): 3})]
    with pytest.raises(PrefbenchError, match="elsewhere shares no drawn sample with prompt-only"):
        duel(alone, context(tmp_path), Brighter(), "prompt-only", {})


def test_the_report_is_plain_data_with_parameters_of_the_judge(runs: list[ScoredRun], tmp_path: Path) -> None:
    judge = f"{Path(__file__).parents[1] / 'support' / 'judges.py'}:Brighter"
    report = Duels(judge=judge, parameters=("lean=0.5",))
    result = report.measure(runs, context(tmp_path))
    content = json.loads(json.dumps(report.as_json(result)))
    assert content["judge_id"].startswith("brighter@1[0.5]@")
    assert [row["label"] for row in content["rows"]] == ["better", "patchy"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_judge_ranks_where_it_was_measured_and_not_on_other_judgments_of_a_suite_of_the_same_name(
    runs: list[ScoredRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    judge, sure = Brighter(), Interval(0.1, 0.05, 0.15)
    figures = replace(measure_judge(judge, SUITE), above_population=sure, above_permuted=sure)
    assert figures.digest == SUITE.digest
    keep(judge, replace(figures, digest="e" * 64) if elsewhere else figures)
    reasons = {row.unranked for row in measured(runs, tmp_path, judge).rows}
    assert reasons == ({"brighter was never measured on this suite"} if elsewhere else {""})
