"""What every metric must say to every nuisance, by its stated purpose; written down before it was measured.

A claim is of the metric's raw value, whatever its direction. Metrics of which nothing is claimed are measured all the
same. Names that are not registered are left out and listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .nuisances import COPIES, PROMPT

Claim = Literal["fall", "rise", "stay", "none"]
Verdict = Literal["holds", "fails", "open", "no claim"]
TOLERANCE = 0.2
"""Of a metric's unit: what `stay` allows. The unit is the standard deviation over all pictures, for metrics over sets
the difference between strengths 0 and 1."""


@dataclass(frozen=True)
class Expectation:
    """What a metric's value must do under the strongest level of a nuisance, and why."""

    claim: Claim
    reason: str


Row = Mapping[str, Expectation]


def _row(blur: Expectation, jpeg: Expectation, noise: Expectation, palette: Expectation, prompt: Expectation,
         copies: Expectation) -> Row:  # fmt: skip
    return {"blur": blur, "jpeg": jpeg, "noise": noise, "palette": palette, PROMPT: prompt, COPIES: copies}


def fall(reason: str) -> Expectation:
    return Expectation("fall", reason)


def rise(reason: str) -> Expectation:
    return Expectation("rise", reason)


def stay(reason: str) -> Expectation:
    return Expectation("stay", reason)


def none(reason: str) -> Expectation:
    return Expectation("none", reason)


_MILD = none("whether compression at this size hides what the metric looks at is not known beforehand")
_WORSE_SET = {
    "blur": rise("no reference is blurred"),
    "jpeg": rise("no reference is compressed"),
    "noise": rise("no reference is noisy"),
    "palette": rise("turned hues leave the world's palettes"),
    PROMPT: stay("which user got which prompt does not change the set of prompts shown"),
    COPIES: fall("references are likes of the same users, so likes are nearer to them than drawings"),
}
_BETTER_SET = {
    "blur": fall("blurred pictures lie outside the references' neighbourhoods"),
    "jpeg": fall("compressed pictures lie outside the references' neighbourhoods"),
    "noise": fall("noisy pictures lie outside the references' neighbourhoods"),
    "palette": fall("turned hues leave the world's palettes"),
    PROMPT: stay("which user got which prompt does not change the set of prompts shown"),
    COPIES: rise("references are likes of the same users, so likes are nearer to them than drawings"),
}

EXPECTATIONS: Mapping[str, Row] = {
    "utility": _row(
        fall("outlines and fills are tastes; what is blurred away is not there to be liked"),
        _MILD,
        fall("fills and outlines drown in noise"),
        fall("palette and temperature are tastes, and half the users' best ones are turned away"),
        stay("tastes are of style; a prompt names content"),
        none("what a like is worth depends on what it was chosen from"),
    ),
    "prompt-fidelity": _row(
        fall("objects lose their shape"),
        _MILD,
        fall("objects drown in noise"),
        stay("a prompt names shapes and places, no colours"),
        fall("another prompt is shown"),
        fall("likes show other prompts than the one asked for"),
    ),
    "clip-score": _row(
        fall("objects lose their shape"),
        _MILD,
        fall("objects drown in noise"),
        stay("a prompt names shapes and places, no colours"),
        fall("another prompt is shown"),
        fall("likes show other prompts than the one asked for"),
    ),
    "preference": _row(
        fall("what its user likes is no longer seen"),
        _MILD,
        fall("what its user likes drowns in noise"),
        fall("palettes that its user likes are turned away"),
        fall("a picture of another prompt is not what was asked for, however well it fits the user"),
        fall("a like shows another prompt than the one asked for"),
    ),
    "fid": _WORSE_SET,
    "kid": _WORSE_SET,
    "mmd": _WORSE_SET,
    "cmmd": _WORSE_SET,
    "density": _BETTER_SET,
    "coverage": _BETTER_SET,
    "clip-i": _row(
        fall("no like is blurred"),
        _MILD,
        fall("no like is noisy"),
        fall("likes of one user share palettes, which are turned away"),
        none("content counts in it, and no prompt asked for is among the likes"),
        rise("a like is as near to the likes as a picture can be"),
    ),
    "style": _row(
        fall("no like is blurred"),
        _MILD,
        fall("no like is noisy"),
        fall("likes of one user share palettes, which are turned away"),
        stay("style is apart from content"),
        rise("a like has the style of the likes"),
    ),
    "copy-rate": _row(
        stay("spoiling a picture that is no copy makes none of it"),
        stay("spoiling a picture that is no copy makes none of it"),
        stay("spoiling a picture that is no copy makes none of it"),
        stay("spoiling a picture that is no copy makes none of it"),
        stay("a picture of another prompt is drawn anew as well"),
        rise("it counts exactly these"),
    ),
    "diversity": _row(
        fall("blurred pictures look more alike"),
        _MILD,
        none("noise adds differences that are none of content or style"),
        stay("all hues turn together"),
        none("it depends on how often two pictures get the same prompt"),
        none("it depends on how unlike a user's likes are"),
    ),
}


def verdict(claim: Claim, effect: Mapping[str, float | None], unit: float | None) -> Verdict:
    """What an effect with its interval (`value`, `low`, `high`) says to a claim.

    A fall holds where the whole interval is below zero, and fails where all of it is above minus the tolerance: so
    small a fall is none. Staying holds where the whole interval is within the tolerance, and fails where the value is
    not and the interval is clear of zero. What is neither is open: more pictures would tell.

    Example:
        >>> verdict("stay", {"value": 0.01, "low": -0.01, "high": 0.03}, 1.0)
        'holds'
        >>> verdict("rise", {"value": 0.01, "low": -0.01, "high": 0.03}, 1.0)
        'fails'
    """
    value, low, high = (effect[key] for key in ("value", "low", "high"))
    if claim == "none":
        return "no claim"
    if value is None or low is None or high is None or unit is None:
        return "open"
    within = TOLERANCE * unit
    if claim == "stay":
        fails = abs(value) > within and not low <= 0 <= high
        return "holds" if max(-low, high) <= within else "fails" if fails else "open"
    if claim == "rise":
        low, high = -high, -low
    return "holds" if high < 0 else "fails" if low > -within else "open"
