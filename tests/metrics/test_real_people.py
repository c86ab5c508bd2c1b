"""The figures of `fitted` on real people: the page follows from its files, folds share no picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.people import FOLDS, _fold_of, _folds
from prefbench.metrics.scorers.fitted.scorer import FittedScorer
from prefbench.score.scorer_answers import ask

ROOT = Path(__file__).parents[2]
PEOPLE = ROOT.parent / "shared" / "people"
SETS = ("choices", "ratings")


def shown(figure: Any, signed: bool) -> str:
    value, low, high = (f"{figure[end]:{'+' if signed else ''}.3f}" for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]".replace("0.", ".")


@pytest.mark.parametrize("name", SETS)
def test_the_page_states_what_the_files_hold(name: str) -> None:
    figures = json.loads((ROOT / "benchmarks" / "results" / f"people-{name}.json").read_text())
    page = (ROOT / "docs" / "people.md").read_text()
    for field in ("within_user_accuracy", "population", "permuted", "vote"):
        assert shown(figures[field], signed=False) in page
    for field in ("above_population", "above_permuted", "above_vote", "permuted_people"):
        assert shown(figures[field], signed=True) in page
    for known in figures["by_size"][:2]:
        assert shown(known["accuracy"], signed=False) in page


@pytest.mark.parametrize("name", SETS)
def test_personal_points_on_people_are_above_zero_and_those_of_permuted_people_are_not(name: str) -> None:
    figures = json.loads((ROOT / "benchmarks" / "results" / f"people-{name}.json").read_text())
    assert figures["admitted"]
    assert figures["above_population"]["low"] > 0
    assert figures["above_permuted"]["low"] > 0
    assert figures["permuted_people"]["low"] < 0 < figures["permuted_people"]["high"]


def test_a_division_puts_each_picture_into_one_fold_evenly_by_prompt_and_another_number_divides_otherwise() -> None:
    names = [f"{prompt}-{n}.jpg" for prompt in ("cats", "dogs") for n in range(20)]
    judged = pd.DataFrame({"file_name": names * 3, "prompt": [name[:4] for name in names] * 3})
    first, again, other = (judged.assign(fold=_fold_of(judged, n)) for n in (0, 0, 1))
    assert (first.groupby("file_name")["fold"].nunique() == 1).all()
    assert set(first.groupby(["prompt", "fold"])["file_name"].nunique()) == {20 // FOLDS}
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.slow
def test_what_is_asked_about_was_seen_with_nobodys_judgment(tmp_path: Path) -> None:
    if not PEOPLE.is_dir():
        pytest.skip("needs the judgments of real people beside the repository, in shared/people")
    table = tmp_path / "ratings.csv"
    lines = (PEOPLE / "ratings" / "ratings.csv").read_text().splitlines()
    people = {*list(dict.fromkeys(line.partition(",")[0] for line in lines[1:]))[:6]}
    table.write_text("\n".join([lines[0], *(line for line in lines[1:] if line.partition(",")[0] in people)]) + "\n")
    parameters = (f"pictures={PEOPLE / 'ratings' / 'pictures'}",)
    fold = next(_folds("ratings", table, parameters, "showing", tmp_path))
    views = [
        {j.picture.digest for user in fold.suite.users("test") for j in _judgments(fold.suite, user.id, viewer)}
        for viewer in ("method", "scorer")
    ]
    assert views[0]
    assert not views[0] & views[1]
    answered = ask(FittedScorer(encoder="style-statistics"), fold.suite, permutations=1, again=fold.again, sizes=())
    assert {user.digest(row) for user in answered.users for row in range(len(user.judgments))} <= views[0]
    assert 0.5 < answered.right["again"].mean() < 1


def _judgments(suite: Any, user: str, viewer: Any) -> list[Any]:
    history = suite.history(user, viewer)
    return [*history.liked, *history.disliked]
