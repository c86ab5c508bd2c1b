"""The dials of the world: what its users like, how they judge, and what they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from prefbench.api import PrefbenchError
from prefbench.suites.picturebook.world.axes import Group

UserKind = Literal[
    "consistent", "noisy", "two tastes", "interacting", "sparse", "subject-bound", "drifting", "mainstream"
]
Form = Literal["pairs", "ratings", "likes"]
"""How a user judges: the best and the worst of four pictures of one prompt, ratings of single pictures, or likes."""


@dataclass(frozen=True)
class World:
    """One world; two with equal dials have equal users.

    Args:
        crowd: share of the taste that all users have in common in their utility, 0 to 1.
        quality: what a strongly spoilt picture loses of the utility, in the mean over users.
        defects: share of judged pictures with a defect.
        drawn: share of judged pictures that a denoiser drew.
        noise: how much less sharply users choose than they could; 1 is the sharpness of `SHARPNESS`.
        kinds: shares of the kinds of user.
        forms: shares of the ways to judge.
        weights: shares of the groups of axes in the own part of the utility.
        worded_prompts: whether cases also ask for a value of an axis that prompts can name.
        prompted_references: whether references show the cases' own prompts in styles that the user likes; else they are
            the user's likes, which show other prompts.
        shifted: whether there are users from another prior, the split `shifted`.
    """

    crowd: float
    quality: float
    defects: float
    drawn: float
    noise: float
    kinds: tuple[tuple[UserKind, float], ...]
    forms: tuple[tuple[Form, float], ...]
    weights: tuple[tuple[Group, float], ...]
    worded_prompts: bool
    prompted_references: bool
    shifted: bool

    def turned(
        self,
        *,
        crowd: float | None = None,
        quality: float | None = None,
        noise: float | None = None,
        silent: float | None = None,
    ) -> World:
        """The same world with some dials at other values; None leaves one. `silent` is a share of `weights`.

        Raises:
            PrefbenchError: a share outside [0, 1], or noise under `LEAST_NOISE`.
        """
        shares = {"crowd": crowd, "quality": quality, "silent": silent}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise PrefbenchError(f"{name} must lie in [0, 1], got {share}")
        if noise is not None and not LEAST_NOISE <= noise < inf:
            raise PrefbenchError(f"noise must be at least {LEAST_NOISE:g} and finite, got {noise}")
        return replace(
            self,
            crowd=self.crowd if crowd is None else crowd,
            quality=self.quality if quality is None else quality,
            noise=self.noise if noise is None else noise,
            weights=self.weights if silent in (None, dict(self.weights)["silent"]) else _with_silent(silent),
        )

    def sharpness(self, kind: UserKind) -> float:
        """Inverse temperature of the Bradley-Terry choices of a kind of user, per unit of normalised utility."""
        return SHARPNESS[kind] / self.noise

    def share(self, kind: UserKind) -> float:
        """Share of the common taste in the utility of a kind of user."""
        follows = kind == "mainstream" and self.crowd > 0
        return 1 - (1 - self.crowd) * (_OWN_OF_MAINSTREAM if follows else 1.0)


SHARPNESS: Mapping[UserKind, float] = {
    "consistent": 12.0,
    "noisy": 4.0,
    "two tastes": 12.0,
    "interacting": 12.0,
    "sparse": 12.0,
    "subject-bound": 12.0,
    "drifting": 12.0,
    "mainstream": 12.0,
}
"""The sharpness of each kind of user where `noise` is 1."""
LEAST_NOISE = 0.02
"""With less, what is known of a choice is no longer told in double precision."""
_OWN_OF_MAINSTREAM = 0.2
"""What mainstream users have of an own taste, as a share of what others have."""

_WEIGHTS: tuple[tuple[Group, float], ...] = (("worded", 0.42), ("semantic", 0.23), ("silent", 0.35))


def _with_silent(share: float) -> tuple[tuple[Group, float], ...]:
    """Weights of which the silent axes have a share, and the other groups keep their proportion."""
    rest = sum(weight for group, weight in _WEIGHTS if group != "silent")
    return tuple((g, share if g == "silent" else (1 - share) * weight / rest) for g, weight in _WEIGHTS)


FIRST = World(
    crowd=0.0,
    quality=0.0,
    defects=0.0,
    drawn=0.0,
    noise=1.0,
    kinds=(("consistent", 0.5), ("noisy", 0.15), ("two tastes", 0.1), ("interacting", 0.15), ("sparse", 0.1)),
    forms=(("pairs", 1.0),),
    weights=_WEIGHTS,
    worded_prompts=False,
    prompted_references=False,
    shifted=False,
)
"""Every user has a taste of an own alone and judges flawless pictures of one prompt."""
SECOND = World(
    crowd=0.1,
    quality=0.15,
    defects=0.2,
    drawn=0.1,
    noise=1.5,
    kinds=(
        ("consistent", 0.3),
        ("noisy", 0.1),
        ("two tastes", 0.1),
        ("interacting", 0.1),
        ("sparse", 0.1),
        ("subject-bound", 0.1),
        ("drifting", 0.1),
        ("mainstream", 0.1),
    ),
    forms=(("pairs", 0.6), ("ratings", 0.2), ("likes", 0.2)),
    weights=_WEIGHTS,
    worded_prompts=True,
    prompted_references=True,
    shifted=True,
)
"""Users share a taste, mind defects, and judge in several ways."""
WORLDS: Mapping[str, World] = {"1": FIRST, "2": SECOND}
"""The worlds that have a name."""
