"""Checks of what is written down: cards and constructors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from prefbench.api import (
    ImageMetric,
    Method,
    MethodCard,
    Metric,
    MetricCard,
    PairScorer,
    Scorer,
    ScorerCard,
    UserMetric,
)
from prefbench.api.metrics import Question
from prefbench.check.findings import fail
from prefbench.parameters import bind, declared

QUESTIONS = get_args(Question)
REACHABLE = ("suite", "truth", "reader")
"""What the card of a control can say that its code imports."""


def registered_name(plugin: object) -> str | None:
    """The name to hold a card to: none for classes, and for files, whose classes nobody registered."""
    return plugin if isinstance(plugin, str) and ":" not in plugin else None


def check_method_card(constructor: type[Method], registered: str | None) -> str:
    card = getattr(constructor, "card", None)
    check_card(card, MethodCard, registered)
    assert isinstance(card, MethodCard)
    if not card.licence.strip():
        fail("card leaves licence empty")
    if card.training not in ("none", "once", "per user"):
        fail(f"training is none, once or per user, got {card.training!r}")
    if card.training == "once" and not card.trained_on:
        fail("a method that is trained once must say in trained_on on what, as suite:split")
    odd = [data for data in card.trained_on if not all(data.partition(":"))]
    if odd:
        fail(f"trained_on names data as suite:split, got {odd[0]!r}")
    if strange := [what for what in card.imports if what not in REACHABLE]:
        fail(f"imports names {', '.join(REACHABLE)}, got {strange[0]!r}")
    if card.imports and not card.control:
        fail(f"imports {', '.join(card.imports)}, which only a control may: set control=True")
    return f"{card.name} {card.version}, training: {card.training}"


def check_defaults(constructor: type, given: Sequence[str]) -> str:
    """Every default must survive `-p name=value`, or a run could not be repeated from its description.

    Returns the values that are checked with: those `given` as `name=value`, and the other parameters' defaults.
    """
    allowed = declared(constructor)
    for name, (annotation, default) in allowed.items():
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        if default == ():  # an empty list has no text: it is what is left out
            continue
        parsed = bind(constructor, {name: text})[name]
        if parsed != default:
            fail(f"-p {name}={text} reads as {parsed!r}: annotate it with the type of its default ({annotation})")
    defaults = {name: str(default) for name, (_, default) in allowed.items()}
    used = defaults | dict(pair.partition("=")[::2] for pair in given)
    return ", ".join(f"{name}={value}" for name, value in used.items()) or "none"


def check_metric_card(metric: Metric, registered: str | None) -> str:
    """What the metric is, the class it has, and bounds that bound something."""
    card = metric.card
    check_card(card, MetricCard, registered)
    if not card.recipe.strip():
        fail("card leaves recipe empty")
    unit = "image" if isinstance(metric, ImageMetric) else "user" if isinstance(metric, UserMetric) else "set"
    if card.unit != unit:
        fail(f"unit is {card.unit!r}, but the class is one of {unit} metrics")
    for field, allowed in (("question", QUESTIONS), ("direction", ("up", "down"))):
        if getattr(card, field) not in allowed:
            fail(f"{field} is one of {', '.join(allowed)}, got {getattr(card, field)!r}")
    if foreign := [name for name in card.undirected if not name.startswith(f"{card.name}/")]:
        fail(f"undirected names {', '.join(foreign)}, which are no parts of {card.name}")
    low, high = card.bounds
    if low is not None and high is not None and not low < high:
        fail(f"bounds {card.bounds} hold no interval")
    if card.proportion and (low is None or high is None):
        fail("a proportion needs two bounds")
    return f"{card.id}, {card.direction}"


def check_scorer_card(constructor: type[Scorer | PairScorer], registered: str | None) -> str:
    """What the scorer is, where it comes from, and what is known of it."""
    card = getattr(constructor, "card", None)
    check_card(card, ScorerCard, registered)
    assert isinstance(card, ScorerCard)
    if not card.licence.strip():
        fail("card leaves licence empty")
    texts = {"encoders": card.encoders, "trained_on": card.trained_on, "caveats": card.caveats}
    texts |= {"scale": () if card.scale is None else (card.scale,)}
    blank = [field for field, held in texts.items() if not all(text.strip() for text in held)]
    if blank:
        fail(f"card holds an empty text in {', '.join(blank)}")
    kind = "personal" if card.personal else "of the crowd"
    return f"{card.name} {card.version}, {kind}, {'a probability' if card.scale is None else 'no probability'}"


def check_scorer_id(scorer: Scorer | PairScorer) -> str:
    """Name, version and a SHA-256 in one line, the same at every look."""
    card, identity = scorer.card, scorer.id
    if card.name not in identity or card.version not in identity or not re.search(r"[0-9a-f]{64}", identity):
        fail(f"the id names {card.name}, version {card.version} and a SHA-256, got {identity!r}")
    if "\n" in identity or scorer.id != identity:
        fail(f"the id is one line and stays what it is, got {identity!r}")
    return identity


def check_card(card: object, card_class: type, registered: str | None) -> None:
    """Fails unless `card` is of its class, says what it must, and bears the name it is registered under."""
    if not isinstance(card, card_class):
        fail(f"card must be a {card_class.__name__}, got {type(card).__name__}")
    empty = [field for field in ("name", "version", "summary") if not str(getattr(card, field)).strip()]
    if empty:
        fail(f"card leaves {', '.join(empty)} empty")
    name = str(getattr(card, "name", ""))
    if registered is not None and name != registered:
        fail(f"card is named {name!r}, the registry knows it as {registered!r}")
