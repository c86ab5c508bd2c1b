"""References of picturebook: likes in its first world; the cases' own prompts in liked styles in its second."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from prefbench.api import PrefbenchError
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.population import SimulatedUser, population
from prefbench.suites.picturebook.users.references import PER_CASE, in_liked_styles, in_the_crowds_style
from prefbench.suites.picturebook.users.shares import crowd_gain, judging, pair_accuracy
from prefbench.suites.picturebook.users.taste import common_taste
from prefbench.suites.picturebook.users.worlds import FIRST, SECOND
from prefbench.suites.picturebook.world.axes import STYLE_NAMES, sample_styles

USERS = population("val", SECOND)


def of_kind(kind: str) -> list[SimulatedUser]:
    return [user for user in USERS if user.kind == kind]


# ----------------------------------------------------------------------------------------------- references


def test_each_case_is_shown_four_times_in_styles_of_likes_that_only_scorers_see() -> None:
    for user in of_kind("consistent")[:5]:
        styles = Counter(entry.scene.style for entry in user.judged("scorer").liked)
        shown = list(in_liked_styles(user))
        assert Counter(one.prompt for one in shown) == dict.fromkeys(user.prompts(), PER_CASE)
        assert all(one.entry.scene.content == one.prompt.content for one in shown)
        assert all(one.prompt.styled(one.entry.scene.style) == one.entry.scene.style for one in shown)
        bare = Counter(one.entry.scene.style for one in shown if one.prompt.word is None)
        assert bare <= styles
        assert not any(one.entry.defects for one in shown)


def test_styles_of_a_bound_taste_are_those_liked_on_subjects_of_the_same_taste() -> None:
    for user in of_kind("subject-bound"):
        liked = user.judged("scorer").liked
        for prompt, entry in in_liked_styles(user):
            taste = user.taste_on(prompt.content)
            alike = {prompt.styled(e.scene.style) for e in liked if user.taste_on(e.scene.content) is taste}
            assert entry.scene.style in alike


@pytest.mark.slow
def test_users_like_the_styles_of_their_references_better_than_those_of_others() -> None:
    own, other = [], []
    for user, stranger in zip(USERS, USERS[1:] + USERS[:1], strict=True):
        styles = [np.array([one.entry.scene.style for one in in_liked_styles(u)]) for u in (user, stranger)]
        own.append(user.taste.of_styles(styles[0]).mean())
        other.append(user.taste.of_styles(styles[1]).mean())
    assert np.mean(own) > np.mean(other) + 0.15


def test_the_crowds_style_is_the_best_of_the_common_taste_that_obeys_the_prompt() -> None:
    every = sample_styles(np.random.default_rng(0), 4000, uniform=STYLE_NAMES)
    for prompt, entry in in_the_crowds_style(USERS[0]):
        obeying = np.array([prompt.styled(style.tolist()) for style in every[:500]])
        found = common_taste().of_styles(np.array([entry.scene.style]))[0]
        assert found >= common_taste().of_styles(obeying).max()
        assert prompt.styled(entry.scene.style) == entry.scene.style


@pytest.mark.slow
def test_references_of_the_second_world_are_nobodys_judgments_and_all_different() -> None:
    suite = Picturebook(world="2")
    few = {user.id for user in suite.users("val")[:20]}
    references, crowd = (
        [r for r in of_split("val") if r.user in few] for of_split in (suite.references, suite.crowd_references)
    )
    assert len(references) == len(crowd) == 20 * 5 * PER_CASE
    asked = {(case.user, case.prompt) for user in few for case in suite.cases(user)}
    assert {(r.user, r.prompt) for r in references} == {(r.user, r.prompt) for r in crowd} == asked
    digests = [r.picture.digest for r in (*references, *crowd)]
    assert len(set(digests)) == len(digests)
    views = [suite.history(user, viewer) for user in few for viewer in ("method", "scorer")]
    assert not {j.picture.digest for h in views for j in (*h.liked, *h.disliked)} & set(digests)


def test_only_worlds_with_a_common_taste_have_a_crowds_style() -> None:
    assert Picturebook(world="1").crowd_references("test") == ()
    assert Picturebook(world="2", crowd=0.0).crowd_references("test") == ()


# --------------------------------------------------------------------------------------------------- shares


@pytest.mark.slow
def test_the_own_taste_tells_pairs_best_and_users_share_less_where_the_crowd_weighs_less() -> None:
    told = pair_accuracy(USERS[:40], population("train", SECOND)[:60])
    alone = replace(SECOND, crowd=0.0, quality=0.0, kinds=FIRST.kinds)
    apart = pair_accuracy(population("val", alone)[:40], population("train", alone)[:60])
    assert told.pairs == apart.pairs == 40 * 20
    assert told.own > 0.9
    assert apart.own > 0.9
    assert told.impersonal > apart.impersonal + 0.02
    assert apart.impersonal < 0.6, "over a half: users of all worlds like the middle of silent axes a little"


def test_the_crowds_style_goes_all_the_way_where_all_have_one_taste() -> None:
    assert crowd_gain(population("val", SECOND.turned(crowd=1.0))[:10]) == pytest.approx(1)
    assert 0.1 < crowd_gain(USERS) < 0.5
    assert abs(crowd_gain(population("val", SECOND.turned(crowd=0.0)))) < 0.15


def test_ways_to_judge_are_counted() -> None:
    line = judging(USERS[:20])
    assert "pairs" in line
    assert "judged pictures with a defect" in line


@pytest.mark.slow
def test_checks_of_the_second_world_say_what_they_measure() -> None:
    assert Picturebook(world="1").checks() == {}
    checks = Picturebook(world="2", noise=1.4).checks()
    assert set(checks) == {"pairs told", "crowd's style", "ways to judge"}
    assert "the own taste is right in 0.9" in checks["pairs told"]()


@pytest.mark.slow
def test_a_world_by_name_with_other_shares_than_meant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Picturebook(world="2")
    monkeypatch.setattr("prefbench.suites.picturebook.suite._IMPERSONAL", (0.1, 0.2))
    with pytest.raises(PrefbenchError, match="meant to have"):
        suite.checks()["pairs told"]()
