"""References that show what cases ask for: the users' prompts in styles that they liked, and in the crowd's."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from prefbench.suites.picturebook.users.population import JudgedScene, SimulatedUser
from prefbench.suites.picturebook.users.taste import common_taste
from prefbench.suites.picturebook.world.axes import STYLE_NAMES
from prefbench.suites.picturebook.world.prompts import Prompt

PER_CASE = 4
"""References of one case: of five cases as many as a user has likes that only scorers see."""


class Shown(NamedTuple):
    """A scene for a prompt; it is drawn without defects."""

    prompt: Prompt
    entry: JudgedScene


def in_liked_styles(user: SimulatedUser) -> Iterator[Shown]:
    """Each case in styles of pictures that the user liked and only scorers see, of subjects of the same taste.

    One like after another, so that each is used about equally often.
    """
    liked = user.judged("scorer").liked
    for case, prompt in enumerate(user.prompts()):
        taste = user.taste_on(prompt.content)
        alike = [entry for entry in liked if user.taste_on(entry.scene.content) is taste] or liked
        for i in range(PER_CASE):
            style = alike[(PER_CASE * case + i) % len(alike)].scene.style
            yield _shown(user, prompt, prompt.styled(style), f"liked/{i}")


def in_the_crowds_style(user: SimulatedUser) -> Iterator[Shown]:
    """Each case in the style that the common taste of all users likes best."""
    for prompt in user.prompts():
        best = common_taste().best(prompt.fixed)
        for i in range(PER_CASE):
            yield _shown(user, prompt, tuple(best[name] for name in STYLE_NAMES), f"crowd/{i}")


def _shown(user: SimulatedUser, prompt: Prompt, style: tuple[int, ...], purpose: str) -> Shown:
    """With a seed of its own, by what it is for."""
    seed = zlib.crc32(f"{user.seed}/{user.id}/{prompt.text}/{purpose}".encode()) >> 1
    return Shown(prompt, JudgedScene(prompt.content.scene(style), seed))
