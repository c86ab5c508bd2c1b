"""What every metric must do under every nuisance, by its stated purpose; written down before it was measured.

A claim is of the metric's raw value, whatever its direction. Metrics of which nothing is claimed are measured all the
same. Names that are not registered are left out and listed. A claim that was revised after a measurement contradicted
it keeps what it stated before, and the report lists it, as it does the rules that were changed since
(`changed_rules.txt`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .claims import Expectation, fall, none, rise, stay
from .nuisances import COPIES, PALETTE, PROMPT

RANKED_BY = "preference"
"""The metric that must rank methods as the true probability of being liked does; no other has to."""
WANTED_TAU = 0.85
"""Kendall's tau-b with that probability over methods and controls."""
RIVAL = "clip-i"
"""The usual cosine, which it must rank better than."""
TRIVIAL, HONEST = "copy", ("truth", "ours")
"""A control that draws nothing of its own, and the methods that must rank above it."""
Expectations = Mapping[str, Expectation]
"""Nuisance to what is expected of one metric."""


def by_nuisance(
    *,
    blur: Expectation,
    jpeg: Expectation,
    noise: Expectation,
    hue: Expectation,
    palette: Expectation,
    prompt_dropped: Expectation,
    copies: Expectation,
) -> Expectations:
    """What is expected of one metric: a claim for each nuisance."""
    return {
        "blur": blur,
        "jpeg": jpeg,
        "noise": noise,
        "hue": hue,
        PALETTE: palette,
        PROMPT: prompt_dropped,
        COPIES: copies,
    }


_MILD = none("whether compression at this size hides what the metric looks at is not known beforehand")
_WORLD_SET = none("the likes have all palettes too, but not equally often")
_WORSE_SET = by_nuisance(
    blur=rise("no reference is blurred"),
    jpeg=rise("no reference is compressed"),
    noise=rise("no reference is noisy"),
    hue=rise("turned hues leave the world's palettes"),
    palette=_WORLD_SET,
    prompt_dropped=stay("which user got which prompt does not change the set of prompts shown"),
    copies=fall("references are likes of the same users, so likes are nearer to them than drawings"),
)
_BETTER_SET = by_nuisance(
    blur=fall("blurred pictures lie outside the references' neighbourhoods"),
    jpeg=fall("compressed pictures lie outside the references' neighbourhoods"),
    noise=fall("noisy pictures lie outside the references' neighbourhoods"),
    hue=fall("turned hues leave the world's palettes"),
    palette=_WORLD_SET,
    prompt_dropped=stay("which user got which prompt does not change the set of prompts shown"),
    copies=rise("references are likes of the same users, so likes are nearer to them than drawings"),
)
_FOREIGN = "its network learned from the world's palettes alone; what it sees in others is not known beforehand"
_CHOSEN = "a like was chosen for its user's taste, and pictures of strength 0 were not"
_ADHERENCE = by_nuisance(
    blur=fall("objects lose their shape"),
    jpeg=_MILD,
    noise=fall("objects drown in noise"),
    hue=none(_FOREIGN, before="must stay: a prompt names shapes and places, no colours"),
    palette=stay("a prompt names shapes and places, no colours"),
    prompt_dropped=fall("another prompt is shown"),
    copies=fall("likes show other prompts than the one asked for"),
)
_UNTOUCHED = stay("spoiling a picture that is no copy makes none of it")

EXPECTATIONS: Mapping[str, Expectations] = {
    "utility": by_nuisance(
        blur=fall("outlines and fills are tastes; what is blurred away is not there to be liked"),
        jpeg=_MILD,
        noise=fall("fills and outlines drown in noise"),
        hue=fall("palette and temperature are tastes, and half the users' best ones are turned away"),
        palette=fall("palette and temperature are tastes, and half the users' best ones are exchanged"),
        prompt_dropped=stay("tastes are of style; a prompt names content"),
        copies=rise(_CHOSEN, against=0.0, before="no claim: what a like is worth depends on what it was chosen from"),
    ),
    "prompt-fidelity": _ADHERENCE,
    "clip-score": _ADHERENCE,
    "preference": by_nuisance(
        blur=fall("what its user likes is no longer seen"),
        jpeg=_MILD,
        noise=fall("what its user likes drowns in noise"),
        hue=fall("palettes that its user likes are turned away"),
        palette=fall("palettes that its user likes are exchanged for others"),
        prompt_dropped=fall("a picture of another prompt is not what was asked for, however well it fits the user"),
        copies=fall("a like shows another prompt than the one asked for"),
    ),
    "fid": _WORSE_SET,
    "kid": _WORSE_SET,
    "mmd": _WORSE_SET,
    "cmmd": _WORSE_SET,
    "density": _BETTER_SET,
    "coverage": _BETTER_SET,
    "clip-i": by_nuisance(
        blur=fall("no like is blurred"),
        jpeg=_MILD,
        noise=fall("no like is noisy"),
        hue=fall("likes of one user share palettes, which are turned away"),
        palette=fall("likes of one user share palettes, which are exchanged for others"),
        prompt_dropped=none("content counts in it, and no prompt asked for is among the likes"),
        copies=rise(
            _CHOSEN, against=0.0, before="must rise, from strength 0.5: as near to the likes as a picture can be"
        ),
    ),
    "style": by_nuisance(
        blur=fall("no like is blurred"),
        jpeg=_MILD,
        noise=fall("no like is noisy"),
        hue=fall("likes of one user share palettes, which are turned away"),
        palette=fall("likes of one user share palettes, which are exchanged for others"),
        prompt_dropped=stay("style is apart from content"),
        copies=rise(_CHOSEN, against=0.0, before="must rise, from strength 0.5: a like has the style of the likes"),
    ),
    "copy-rate": by_nuisance(
        blur=_UNTOUCHED,
        jpeg=_UNTOUCHED,
        noise=_UNTOUCHED,
        hue=_UNTOUCHED,
        palette=stay("a picture in other colours is no copy either"),
        prompt_dropped=stay("a picture of another prompt is drawn anew as well"),
        copies=rise("it counts exactly these"),
    ),
    "diversity": by_nuisance(
        blur=fall("blurred pictures look more alike"),
        jpeg=_MILD,
        noise=none("noise adds differences that are none of content or style"),
        hue=none(_FOREIGN, before="must stay: all hues turn together"),
        palette=none(
            "of two pictures of a case 28 % share a palette at strength 0.5, exchanged at random 17 %: hardly fewer",
            before="must rise: two pictures of a case share their user's palette; exchanged at random they seldom do",
        ),
        prompt_dropped=none("it depends on how often two pictures get the same prompt"),
        copies=none("it depends on how unlike a user's likes are"),
    ),
}


def changed_rules() -> list[str]:
    """The rules of the validation that were changed after its first measurement, one sentence or two per rule."""
    return Path(__file__).with_name("changed_rules.txt").read_text(encoding="utf-8").splitlines()
