"""What a history reveals: the posterior over tastes under the world's true choice model.

The prior is the world's own way of drawing users, the likelihood its own way of judging. The best picture for the
posterior mean of the utility is the best that anybody can expect to draw from the same history.
"""

from __future__ import annotations

from prefbench.suites.picturebook.users.chains import search
from prefbench.suites.picturebook.users.likelihood import HistoryStyles
from prefbench.suites.picturebook.users.posterior import Posterior
from prefbench.suites.picturebook.users.tempering import tempered
from prefbench.suites.picturebook.users.worlds import FIRST, World


def infer(history: HistoryStyles, *, world: World = FIRST, seed: int = 0) -> Posterior:
    """The posterior over tastes given what a history shows.

    By Markov chains in the first world, whose published numbers rest on them, and by tempered particles in all others.

    Args:
        seed: of all that is random. Histories with seeds of their own share no error, so intervals that draw users
            again hold the error of the inference too.
    """
    return search(history, seed=seed) if world == FIRST else tempered(history, world, seed=seed)
