"""A contact sheet of users: what one user of each kind liked and disliked, and what would be best for them.

`python -m prefbench.suites.picturebook.users.sheets docs/users.png` draws it for the second world.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Pixels
from prefbench.suites.picturebook.users.population import SimulatedUser, population
from prefbench.suites.picturebook.users.worlds import SECOND, World
from prefbench.suites.picturebook.world.axes import STYLE_NAMES
from prefbench.suites.picturebook.world.prompts import Prompt
from prefbench.suites.picturebook.world.render import SIZE, render
from prefbench.suites.picturebook.world.sheets import contact_sheet

_SHOWN = 8
"""Judgments of a side; of drifting users, whose taste has changed, every second of twice as many."""
_BLANK: NDArray[np.uint8] = np.full((SIZE, SIZE, 3), 255, np.uint8)


def kinds_sheet(path: Path, world: World = SECOND) -> None:
    """One row for the first test user of each kind, kinds in the world's order.

    From left to right: liked and disliked pictures, oldest first, and the best picture for each of the user's prompts.
    """
    users = population("test", world)
    rows = [_row(next(user for user in users if user.kind == kind)) for kind, _ in world.kinds]
    contact_sheet([picture for row in rows for picture in row], path, columns=len(rows[0]), scale=2)


def _row(user: SimulatedUser) -> list[NDArray[np.uint8]]:
    judged = user.judged("method")
    step = 2 if user.kind == "drifting" else 1
    sides = [[one.pixels for one in side[: step * _SHOWN : step]] for side in (judged.liked, judged.disliked)]
    best = [_best_picture(user, prompt) for prompt in user.prompts()]
    return [*_padded(sides[0]), _BLANK, *_padded(sides[1]), _BLANK, *best]


def _padded(pictures: list[Pixels]) -> list[NDArray[np.uint8]]:
    return [*pictures, *[_BLANK] * _SHOWN][:_SHOWN]


def _best_picture(user: SimulatedUser, prompt: Prompt) -> Pixels:
    """What does not count for the user is as the first value of its axis."""
    best = dict.fromkeys(STYLE_NAMES, 0) | dict(prompt.fixed) | dict(user.taste_on(prompt.content).best(prompt.fixed))
    return render(prompt.content.scene([best[name] for name in STYLE_NAMES]), user.index)


if __name__ == "__main__":
    kinds_sheet(Path(sys.argv[-1]))
