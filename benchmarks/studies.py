"""Made-up studies whose truth is known: tables of users x prompts, and images of two methods beside references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from prefbench.api import FeatureSet, FloatArray, Scores

EFFECTS = {
    "nothing but noise": (0.0, 0.0, 1.0),
    "users": (1.0, 0.0, 0.5),
    "prompts": (0.0, 0.5, 1.0),
    "prompts above all": (0.0, 1.0, 0.5),
    "both": (0.7, 0.3, 1.0),
    "a little of both": (0.3, 0.15, 1.0),
}
"""Standard deviations of users, of prompts and of a user's prompt."""
SKEWED = {
    "skewed users": (1.0, 0.0, 0.5),
    "skewed prompts": (0.0, 1.0, 0.5),
    "skewed users and prompts": (0.7, 0.7, 0.5),
}
"""The same of lognormal users and prompts."""
LIMIT_HELD, LIMIT_REJECTED = 0.92, 0.07
"""Intervals of 95 % hold at least so many truths; at most so many tests at 0.05 of equal methods reject."""
_AXES = ("effects", "users", "prompts")
_CHANCE = 0.001
"""A count misses a limit where rates that keep it would lead to such a count this seldom."""


def covers(hits: int, n: int, share: float = LIMIT_HELD) -> bool:
    """Whether so many of n intervals may hold the truth if at least `share` of all do."""
    return hits >= int(binom.ppf(_CHANCE, n, share))


def is_seldom(hits: int, n: int) -> bool:
    """Whether so many of n tests may reject if 7 % or fewer do."""
    return hits <= int(binom.ppf(1 - _CHANCE, n, LIMIT_REJECTED))


def faults(part: str, cell: Mapping[str, Any]) -> list[str]:
    """The limits that a cell of `benchmarks/rates.py` misses beyond chance; none of skewed effects that are marked."""
    if cell["effects"] in SKEWED and cell["marked"]:
        return []
    n, where = cell["n"], " ".join([part, *(str(cell[name]) for name in ("metric", *_AXES) if name in cell)])
    rejected = n - cell["held"] if part == "ranks" else cell.get("rejected", 0)
    held = [name for name in ("held", "held_values") if name in cell and part != "ranks"]
    low = [f"{where}: {name} {cell[name]} of {n}, under 92 %" for name in held if not covers(cell[name], n)]
    return low + [f"{where}: {rejected} of {n} rejected, over 7 %"] * (not is_seldom(rejected, n))


def study(rng: np.random.Generator, users: int, prompts: int, effects: str) -> FloatArray:
    """A table (users, prompts) of mean 0 with the effects of `EFFECTS` or `SKEWED`."""
    draw = lognormal if effects in SKEWED else normal
    of_user, of_prompt, of_cell = {**EFFECTS, **SKEWED}[effects]
    table = of_user * draw(rng, (users, 1)) + of_prompt * draw(rng, (1, prompts))
    return np.asarray(table + of_cell * rng.standard_normal((users, prompts)))


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Normal effects of mean 0 and variance 1."""
    return rng.standard_normal(shape)


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """exp of normal effects, shifted and scaled to mean 0 and variance 1; its skewness is 6.2."""
    return np.asarray((np.exp(rng.standard_normal(shape)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e))


def nothing(like: Scores) -> Scores:
    """The scores of a method that is always at 0."""
    return Scores(np.zeros(len(like)), like.users, like.prompts)


class SetStudy(NamedTuple):
    """Images of two methods for the same users and prompts, each prompt once, user by user; references of the users."""

    first: FeatureSet
    second: FeatureSet
    reference: FeatureSet


SET_EFFECTS = {"no prompts": (0.0, 0.0), "prompts": (0.5, 0.0), "prompts of each method": (0.5, 0.6)}
"""Standard deviations of prompts, and of what each method makes of a prompt by itself, in every feature."""
WIDTH, BY_USER, REFERENCE_PROMPTS, SHIFT = 8, 0.5, 36, 0.3
"""Features; their standard deviation between users; prompts of the references; how far both methods lie from these."""
_OF_REFERENCES = np.random.default_rng(36).standard_normal((REFERENCE_PROMPTS, WIDTH))
"""What each prompt of the references adds, in standard deviations: the same in every study, as a suite's are in every
run, since intervals are over users and over the prompts that are drawn."""


def set_study(
    rng: np.random.Generator, users: int, prompts: int, effects: tuple[float, float], *, farther: float = 0.0
) -> SetStudy:
    """Two methods of which the second lies by `farther` farther from the references, in every feature."""
    by_prompt, by_method = effects
    user, prompt = np.repeat(np.arange(users), prompts), np.tile(np.arange(prompts), users)
    of_users, of_prompts = (sd * rng.standard_normal((n, WIDTH)) for sd, n in ((BY_USER, users), (by_prompt, prompts)))
    user_names, prompt_names = np.char.add("u", user.astype(str)), np.char.add("p", prompt.astype(str))

    def method(shift: float) -> FeatureSet:
        own = by_method * rng.standard_normal((prompts, WIDTH))
        noise = rng.standard_normal((len(user), WIDTH))
        return FeatureSet(shift + of_users[user] + (of_prompts + own)[prompt] + noise, user_names, prompt_names)

    shown = rng.integers(0, REFERENCE_PROMPTS, len(user))
    likes: FloatArray = of_users[user] + by_prompt * _OF_REFERENCES[shown] + rng.standard_normal((len(user), WIDTH))
    reference = FeatureSet(likes, user_names, np.char.add("r", shown.astype(str)))
    return SetStudy(method(SHIFT), method(SHIFT + farther), reference)
