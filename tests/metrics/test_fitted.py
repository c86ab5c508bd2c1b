"""The scorer `fitted`: its numbers against scikit-learn and scipy; nothing of a person is learned across people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from prefbench.api import DrawnImages, Evidence, History, Judgment, Picture, PrefbenchError, Scored, to_pixels
from prefbench.check import check_scorer
from prefbench.metrics.personal_gain import PersonalGain
from prefbench.metrics.scorers.fitted import people as across
from prefbench.metrics.scorers.fitted.comparisons import AVERAGE, comparisons_of
from prefbench.metrics.scorers.fitted.people import folds_of
from prefbench.metrics.scorers.fitted.scorer import FittedScorer
from prefbench.metrics.scorers.fitted.taste import Space, fit_taste

ENCODER = "style-statistics"


def plain(level: tuple[int, int, int], seed: int = 0) -> Picture:
    """A picture about one colour, and no two equal."""
    noise = np.random.default_rng([*level, seed]).integers(0, 9, (16, 16, 3))
    return Picture.of(Image.fromarray(np.clip(np.array(level) + noise, 0, 255).astype(np.uint8)))


def judgments(liked: list[Picture], disliked: list[Picture], prompt: str = "", pairs: bool = True) -> History:
    sides = [
        tuple(Judgment(p, prompt, is_liked, str(n) if pairs else None) for n, p in enumerate(side))
        for is_liked, side in ((True, liked), (False, disliked))
    ]
    return History("somebody", sides[0], sides[1])


def lover_of(channel: int, seed: int, n: int = 12, prompt: str = "") -> History:
    """Chooses between random colours the one with more of a channel."""
    rng = np.random.default_rng(seed)
    liked, disliked = [], []
    for _ in range(n):
        first, second = rng.integers(20, 235, (2, 3))
        better, worse = (first, second) if first[channel] > second[channel] else (second, first)
        liked.append(plain(tuple(better), seed))
        disliked.append(plain(tuple(worse), seed))
    return replace(judgments(liked, disliked, prompt), user=f"lover-{seed}")


def town(channels: Mapping[int, int]) -> dict[str, History]:
    """People by seed with the channel that each loves."""
    return {history.user: history for history in (lover_of(c, seed) for seed, c in channels.items())}


def asked(scorer: FittedScorer, history: History) -> Any:
    colours = [plain((220, 40, 40), 7), plain((40, 220, 40), 7), plain((40, 40, 220), 7)]
    return scorer.score(history, [""] * 3, [to_pixels(p.load()) for p in colours])


# ------------------------------------------------------------------------------------------------ the model


def test_a_taste_without_a_prior_mean_is_scikit_learns_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 6)) + 0.3
    found = fit_taste(rows, mean=np.zeros(6), precision=4.0)
    both, labels = np.concatenate([rows, -rows]), np.repeat([1, 0], 200)
    # Every comparison stands there twice, from either side, so the prior counts twice.
    model = LogisticRegression(C=1 / 8, fit_intercept=False, tol=1e-10, max_iter=1000)
    expected = model.fit(both, labels).coef_[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_taste_is_the_maximum_of_its_posterior() -> None:
    rng = np.random.default_rng(1)
    rows, mean = 30 * rng.normal(size=(50, 4)), rng.normal(size=4)

    def loss(taste: Any) -> float:
        return float(np.logaddexp(0, -rows @ taste).sum() + 5.0 * ((taste - mean) ** 2).sum())

    expected = minimize(loss, mean, method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(fit_taste(rows, mean=mean, precision=10.0), expected, atol=1e-5)


@pytest.mark.parametrize("n", [30, 100])
def test_the_space_is_that_of_principal_components_with_a_mean_square_of_one(n: int) -> None:
    features = np.random.default_rng(2).normal(size=(n, 60)) * np.linspace(1, 3, 60)
    found = Space.of(features).coordinates(features)
    model = PCA(min(40, n - 1)).fit(features)
    expected = model.transform(features) / np.sqrt((model.transform(features) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    assert np.square(found).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------------------------------------- comparisons


def test_a_pair_is_one_comparison() -> None:
    a, b, c, d = (plain((n, n, n)) for n in (10, 60, 110, 160))
    found = comparisons_of(judgments([a, b], [c, d]))
    shown = {
        (found.pictures[x].digest, found.pictures[y].digest) for x, y in zip(found.better, found.worse, strict=True)
    }
    assert shown == {(a.digest, c.digest), (b.digest, d.digest)}
    assert len(found) == 2


def test_without_pairs_likes_stand_beside_dislikes_of_their_prompt() -> None:
    cats = judgments([plain((10, 0, 0)), plain((20, 0, 0))], [plain((30, 0, 0))], "a cat", pairs=False)
    dogs = judgments([plain((40, 0, 0))], [plain((50, 0, 0))], "a dog", pairs=False)
    found = comparisons_of(History("ann", cats.liked + dogs.liked, cats.disliked + dogs.disliked))
    assert sorted(found.prompts.tolist()) == ["a cat", "a cat", "a dog"]


def test_a_like_whose_prompt_has_no_dislike_stands_beside_all_and_without_any_beside_the_average() -> None:
    like, dislike = Judgment(plain((10, 0, 0)), "a cat", True), Judgment(plain((20, 0, 0)), "a dog", False)
    found = comparisons_of(History("ann", (like,), (dislike,)))
    assert set(found.prompts.tolist()) == {""}
    assert len(found) == 1
    alone = comparisons_of(History("ann", (like,), ()))
    assert (alone.better.tolist(), alone.worse.tolist()) == ([0], [AVERAGE])


def test_many_likes_and_dislikes_are_compared_evenly() -> None:
    found = comparisons_of(
        judgments([plain((n, 0, 0)) for n in range(30)], [plain((0, n, 0)) for n in range(45)], pairs=False)
    )
    assert len(found) == 8 * 45
    assert len({*zip(found.better.tolist(), found.worse.tolist(), strict=True)}) == len(found)
    assert {*np.unique(found.worse, return_counts=True)[1].tolist()} == {8}
    assert {*np.unique(found.better, return_counts=True)[1].tolist()} == {12}


# -------------------------------------------------------------------------------------------- across people


def test_a_person_is_understood_from_their_own_history_against_the_others() -> None:
    people = {**town({1: 0, 2: 0, 3: 0}), "lover-4": lover_of(2, 4, n=60)}
    scorer = FittedScorer(encoder=ENCODER)
    scorer.fit(people)
    red, _, blue = asked(scorer, people["lover-4"])
    assert blue > red
    red, _, blue = asked(scorer, History("lover-4", (), ()))
    assert red > blue  # what the others would say


def test_what_others_say_of_a_person_follows_nothing_that_the_person_said() -> None:
    before, after = FittedScorer(encoder=ENCODER), FittedScorer(encoder=ENCODER)
    before.fit(town({1: 0, 2: 0, 3: 0, 4: 2}))
    after.fit({**town({1: 0, 2: 0, 3: 0}), "lover-4": replace(lover_of(1, 99, n=40), user="lover-4")})
    nobody = History("lover-4", (), ())
    assert np.array_equal(asked(before, nobody), asked(after, nobody))
    stranger = History("stranger", (), ())
    assert not np.array_equal(asked(before, stranger), asked(after, stranger))


def test_the_order_of_people_is_no_matter() -> None:
    people = town({1: 0, 2: 1, 3: 2, 4: 2})
    one, other = FittedScorer(encoder=ENCODER), FittedScorer(encoder=ENCODER)
    one.fit(people)
    other.fit(dict(reversed(people.items())))
    for history in people.values():
        assert np.array_equal(asked(one, history), asked(other, history))


def test_people_are_divided_into_folds_of_equal_size_by_their_ids() -> None:
    people = [f"person {n}" for n in range(103)]
    folds = folds_of(people)
    assert folds == folds_of(people[::-1])
    assert {*np.bincount(list(folds.values())).tolist()} == {4, 5}
    assert sorted(folds_of(people[:25]).values()) == list(range(25))


def test_a_prompt_that_the_others_judged_often_is_a_category_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "ENOUGH", across.Size(comparisons=30, people=3))
    people = {}
    for seed in range(4):  # more red in houses, more blue in flowers
        houses, flowers = lover_of(0, seed, 12, "houses"), lover_of(2, seed + 50, 12, "flowers")
        people[f"person-{seed}"] = History(
            f"person-{seed}", houses.liked + flowers.liked, houses.disliked + flowers.disliked
        )
    scorer = FittedScorer(encoder=ENCODER)
    scorer.fit(people)
    colours = [to_pixels(plain(level, 7).load()) for level in ((220, 40, 40), (40, 40, 220))]
    for prompt, order in (("houses", 1), ("flowers", -1)):
        red, blue = scorer.score(people["person-0"], [prompt] * 2, colours)
        assert np.sign(red - blue) == order
    red, blue = scorer.score(people["person-0"], ["something else"] * 2, colours)
    assert abs(red - blue) < 0.2


def test_a_person_alone_is_learned_from_and_nobody_is_refused() -> None:
    scorer = FittedScorer(encoder=ENCODER)
    red, _, blue = asked(scorer, lover_of(2, 4))
    assert blue > red
    with pytest.raises(PrefbenchError, match="no judgment of anybody to learn from"):
        asked(scorer, History("nobody", (), ()))


def test_it_conforms() -> None:
    findings = check_scorer("fitted", [f"encoder={ENCODER}"])
    assert [finding for finding in findings if not finding.passed] == []
    assert {finding.check: finding.outcome for finding in findings}["across people"] == "ok"


# --------------------------------------------------------------------------------------------- the metric


def test_personal_gain_is_the_own_value_minus_that_under_others_with_the_same_knowledge_of_people() -> None:
    people = {**town({1: 0, 2: 0, 3: 0}), "lover-4": lover_of(2, 4, n=60)}
    scorer = FittedScorer(encoder=ENCODER)
    scorer.fit(people)
    metric = PersonalGain()
    metric.__dict__["scorer"] = scorer
    blue = to_pixels(plain((40, 40, 220), 7).load())
    drawn = [Scored(f"sample-{user}", user, "a cat", blue) for user in people]
    columns = metric.score(DrawnImages(drawn, None, Evidence(None, {}, {"scorer": people})))
    for n, user in enumerate(people):
        own = scorer.score(people[user], ["a cat"], [blue])[0]
        others = [scorer.score(replace(people[o], user=user), ["a cat"], [blue])[0] for o in people if o != user]
        assert columns["personal-gain/own"][n] == pytest.approx(own)
        assert columns["personal-gain/others"][n] == pytest.approx(np.mean(others))
        assert columns["personal-gain"][n] == pytest.approx(own - np.mean(others))
    assert columns["personal-gain"][3] == max(columns["personal-gain"])  # who loves blue gains most by it
