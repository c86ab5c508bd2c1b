"""How simulated users judge: choices between two pictures of one prompt, by a Bradley-Terry rule with noise.

For each judgment a user sees four pictures of one prompt and makes four choices: two heats, a final between the
winners, a consolation between the losers. The winner of the final is liked, the loser of the consolation disliked.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from prefbench.api import FloatArray
from prefbench.suites.picturebook.world.axes import IntArray


def judge_four(utilities: FloatArray, sharpness: float, rng: np.random.Generator) -> tuple[int, int]:
    """Indices of the liked and the disliked of four pictures with these utilities."""

    def choose(a: int, b: int) -> tuple[int, int]:
        first = rng.random() < expit(sharpness * (utilities[a] - utilities[b]))
        return (a, b) if first else (b, a)

    (won, lost), (won2, lost2) = choose(0, 1), choose(2, 3)
    return choose(won, won2)[0], choose(lost, lost2)[1]


RATINGS = (1, 2, 3, 4, 5)
LIKED_RATINGS, DISLIKED_RATINGS = (4, 5), (1, 2)
_CUTS = np.array([-0.35, -0.1, 0.2, 0.5])
"""Utilities at which the next higher rating becomes as probable as those below it."""


def rating_probabilities(utilities: FloatArray, sharpness: float | FloatArray) -> FloatArray:
    """Probabilities (..., 5) of the ratings of pictures with these utilities (...).

    Proportional odds: P(rating >= k) = 1 / (1 + exp(-s (u - c_k))) with sharpness s (McCullagh 1980, J. R. Stat. Soc. B
    42:109).
    """
    scale = np.asarray(sharpness, dtype=np.float64)[..., None]
    above = expit(scale * (utilities[..., None] - _CUTS))
    edges = np.concatenate([np.ones_like(above[..., :1]), above, np.zeros_like(above[..., :1])], axis=-1)
    return np.asarray(edges[..., :-1] - edges[..., 1:])


def rate(utility: float, sharpness: float, rng: np.random.Generator) -> int:
    """A rating, 1 to 5, of a picture with this utility."""
    return int(rng.choice(RATINGS, p=rating_probabilities(np.array(utility), sharpness)))


def log_likelihood(
    liked: FloatArray,
    disliked: FloatArray,
    others: FloatArray,
    sharpness: float | FloatArray,
) -> FloatArray:
    """Log-likelihood of judgments under `judge_four`, up to a constant that no taste changes.

    Args:
        liked: utilities (..., J) of the liked pictures; leading dimensions are tastes.
        disliked: utilities (..., K) of the disliked pictures of the same judgments; where J and K differ, the two
            sides are taken as judgments of their own, of which only one side is known.
        others: utilities (..., J or 1, 2, M) of M random pairs of pictures: those of the four that the history does not
            show.
        sharpness: inverse temperature of the choices, (...).

    Returns:
        The sum over the judgments (...); the unseen pictures are averaged out over the M pairs.
    """
    scale = np.asarray(sharpness, dtype=np.float64)[..., None, None]
    x, y = scale * liked[..., :, None], scale * disliked[..., :, None]
    c, d = scale * others[..., 0, :], scale * others[..., 1, :]
    x_c, x_d, c_d = _odds(x, c), _odds(x, d), _odds(c, d)
    if liked.shape[-1] == disliked.shape[-1]:
        # One in three times x and y meet in a heat; else each meets c or d there, and the other of these afterwards.
        c_y, d_y = _odds(c, y), _odds(d, y)
        met = _odds(x, y) * (c_d * x_c * d_y + (1 - c_d) * x_d * c_y)
        apart = x_c * d_y * x_d * c_y
        return _log_mean(met / 3 + apart * 2 / 3)
    # One side alone: a heat against any picture, then the winner (or loser) of the other heat.
    best = _log_mean((x_c + x_d) / 2) + _log_mean(c_d * x_c + (1 - c_d) * x_d)
    c_y, d_y = _odds(c, y), _odds(d, y)
    worst = _log_mean((c_y + d_y) / 2) + _log_mean(c_d * d_y + (1 - c_d) * c_y)
    return best + worst


def log_likelihood_of_pairs(
    liked: FloatArray, disliked: FloatArray, others: FloatArray, sharpness: FloatArray
) -> FloatArray:
    """The same (N,) of pairs, where each two of `others` are equally probable.

    Exact for pictures that have one of M utilities, and several times faster: c and d below are the same M.

    Args:
        liked: utilities (N, J).
        disliked: utilities (N, J).
        others: utilities (N, J or 1, M).
        sharpness: (N,).
    """
    x, y, c = (_strengths(utilities, sharpness) for utilities in (liked[..., None], disliked[..., None], others))
    x_c, c_y = x / (x + c), c / (c + y)
    # E c_d x_c d_y is what both terms of `met` are on average.
    path = (x_c * (_beats(c) @ c_y[..., None])[..., 0]).mean(axis=-1) / c.shape[-1]
    met = (x / (x + y))[..., 0] * 2 * path
    apart = (x_c * c_y).mean(axis=-1) ** 2
    return np.asarray(np.log(met / 3 + apart * 2 / 3 + 1e-12).sum(axis=-1))


def log_likelihood_of_likes(liked: FloatArray, others: FloatArray, sharpness: FloatArray) -> FloatArray:
    """The same (N,) of likes alone, or of dislikes alone where all utilities have the opposite sign.

    Args:
        liked: utilities (N, J).
        others: utilities (N, J or 1, M).
        sharpness: (N,).
    """
    x, c = _strengths(liked[..., None], sharpness), _strengths(others, sharpness)
    x_c = x / (x + c)
    final = 2 * (_beats(c).mean(axis=-1) * x_c).mean(axis=-1)
    return np.asarray((np.log(x_c.mean(axis=-1) + 1e-12) + np.log(final + 1e-12)).sum(axis=-1))


def _strengths(utilities: FloatArray, sharpness: FloatArray) -> FloatArray:
    """Strengths by Bradley and Terry: P(a beats b) = a / (a + b)."""
    return np.asarray(np.exp(np.clip(sharpness[:, None, None] * utilities, -700, 700)))


def _beats(strengths: FloatArray) -> FloatArray:
    """The probability (..., M, M) that each of M pictures beats each."""
    return np.asarray(strengths[..., :, None] / (strengths[..., :, None] + strengths[..., None, :]))


def log_likelihood_of_ratings(
    utilities: FloatArray, others: FloatArray, ratings: IntArray, sharpness: FloatArray
) -> FloatArray:
    """Log-likelihood (N,) of ratings (J,) that are all liked or all disliked.

    Every slot of a history holds the first picture that was rated so, hence P(rating) / P(such a rating).

    Args:
        utilities: of the rated pictures, (N, J).
        others: of random pictures, (N, J or 1, M).
        sharpness: (N,).
    """
    if not len(ratings):
        return np.zeros(len(utilities))
    given = np.take_along_axis(
        rating_probabilities(utilities, sharpness[:, None]),
        np.broadcast_to(ratings - 1, utilities.shape)[..., None],
        axis=-1,
    )[..., 0]
    scale = sharpness[:, None, None]
    if ratings[0] in LIKED_RATINGS:
        anywhere = _odds(scale * others, scale * _CUTS[LIKED_RATINGS[0] - 2]).mean(axis=-1)
    else:
        anywhere = _odds(scale * _CUTS[DISLIKED_RATINGS[-1] - 1], scale * others).mean(axis=-1)
    return np.asarray((np.log(given + 1e-12) - np.log(anywhere + 1e-12)).sum(axis=-1))


def _odds(a: FloatArray, b: FloatArray) -> FloatArray:
    """The probability that `a` is chosen over `b`; several times faster than `scipy.special.expit`."""
    probability: FloatArray = 1 / (1 + np.exp(np.minimum(b - a, 700.0)))
    return probability


def _log_mean(probability: FloatArray) -> FloatArray:
    total: FloatArray = np.log(probability.mean(axis=-1) + 1e-12).sum(axis=-1)
    return total
