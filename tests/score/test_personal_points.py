"""Personal points of a scorer: what the others' vote, the crowd and other users say of the same pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from prefbench.api import CrossFittedScorer, Features, History, Judgment, Pixels, PrefbenchError, Scorer, ScorerCard
from prefbench.metrics.preference import Preference
from prefbench.reports.scorer.card import MeasuredScorer, scorer_grid
from prefbench.score import admission, scorer_pairs
from prefbench.score.evaluator import Evaluator
from prefbench.score.figures import checked_figures, kept_figures
from prefbench.score.scorer_answers import Answers, ask, shortened
from prefbench.score.scorer_figures import figures_of, keep, measure
from prefbench.score.scorer_pairs import judged_pairs
from tests.support.colours import ColourSuite


class Peers(CrossFittedScorer):
    """Remembers whom it was asked about and what it was told; likes what is red."""

    card = ScorerCard("peers", "1", "made up", "none", personal=True, encoders=(), trained_on=())
    id = "peers@1"

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.asked: list[tuple[str, int]] = []

    def fit(self, histories: Mapping[str, History]) -> None:
        self.told = {*histories}

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:  # noqa: ARG002
        self.asked.append((history.user, len(history)))
        return np.array([picture[..., 0].mean() / 255 for picture in pictures])


class Reddish(Scorer):
    card = ScorerCard("reddish", "1", "made up", "none", personal=False, encoders=(), trained_on=())
    id = "reddish@1"

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:  # noqa: ARG002
        return np.array([picture[..., 0].mean() / 255 for picture in pictures])


class Voters(ColourSuite):
    """Everybody judged the same pictures, all but the last as the first did."""

    def history(self, user: str, viewer: Any = "method") -> History:
        first, *_, last = (one.id for one in self.users("test"))
        history = super().history(first, viewer)
        if user == last:
            sides = [
                tuple(Judgment(j.picture, j.prompt, not j.liked, j.pair) for j in side)
                for side in (history.disliked, history.liked)
            ]
            return History(user, *sides)
        return History(user, history.liked, history.disliked)


def test_a_scorer_that_learns_across_people_is_always_asked_under_the_id_of_whom_the_pairs_are() -> None:
    scorer = Peers()
    answered = ask(scorer, ColourSuite(), permutations=2)
    people = [user.user for user in answered.users]
    assert scorer.told == {user.id for user in ColourSuite().users("test")}
    rounds = [scorer.asked[n : n + len(people)] for n in range(0, len(scorer.asked), len(people))]
    assert all([user for user, _ in one] == people for one in rounds)
    assert {size for _, size in rounds[3]} == {0}  # after the own history and two of others: without a user


def test_the_vote_is_that_of_the_others_alone() -> None:
    answered = ask(Reddish(), Voters(), permutations=1)
    owners = np.repeat([u.user for u in answered.users], [len(u.pairs) for u in answered.users])
    votes = answered.right["vote"]
    assert set(votes[owners == owners[-1]]) == {0.0}
    assert set(votes[owners != owners[-1]]) == {1.0}
    assert np.isnan(ask(Reddish(), ColourSuite(), permutations=1).right["vote"]).all()


def test_a_second_time_says_how_often_people_agree_with_themselves() -> None:
    answered = ask(Reddish(), ColourSuite(), permutations=1, again=ColourSuite())
    assert set(answered.right["again"]) == {1.0}
    changed = ask(Reddish(), ColourSuite(), permutations=1, again=Voters())
    assert np.isnan(changed.right["again"]).any()


def test_figures_name_the_best_of_the_crowd_and_what_is_above_it() -> None:
    figures = measure(Peers(), ColourSuite(), permutations=1, crowd=[Reddish()])
    assert figures.crowd_scorer == "reddish"
    assert figures.crowd == figures.within_user_accuracy
    assert (figures.above_crowd.value, figures.above_population.value) == (0, 0)
    assert figures.vote.value is None
    assert checked_figures(figures.to_json())["crowd_scorer"] == "reddish"


def test_parts_of_one_data_set_are_joined_by_person() -> None:
    one = ask(Reddish(), ColourSuite(), permutations=1)
    twice = Answers.joined([one, one])
    once, both = (figures_of(answers, scorer="reddish@1", suite="colours") for answers in (one, twice))
    assert both.n_users == once.n_users
    assert both.n_pairs == 2 * once.n_pairs
    for name in ("within_user_accuracy", "within_user_auc", "brier"):
        assert getattr(both, name).value == pytest.approx(getattr(once, name).value)
        assert getattr(both, name).low == pytest.approx(getattr(once, name).low, abs=0.02)


def test_a_shorter_history_keeps_whole_pairs_and_is_part_of_a_longer_one() -> None:
    suite = ColourSuite()
    whole = suite.history(suite.users("test")[0].id, "scorer")
    short, longer = shortened(whole, 2), shortened(whole, 3)
    assert {*short.liked, *short.disliked} < {*longer.liked, *longer.disliked}
    assert {*longer.liked} <= {*whole.liked}
    assert shortened(whole, 10**6) == whole


def test_the_card_shows_suites_side_by_side_and_only_what_was_measured() -> None:
    figures = measure(Peers(), ColourSuite(), permutations=1).to_json()
    card = {**figures, "name": "peers", "summary": "s", "licence": "l", "encoders": (), "trained_on": (), "caveats": ()}
    others = {**figures, "suite": "people", "vote": figures["population"]}
    grid = scorer_grid(MeasuredScorer(card, "", [others]))
    assert grid.columns == ("figure", "colours test [95 %]", "people test [95 %]")
    shown = {row[0].partition(":")[0]: row[1:] for section in grid.filled for row in section}
    assert shown["vote"][0] == "—"
    assert shown["vote"][1] == shown["population"][1]
    assert "crowd" not in shown
    assert sum("not admitted to rankings there" in note for note in grid.notes) == 2


def test_a_scorer_that_refuses_an_empty_history_guesses_without_a_user() -> None:
    class Refuses(Reddish):
        card = ScorerCard("refuses", "1", "made up", "none", personal=True, encoders=(), trained_on=())

        def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
            if not len(history):
                raise PrefbenchError("needs judgments")
            return super().score(history, prompts, pictures)

    refuses, answers = measure(Refuses(), ColourSuite()), measure(Reddish(), ColourSuite())
    assert refuses.population.value == 0.5
    assert refuses.within_user_accuracy == answers.within_user_accuracy
    assert refuses.above_population.value == pytest.approx((answers.within_user_accuracy.value or 0) - 0.5)


def test_figures_of_another_suite_of_the_same_name_say_nothing() -> None:
    scorer, suite = Peers(), ColourSuite()
    keep(scorer, measure(scorer, suite, permutations=1))
    assert admission.stored(scorer, "colours", suite.digest) is not None
    assert admission.stored(scorer, "colours", "another digest") is None


def test_a_scorer_that_learns_from_a_suite_is_measured_on_it_before_it_scores(caplog: pytest.LogCaptureFixture) -> None:
    metric = Preference()
    metric.__dict__["scorer"] = scorer = Peers()
    evaluator = Evaluator(ColourSuite(), [])
    kept_figures("peers", "colours").unlink(missing_ok=True)
    evaluator._measure(metric)
    figures = admission.stored(scorer, "colours", ColourSuite().digest)
    assert figures is not None
    assert not figures["admitted"]
    n_asked = len(scorer.asked)
    evaluator._measure(metric)
    Evaluator(ColourSuite(), [])._measure(metric)
    assert len(scorer.asked) == n_asked, "once for each suite"
    assert not caplog.records


def test_of_many_users_an_even_share_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = [user.user for user in judged_pairs(ColourSuite(), "test")]
    monkeypatch.setattr(scorer_pairs, "MOST_USERS", 4)
    asked = [user.user for user in judged_pairs(ColourSuite(), "test")]
    assert len(asked) == 4
    assert (asked[0], asked[-1]) == (everybody[0], everybody[-1])
    assert {*asked} < {*everybody}
