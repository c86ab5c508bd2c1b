"""A scorer's card as a table: what it is, its measured figures, whom it may rank; and its reliability plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from prefbench.api import Grid, PrefbenchError, counted, fixed
from prefbench.files import atomic_file

from ..shared.cells import DASH

FIGURES: Mapping[str, str] = {
    "within_user_accuracy": "right on pairs of one prompt, unseen users, chance 0.5",
    "within_user_auc": "likes above dislikes over prompts, unseen users, chance 0.5",
    "population": "the same pairs without knowing the user; 0.5 where it refuses an empty history",
    "mismatched": "the same pairs, knowing another user",
    "permuted": "the same, over many permutations of users",
    "best_possible": "the same pairs, knowing the true taste",
    "above_population": "accuracy above the population's, on the same pairs",
    "above_permuted": "accuracy above permuted users', on the same pairs",
    "brier": "mean squared error of P(liked); 0.25 knows nothing",
    "ece": "expected calibration error of P(liked), ten bins",
}
"""The figures of every measured scorer, and how to read them."""
OF_PEOPLE: Mapping[str, str] = {
    "vote": "what most others who judged both pictures chose",
    "above_vote": "accuracy above that vote",
    "crowd": "the best scorer here that knows no user",
    "above_crowd": "accuracy above that scorer",
    "again": "the same user, asked another time",
    "position_bias": "P(picture in the first place) - 0.5 over both orders",
    "disagreement": "pairs whose answer turns with the order; half right",
}
"""Figures that are shown where they could be measured."""
_STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True)
class MeasuredScorer:
    """A scorer's card as plain data, with its figures, which are None where they were not measured."""

    card: Mapping[str, Any]
    note: str = ""
    """Why figures are missing."""
    others: Sequence[Mapping[str, Any]] = ()
    """Its figures on other suites."""


def scorer_grid(scorer: MeasuredScorer) -> Grid:
    """A row per figure and a column per suite, so that made-up users and people stand side by side; notes below."""
    card, measured = scorer.card, [scorer.card, *scorer.others]
    people = [row for row in _rows(OF_PEOPLE, measured) if {*row[1:]} != {DASH}]
    blocks = [_rows(FIGURES, measured), people, _by_size(measured)]
    notes = [
        f"{card['summary']} ({card['licence']}).",
        f"encoders: {', '.join(card['encoders']) or 'none'}; trained on {', '.join(card['trained_on']) or 'nothing'}.",
        *(_stands_on(one) for one in measured if one.get("n_pairs")),
    ]
    if not card.get("n_pairs"):
        notes.append("not admitted to rankings.")
    notes += [*([scorer.note] if scorer.note else []), *card["caveats"]]
    suites = [f"{one['suite']} {one['split']}" for one in measured] if scorer.others else ["value"]
    header = ("figure", *(f"{suite} [95 %]" for suite in suites))
    return Grid(f"scorer {card['name']}", header, blocks, notes)


def _rows(figures: Mapping[str, str], measured: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each figure, with its value on each suite."""
    return [
        (f"{name.replace('_', ' ')}: {meaning}", *(_interval(one.get(name)) for one in measured))
        for name, meaning in figures.items()
    ]


def _by_size(measured: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each size of history."""
    known = [{one["judgments"]: one["accuracy"] for one in figures.get("by_size") or ()} for figures in measured]
    sizes = sorted({size for own in known for size in own})
    return [
        (f"accuracy with {size} pairs or judgments", *(_interval(own.get(size)) for own in known)) for size in sizes
    ]


def _stands_on(card: Mapping[str, Any]) -> str:
    pairs = f"{counted(card['n_pairs'], 'pair')} of {counted(card['n_users'], 'user')}"
    crowd = f"; best scorer without a user: {card['crowd_scorer']}" if card.get("crowd_scorer") else ""
    admitted = "admitted" if card["admitted"] else "not admitted"
    return f"measured on {pairs} of {card['suite']} {card['split']}: {admitted} to rankings there{crowd}."


def _interval(figure: Mapping[str, float | None] | None) -> str:
    if figure is None or figure["value"] is None:
        return DASH
    return f"{fixed(figure['value'], 3)} [{fixed(figure['low'], 3)}, {fixed(figure['high'], 3)}]"


def draw_reliability(scorer: MeasuredScorer, path: Path) -> Path:
    """Writes a PNG: P(liked) as predicted against the share of judgments that were likes; dots by their number.

    Raises:
        PrefbenchError: the scorer was not measured.
    """
    card = scorer.card
    bins = card.get("reliability")
    if not bins:
        raise PrefbenchError(f"scorer {card['name']!r} has no reliability to draw; it was not measured")
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.2, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#666666", linewidth=0.8)
        x, y, n = ([one[name] for one in bins] for name in ("said", "true", "n"))
        axes.plot(x, y, color="#0b6fae", linewidth=1.2, zorder=2)
        axes.scatter(x, y, s=[4 + 60 * one / max(n) for one in n], color="#0b6fae", zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="P(liked) said", ylabel="share liked")
        axes.set_title(f"{card['name']}, {sum(n)} judgments\nECE {_interval(card['ece'])}", fontsize=8, loc="left")
        axes.set_aspect("equal")
        with atomic_file(path) as temporary:
            # Without the version of matplotlib, so that the same numbers give the same file.
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
    return path
