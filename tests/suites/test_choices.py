"""The choice model: its likelihood against exact sums and against simulated choices, and its limits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.choices import (
    judge_four,
    log_likelihood,
    log_likelihood_of_likes,
    log_likelihood_of_pairs,
    log_likelihood_of_ratings,
    rate,
)

WORLDS = [(np.array([-0.6, 0.0, 0.4, 1.0]), 4.0), (np.array([-1.0, -0.9, 0.1, 0.2, 0.9]), 12.0)]
"""Utilities of all pictures there are, and a sharpness."""
each_world = pytest.mark.parametrize(("utilities", "sharpness"), WORLDS)
SIMULATIONS = 40_000


def all_pairs(utilities: FloatArray) -> FloatArray:
    """Every ordered pair of pictures, (2, n * n): what `others` samples."""
    return np.stack([np.repeat(utilities, len(utilities)), np.tile(utilities, len(utilities))])


def joint(utilities: FloatArray, sharpness: float) -> FloatArray:
    """exp(log-likelihood) of every (liked, disliked), (n, n)."""
    others = all_pairs(utilities)
    none = [np.array([u]) for u in utilities]
    return np.array([[np.exp(log_likelihood(x, y, others[..., None, :, :], sharpness)) for y in none] for x in none])


def simulated(utilities: FloatArray, sharpness: float) -> FloatArray:
    """Frequencies (n, n) of (liked, disliked) when the four pictures are drawn at random."""
    rng = np.random.default_rng(0)
    counts = np.zeros((len(utilities), len(utilities)))
    for four in rng.integers(len(utilities), size=(SIMULATIONS, 4)):
        liked, disliked = judge_four(utilities[four], sharpness, rng)
        counts[four[liked], four[disliked]] += 1
    return counts / SIMULATIONS


@each_world
def test_likelihood_is_the_frequency_of_simulated_choices(utilities: FloatArray, sharpness: float) -> None:
    """P(liked, disliked) = 12 / n^2 * likelihood: 12 ordered places of the two among the four."""
    expected = 12 / len(utilities) ** 2 * joint(utilities, sharpness)
    assert expected.sum() == pytest.approx(1)
    error = np.sqrt(expected * (1 - expected) / SIMULATIONS)
    np.testing.assert_array_less(np.abs(simulated(utilities, sharpness) - expected), 4.5 * error + 1e-4)


@each_world
def test_one_side_alone_is_the_margin_of_both(utilities: FloatArray, sharpness: float) -> None:
    """P(liked) = 4 / n * likelihood, and the same for the disliked."""
    others, both = all_pairs(utilities), 12 / len(utilities) ** 2 * joint(utilities, sharpness)
    none = np.array([])
    for i, utility in enumerate(utilities):
        one = np.array([utility])
        liked, disliked = (
            np.exp(log_likelihood(*sides, others[..., None, :, :], sharpness)) for sides in ((one, none), (none, one))
        )
        assert 4 / len(utilities) * liked == pytest.approx(both[i].sum(), rel=1e-6)
        assert 4 / len(utilities) * disliked == pytest.approx(both[:, i].sum(), rel=1e-6)


def test_judgments_add_up_and_rows_are_tastes_of_their_own() -> None:
    rng = np.random.default_rng(1)
    liked, disliked, others = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(3, 2, 20))
    sharpness = np.array([1.0, 4.0, 12.0])
    together = log_likelihood(liked, disliked, others[..., None, :, :], sharpness)
    assert together.shape == (3,)
    for row in range(3):
        single = [
            log_likelihood(liked[row, [j]], disliked[row, [j]], others[row][None], sharpness[row]) for j in range(5)
        ]
        assert together[row] == pytest.approx(sum(single))


def test_over_all_pairs_of_the_same_pictures_the_fast_form_is_the_same() -> None:
    """Of pairs, of likes and of dislikes, in rows of their own and beside pictures of their own."""
    rng = np.random.default_rng(4)
    liked, disliked, sharpness = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), np.array([1.0, 4.0, 12.0])
    none = np.zeros((3, 0))
    for others in (rng.normal(size=(3, 1, 7)), rng.normal(size=(3, 5, 7))):
        pairs = np.array([[all_pairs(row) for row in rows] for rows in others])
        found = log_likelihood_of_pairs(liked, disliked, others, sharpness)
        np.testing.assert_allclose(found, log_likelihood(liked, disliked, pairs, sharpness), atol=1e-8)
    others, pairs = others[:, :1], pairs[:, :1]
    found = log_likelihood_of_likes(liked, others, sharpness)
    np.testing.assert_allclose(found, log_likelihood(liked, none, pairs, sharpness), atol=1e-8)
    found = log_likelihood_of_likes(-disliked, -others, sharpness)
    np.testing.assert_allclose(found, log_likelihood(none, disliked, pairs, sharpness), atol=1e-8)


def test_the_fast_form_survives_extreme_utilities() -> None:
    rows, sharp = np.array([[1e4], [-1e4]]), np.array([12.0, 12.0])
    for values in (
        log_likelihood_of_pairs(rows, -rows, np.zeros((2, 1, 4)), sharp),
        log_likelihood_of_likes(rows, np.zeros((2, 1, 4)), sharp),
    ):
        assert values[0] == pytest.approx(0.0, abs=1e-9)
        assert np.isfinite(values[1])
        assert values[1] < -20


def test_likelihood_survives_extreme_utilities() -> None:
    sure = log_likelihood(np.array([1e4]), np.array([-1e4]), np.zeros((1, 2, 4)), 12.0)
    wrong = log_likelihood(np.array([-1e4]), np.array([1e4]), np.zeros((1, 2, 4)), 12.0)
    assert sure == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(wrong)
    assert wrong < -20


def test_without_sharpness_all_outcomes_are_equally_likely() -> None:
    """Over random places: two pictures of one heat are liked and disliked twice as often as two of different heats."""
    rng = np.random.default_rng(2)
    counts = np.zeros((4, 4))
    for _ in range(12_000):
        places = rng.permutation(4)
        liked, disliked = judge_four(np.array([-5.0, 0.0, 1.0, 5.0])[places], 0.0, rng)
        counts[places[liked], places[disliked]] += 1
    off_diagonal = counts[~np.eye(4, dtype=bool)]
    assert np.diag(counts).sum() == 0
    assert np.abs(off_diagonal - 1000).max() < 4.5 * np.sqrt(1000)


def test_with_great_sharpness_the_best_and_the_worst_are_chosen() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        utilities = rng.permutation([0.0, 0.1, 0.2, 0.3])
        assert judge_four(utilities, 1e6, rng) == (int(utilities.argmax()), int(utilities.argmin()))


def test_the_likelihood_of_ratings_is_that_of_the_first_pictures_rated_so() -> None:
    """Against a count: pictures of three utilities are shown until one is rated 4 or 5."""
    utilities, sharpness = np.array([-0.2, 0.3, 0.6]), 8.0
    rng = np.random.default_rng(0)
    counts: Counter[tuple[int, int]] = Counter()
    for _ in range(4000):
        while True:
            picture = int(rng.integers(3))
            rating = rate(float(utilities[picture]), sharpness, rng)
            if rating in (4, 5):
                counts[picture, rating] += 1
                break
    others = utilities[None, None]
    for (picture, rating), count in counts.items():
        log = log_likelihood_of_ratings(utilities[None, [picture]], others, np.array([rating]), np.array([sharpness]))
        assert np.exp(log[0]) / 3 == pytest.approx(count / 4000, abs=0.025)
    none = log_likelihood_of_ratings(np.zeros((2, 0)), np.zeros((2, 0, 3)), np.zeros(0, dtype=np.int64), np.ones(2))
    assert none.tolist() == [0, 0]
