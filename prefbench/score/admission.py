"""Whether a metric may rank a method: figures of its scorer, shared encoders, pictures that its encoders know."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from prefbench.api import PairScorer, PrefbenchError, ScoreHeader, Scorer, ScorerRecord, fixed
from prefbench.files import WEIGHTS, read_plain
from prefbench.score.figures import checked_figures, kept_figures, read_kept

logger = logging.getLogger(__name__)


def stored(scorer: Scorer | PairScorer, suite: str, digest: str = "") -> dict[str, Any] | None:
    """The figures of this scorer on this suite: of its shipped card, or kept on this machine; None without any.

    Args:
        scorer: whose they are.
        suite: its name.
        digest: of the suite; figures of another suite of this name are passed over.
    """
    of_suite = (figures for figures in measured(scorer) if figures["suite"] == suite)
    return next((one for one in of_suite if not digest or one.get("digest") in ("", None, digest)), None)


def measured(scorer: Scorer | PairScorer) -> list[dict[str, Any]]:
    """Everything measured of this scorer with its present weights: what was kept here, the latest first, then its card.

    Raises:
        PrefbenchError: its weights are absent, so that it cannot be told whose figures these are; or the card is
            damaged.
    """
    every = kept_figures(scorer.card.name, "*")
    paths = sorted(every.parent.glob(every.name), key=lambda one: one.stat().st_mtime)[::-1]
    records = [*(_kept(path) for path in paths), _shipped(WEIGHTS / scorer.card.name / "card.json", scorer.id)]
    return [figures for figures in records if figures is not None and figures["scorer"] == scorer.id]


def _kept(path: Path) -> dict[str, Any] | None:
    """Figures that were kept on this machine; what cannot be relied on is named and left out, as if it was deleted."""
    try:
        return read_kept(path)
    except FileNotFoundError:
        return None
    except PrefbenchError as error:
        logger.warning("%s; it is left out: delete it, or measure the scorer again", error)
        return None


def _shipped(card: Path, scorer: str) -> dict[str, Any] | None:
    """The figures of a scorer on the card of its weights; None where it has none."""
    try:
        figures = from_json(read_plain(card)).get("figures", {})
        return checked_figures(figures) if figures.get("scorer") == scorer else None
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError) as error:
        raise PrefbenchError(f"{card} holds no figures that can be relied on ({error})") from None


def record(scorer: Scorer | PairScorer, suite: str, digest: str = "") -> ScorerRecord:
    """The record of a scorer in the header of its scores, with its figures on the suite of this name and digest."""
    card, figures = scorer.card, stored(scorer, suite, digest)
    return ScorerRecord(card.name, scorer.id, tuple(card.encoders), tuple(card.trained_on), figures)


def unranked(header: ScoreHeader, method: Mapping[str, Any]) -> str:
    """Why a metric must not rank a method, given the method's card; empty where it may.

    The reason is the scorer's where it has one, else that both look through one encoder, which the method may please
    without doing what is asked.
    """
    reason = "" if header.scorer is None else unranked_by(header.scorer, method)
    shared = sorted(set(header.encoders) & set(method.get("encoders", ())))
    return reason or (f"shares {', '.join(shared)} with {header.metric.partition('@')[0]}" if shared else "")


def foreign(cards: Sequence[Any], suite: str) -> tuple[str, ...]:
    """The encoders whose cards say that they know the pictures of another suite alone."""
    bound = [card for card in cards if getattr(card, "world", None) not in (None, suite)]
    return tuple(f"{card.name} knows {card.world} alone" for card in bound)


def unranked_by(scorer: ScorerRecord, method: Mapping[str, Any]) -> str:
    """Why a scorer must not rank a method, given the method's card; empty where it may."""
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
