"""What every metric must say to every nuisance, by its stated purpose; written down before it was measured.

A claim is of the metric's raw value, whatever its direction. Metrics of which nothing is claimed are measured all the
same. Names that are not registered are left out and listed. A claim that was argued anew after a measurement had spoken
against it keeps what it said before, and the report lists it, as it does the rules that were changed since (`CHANGED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .nuisances import COPIES, PALETTE, PROMPT
from .scale import MIDDLE

Claim = Literal["fall", "rise", "stay", "none"]
Verdict = Literal["holds", "fails", "open", "no claim"]
TOLERANCE = 0.2
"""Of a metric's unit: an effect up to which a picture's value counts as unmoved."""
STAYS = 0.9
"""The level of the interval that must lie within the tolerance: two one-sided tests at 5 % (Schuirmann 1987, J.
Pharmacokinet. Biopharm. 15:657)."""


@dataclass(frozen=True)
class Expectation:
    """What a metric's value must do under the strongest level of a nuisance, and why."""

    claim: Claim
    reason: str
    against: float = MIDDLE
    """The strength of the unspoilt system that it is held against."""
    before: str = ""
    """What was claimed, and why, before it was measured; empty where that still stands."""


Row = Mapping[str, Expectation]


def fall(reason: str) -> Expectation:
    return Expectation("fall", reason)


def rise(reason: str) -> Expectation:
    return Expectation("rise", reason)


def stay(reason: str) -> Expectation:
    return Expectation("stay", reason)


def none(reason: str) -> Expectation:
    return Expectation("none", reason)


def _row(blur: Expectation, jpeg: Expectation, noise: Expectation, hue: Expectation, palette: Expectation,
         prompt: Expectation, copies: Expectation) -> Row:  # fmt: skip
    return {
        "blur": blur, "jpeg": jpeg, "noise": noise, "hue": hue, PALETTE: palette, PROMPT: prompt, COPIES: copies
    }  # fmt: skip


_MILD = none("whether compression at this size hides what the metric looks at is not known beforehand")
_WORLD_SET = none("the likes have all palettes too, but not equally often")
_WORSE_SET = _row(
    rise("no reference is blurred"),
    rise("no reference is compressed"),
    rise("no reference is noisy"),
    rise("turned hues leave the world's palettes"),
    _WORLD_SET,
    stay("which user got which prompt does not change the set of prompts shown"),
    fall("references are likes of the same users, so likes are nearer to them than drawings"),
)
_BETTER_SET = _row(
    fall("blurred pictures lie outside the references' neighbourhoods"),
    fall("compressed pictures lie outside the references' neighbourhoods"),
    fall("noisy pictures lie outside the references' neighbourhoods"),
    fall("turned hues leave the world's palettes"),
    _WORLD_SET,
    stay("which user got which prompt does not change the set of prompts shown"),
    rise("references are likes of the same users, so likes are nearer to them than drawings"),
)
_FOREIGN = none("its network learned from the world's palettes alone; what it sees in others is not known beforehand")
_CHOSEN = "a like was chosen for its user's taste, and pictures of strength 0 were not"
_ADHERENCE = _row(
    fall("objects lose their shape"),
    _MILD,
    fall("objects drown in noise"),
    replace(_FOREIGN, before="must stay: a prompt names shapes and places, no colours"),
    stay("a prompt names shapes and places, no colours"),
    fall("another prompt is shown"),
    fall("likes show other prompts than the one asked for"),
)
_UNTOUCHED = stay("spoiling a picture that is no copy makes none of it")

CHANGED = (
    "Over sets, effects were in units of the difference between strengths 0 and 1, and 0.2 of that counted as none: "
    "too little to be told with 100 users, and nothing at all for density and coverage. Now half of that difference "
    "does, and at most 0.2 standard deviations over systems.",
    "Over sets, intervals of effects were over users and prompts; now they keep the prompts, as the test by exchanged "
    "labels does.",
    "What must stay may in addition move by no more than half of the least effect that the metric must show, and is "
    "judged by the 90 % interval, as two one-sided tests at 5 % are; before by the 95 % one, by which fid would be "
    "open under dropped prompts.",
    "Dropped prompts were drawn at random, which changed how often each was shown; now cases exchange theirs.",
    "Hues turned to palettes that the world does not have were called palette; now palette is an exchange within it.",
    "False positives of metrics whose differences rest on rare exceptions are judged among copies; before they failed.",
    "Systems had one sample a case, so diversity had no value; now they have two, as runs do.",
)
"""Rules that were changed after the first measurement."""

EXPECTATIONS: Mapping[str, Row] = {
    "utility": _row(
        fall("outlines and fills are tastes; what is blurred away is not there to be liked"),
        _MILD,
        fall("fills and outlines drown in noise"),
        fall("palette and temperature are tastes, and half the users' best ones are turned away"),
        fall("palette and temperature are tastes, and half the users' best ones are exchanged"),
        stay("tastes are of style; a prompt names content"),
        replace(rise(_CHOSEN), against=0.0, before="no claim: what a like is worth depends on what it was chosen from"),
    ),
    "prompt-fidelity": _ADHERENCE,
    "clip-score": _ADHERENCE,
    "preference": _row(
        fall("what its user likes is no longer seen"),
        _MILD,
        fall("what its user likes drowns in noise"),
        fall("palettes that its user likes are turned away"),
        fall("palettes that its user likes are exchanged for others"),
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
        fall("likes of one user share palettes, which are exchanged for others"),
        none("content counts in it, and no prompt asked for is among the likes"),
        replace(
            rise(_CHOSEN), against=0.0, before="must rise, from strength 0.5: as near to the likes as a picture can be"
        ),
    ),
    "style": _row(
        fall("no like is blurred"),
        _MILD,
        fall("no like is noisy"),
        fall("likes of one user share palettes, which are turned away"),
        fall("likes of one user share palettes, which are exchanged for others"),
        stay("style is apart from content"),
        replace(rise(_CHOSEN), against=0.0, before="must rise, from strength 0.5: a like has the style of the likes"),
    ),
    "copy-rate": _row(
        _UNTOUCHED,
        _UNTOUCHED,
        _UNTOUCHED,
        _UNTOUCHED,
        stay("a picture in other colours is no copy either"),
        stay("a picture of another prompt is drawn anew as well"),
        rise("it counts exactly these"),
    ),
    "diversity": _row(
        fall("blurred pictures look more alike"),
        _MILD,
        none("noise adds differences that are none of content or style"),
        replace(_FOREIGN, before="must stay: all hues turn together"),
        replace(
            none(
                "of two pictures of a case 28 % share a palette at strength 0.5, exchanged at random 17 %: hardly fewer"
            ),
            before="must rise: two pictures of a case share their user's palette; exchanged at random they seldom do",
        ),
        none("it depends on how often two pictures get the same prompt"),
        none("it depends on how unlike a user's likes are"),
    ),
}


def verdict(
    claim: Claim, effect: Mapping[str, float | None], tolerance: float | None, *, weakest: float | None = None
) -> Verdict:
    """What an effect with its interval (`value`, `low`, `high`) says to a claim.

    A fall holds where the whole interval is below zero, and fails where all of it is above minus the tolerance: so
    small a fall is none. Staying holds where the whole interval is within the tolerance, or within half of the
    `weakest` effect that the metric must show where that is less; it fails where the value is not and the interval is
    clear of zero. What is neither is open: more pictures would tell.

    Example:
        >>> verdict("stay", {"value": 0.01, "low": -0.01, "high": 0.03}, 0.2)
        'holds'
        >>> verdict("rise", {"value": 0.01, "low": -0.01, "high": 0.03}, 0.2)
        'fails'
    """
    value, low, high = (effect[key] for key in ("value", "low", "high"))
    if claim == "none":
        return "no claim"
    if value is None or low is None or high is None or tolerance is None:
        return "open"
    if claim == "stay":
        within = tolerance if weakest is None else min(tolerance, weakest / 2)
        fails = abs(value) > within and not low <= 0 <= high
        return "holds" if max(-low, high) <= within else "fails" if fails else "open"
    if claim == "rise":
        low, high = -high, -low
    return "holds" if high < 0 else "fails" if low > -tolerance else "open"
