"""A scorer's card as a table: what it is, its measured figures, whom it may rank; and its reliability plot."""

from __future__ import annotations

from collections.abc import Mapping
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
    "population": "the same pairs without knowing the user",
    "mismatched": "the same pairs, knowing another user",
    "permuted": "the same, over many permutations of users",
    "best_possible": "the same pairs, knowing the true taste",
    "above_population": "accuracy above the population's, on the same pairs",
    "above_permuted": "accuracy above permuted users', on the same pairs",
    "brier": "mean squared error of P(liked); 0.25 knows nothing",
    "ece": "expected calibration error of P(liked), ten bins",
}
"""The figures of a scorer, and how to read them."""
_STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True)
class MeasuredScorer:
    """A scorer's card as plain data, with its figures, which are None where they were not measured."""

    card: Mapping[str, Any]
    note: str = ""
    """Why figures are missing."""


def scorer_grid(scorer: MeasuredScorer) -> Grid:
    """A row per figure, the card in the notes."""
    card = scorer.card
    figures = [(f"{name.replace('_', ' ')}: {meaning}", _interval(card[name])) for name, meaning in FIGURES.items()]
    notes = [
        f"{card['summary']} ({card['licence']}).",
        f"encoders: {', '.join(card['encoders']) or 'none'}; trained on {', '.join(card['trained_on'])}.",
    ]
    if card.get("n_pairs"):
        notes.append(
            f"measured on {counted(card['n_pairs'], 'pair')} of {counted(card['n_users'], 'user')}"
            f" of {card['suite']} {card['split']}."
        )
    notes.append("admitted to rankings." if card["admitted"] else "not admitted to rankings.")
    notes += [*([scorer.note] if scorer.note else []), *card["caveats"]]
    return Grid(f"scorer {card['name']}", ("figure", "value [95 %]"), [figures], notes)


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
