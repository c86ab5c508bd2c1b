"""Whether a metric may rank a method: figures of its scorer, shared encoders, pictures that its encoders know."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import ScoreHeader, Scorer, ScorerRecord, fixed
from prefbench.files import WEIGHTS, cache_folder


def stored(scorer: Scorer, suite: str) -> dict[str, Any] | None:
    """The figures of this scorer on this suite: of its shipped card, or kept on this machine; None without any."""
    return next((figures for figures in measured(scorer) if figures["suite"] == suite), None)


def measured(scorer: Scorer) -> list[dict[str, Any]]:
    """Everything measured of this scorer with its present weights: what was kept here, the latest first, then its card.

    Raises:
        PrefbenchError: its weights are absent, so that it cannot be told whose figures these are.
    """
    paths = sorted(figures_folder().glob(f"{scorer.card.name}-*.json"), key=lambda one: one.stat().st_mtime)[::-1]
    shipped = WEIGHTS / scorer.card.name / "card.json"
    records = [json.loads(path.read_text(encoding="utf-8"))["figures"] for path in (*paths, shipped) if path.is_file()]
    return [figures for figures in records if figures["scorer"] == scorer.id]


def figures_folder() -> Path:
    """The folder that `scorer_figures.keep` writes figures into."""
    return cache_folder() / "scorers"


def record(scorer: Scorer, suite: str) -> ScorerRecord:
    """The record of a scorer in the header of its scores, with its figures on the suite."""
    card = scorer.card
    return ScorerRecord(card.name, scorer.id, tuple(card.encoders), tuple(card.trained_on), stored(scorer, suite))


def unranked(header: ScoreHeader, method: Mapping[str, Any]) -> str:
    """Why a metric must not rank a method, given the method's card; empty where it may.

    The reason is the scorer's where it has one, else that both look through one encoder, which the method may please
    without doing what is asked.
    """
    reason = "" if header.scorer is None else _unranked_by_scorer(header.scorer, method)
    shared = sorted(set(header.encoders) & set(method.get("encoders", ())))
    return reason or (f"shares {', '.join(shared)} with {header.metric.partition('@')[0]}" if shared else "")


def foreign(cards: Sequence[Any], suite: str) -> tuple[str, ...]:
    """The encoders whose cards say that they know the pictures of another suite alone."""
    bound = [card for card in cards if getattr(card, "world", None) not in (None, suite)]
    return tuple(f"{card.name} knows {card.world} alone" for card in bound)


def _unranked_by_scorer(scorer: ScorerRecord, method: Mapping[str, Any]) -> str:
    name, figures = scorer.name, scorer.figures
    if figures is None:
        return f"{name} was never measured on this suite"
    if not figures["admitted"]:
        return f"{name} tells what unseen users like no better than without knowing them"
    if shared := sorted(set(scorer.encoders) & set(method.get("encoders", ()))):
        return f"shares {', '.join(shared)} with {name}"
    if name in method.get("selected_by", ()):
        return f"was selected or trained by {name}"
    if common := sorted(set(scorer.trained_on) & set(method.get("trained_on", ()))):
        return f"was trained on {', '.join(common)}, as {name} was"
    return ""


def shown(figures: Mapping[str, Any]) -> str:
    """One line for tables: how often it is right, beside the best possible and what knows no user."""
    own, best, crowd = (figures[name] for name in ("within_user_accuracy", "best_possible", "population"))
    value, low, high = (fixed(own[name], 3) for name in ("value", "low", "high"))
    parts = [f"right on {value} [{low}, {high}] of unseen users' pairs"]
    if best["value"] is not None:
        parts.append(f"best possible {fixed(best['value'], 3)}")
    return ", ".join([*parts, f"without a user {fixed(crowd['value'], 3)}"])
