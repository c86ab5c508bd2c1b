"""Utilities of pictures as an instrument reads them: in all, and in the parts that are reported apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from prefbench.api import FloatArray
from prefbench.suites.picturebook.users.population import SimulatedUser
from prefbench.suites.picturebook.users.quality import expected_severity
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Taste, common_taste
from prefbench.suites.picturebook.users.worlds import World
from prefbench.suites.picturebook.world.axes import AXIS, Group
from prefbench.suites.picturebook.world.defects import DEFECT_NAMES
from prefbench.suites.picturebook.world.prompts import Prompt, Word

Read = Mapping[str, FloatArray]
"""Probabilities (N, values) for each axis."""


def parts_of_utility(world: World) -> tuple[str, ...]:
    """What utilities are reported in: groups of axes, and in worlds that have them taste in common and defects."""
    shared = ("crowd", "own") if world.crowd > 0 else ()
    return (*TASTE_GROUPS, *shared, *(("quality",) if world.quality > 0 else ()))


def utilities(user: SimulatedUser, prompts: Sequence[Prompt], read: Read) -> Mapping[str, FloatArray]:
    """Expected utilities (N,) of pictures to a user: `total`, and one entry for each part.

    What counts is the user's taste on what the prompt names, less what defects cost the user. An axis that the prompt
    names is taken as the prompt says, whatever was drawn there: else it would pay to ignore prompts.

    `crowd` is the utility of the common taste alone and `own` that of the rest, each normalised for itself as groups of
    axes are; `quality` is what defects cost. NaN where a part cannot be told: all styles are equal in it, or the
    instrument reads no defects.
    """
    parts = {name: np.full(len(prompts), np.nan) for name in ("total", *parts_of_utility(user.world))}
    alike: dict[tuple[int, Word | None], list[int]] = {}
    for row, prompt in enumerate(prompts):
        alike.setdefault((id(user.taste_on(prompt.content)), prompt.word), []).append(row)
    for rows in alike.values():
        of_rows = _of_one_prompt(user, prompts[rows[0]], {axis: values[rows] for axis, values in read.items()})
        for name, values in of_rows.items():
            parts[name][rows] = values
    return parts


def _of_one_prompt(user: SimulatedUser, prompt: Prompt, read: Read) -> dict[str, FloatArray | float]:
    """The same of pictures whose prompts name the same word and meet the same taste."""
    taste, asked = user.taste_on(prompt.content), as_asked(prompt, read)
    cost = user.care * expected_severity(read)
    parts: dict[str, FloatArray | float] = {"total": taste.of_probabilities(asked) - cost}
    parts |= {group: _of_group(taste, group, asked) for group in TASTE_GROUPS}
    if user.world.crowd > 0:
        own = own_user(user).taste_on(prompt.content)
        parts |= {"crowd": common_taste().of_probabilities(asked), "own": own.of_probabilities(asked)}
    if user.world.quality > 0:
        parts["quality"] = -cost if any(name in read for name in DEFECT_NAMES) else np.nan
    return parts


def _of_group(taste: Taste, group: Group, read: Read) -> FloatArray | float:
    try:
        own = taste.group(group)
    except ValueError:  # the group has no weight in this world, so there is no best style to normalise by
        return np.nan
    return own.of_probabilities(read)


def as_asked(prompt: Prompt, read: Read) -> Read:
    """Probabilities with certainty of what the prompt names."""
    n = len(next(iter(read.values())))
    return {**read, **{axis: np.tile(np.eye(len(AXIS[axis]))[value], (n, 1)) for axis, value in prompt.fixed.items()}}


@lru_cache(maxsize=4096)
def own_user(user: SimulatedUser) -> SimulatedUser:
    """The same user without what all have in common."""
    return replace(user, world=user.world.turned(crowd=0.0))
