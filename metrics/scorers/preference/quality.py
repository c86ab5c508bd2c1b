"""Measures the shipped scorer on held-out users, for `prefbench check weights preference`."""

from __future__ import annotations

from pathlib import Path

from prefbench.api import Suite
from prefbench.registry import load
from prefbench.score.figures import ScorerFigures
from prefbench.score.scorer_figures import measure
from prefbench.training.figures import QualityFigure

from .scorer import PreferenceScorer


def preference(folder: Path | None = None) -> list[QualityFigure]:
    """The scorer's figures on picturebook's test users, accuracy as a share of the best possible."""
    suite: Suite = load("suite", "picturebook")()
    return as_figures(measure(PreferenceScorer(folder=str(folder or "")), suite))


def as_figures(figures: ScorerFigures) -> list[QualityFigure]:
    """Quality figures with their floors.

    Chance for other users' histories is what the scorer knows without one: users share a part of their taste.
    """
    own, best = figures.within_user_accuracy.value or 0.0, figures.best_possible.value or 1.0
    above_none = max(0.0, (figures.permuted.value or 0.0) - max(0.5, figures.population.value or 0.0))
    return [
        QualityFigure("accuracy / best possible", own / best, 0.90, 0.95),
        QualityFigure("within-user AUC", figures.within_user_auc.value or 0.0, 0.80, 0.90),
        QualityFigure("above population, lower end", figures.above_population.low or 0.0, 0.0, 0.3),
        QualityFigure("above permuted users, lower end", figures.above_permuted.low or 0.0, 0.0, 0.3),
        QualityFigure("permuted users above no history", above_none, 0.03, 0.01, ceiling=True),
        QualityFigure("Brier score", figures.brier.value or 1.0, 0.2, 0.15, ceiling=True),
        QualityFigure("expected calibration error", figures.ece.value or 1.0, 0.06, 0.03, ceiling=True),
    ]
