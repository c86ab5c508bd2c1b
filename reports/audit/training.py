"""The declarations of a run's method and weights: what they were trained on, and selected by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefbench.api import MethodCard, counted
from prefbench.api.runs import is_given
from prefbench.check.findings import fail, warn
from prefbench.files import WEIGHTS
from prefbench.registry import load, names
from prefbench.run.given.card import not_stated

from ..shared.training import evaluated_on
from .audited_run import AuditedRun


def declared(run: AuditedRun) -> str:
    """No declaration names the run's split or that of the scorer users.

    Weights without a declaration are a warning, and so is a scorer that the method picks by: it learned from the
    scorer users.
    """
    excluded = evaluated_on(run.suite.card.name, run.contents.split)
    declarations = {f"method {run.description['method']['name']}": tuple(run.description["method"]["trained_on"])}
    doubts = [{"picks by": name, "fault": f"scores by {name} say nothing of this run"} for name in _selecting(run)]
    doubts += [{"images": "given", "fault": f"{what} not stated"} for what in _unsaid(run)]
    for name in _weights(run):
        data = data_of(name)
        if data is None:
            doubts.append({"weights": name, "fault": "undeclared: no card says what they were trained on"})
        else:
            declarations[f"weights {name}"] = data
    rows = [
        {"declared by": who, "trained on": data}
        for who, all_data in declarations.items()
        for data in all_data
        if data in excluded
    ]
    if rows:
        fail(f"{counted(len(rows), 'declaration')} of data that the run is evaluated on", rows)
    none = "not stated" if "training data" in _unsaid(run) else "nothing"
    detail = "; ".join(f"{who}: {', '.join(data) or none}" for who, data in declarations.items())
    if doubts:
        warn(detail, doubts)
    return detail


def _selecting(run: AuditedRun) -> Sequence[str]:
    scorers: Sequence[str] = run.description["method"].get("selected_by", ())
    return scorers


def _unsaid(run: AuditedRun) -> list[str]:
    """What nobody said of the method, where the images were given."""
    return not_stated(run.description) if is_given(run.spec) else []


def _weights(run: AuditedRun) -> list[str]:
    """The weights behind a run: its backbone's, and those that the method's card names.

    A registered backbone without a declaration is no doubt about a method: none chose what it learned from. Runs that
    were made before cards named weights are taken by the card of the registered method.
    """
    card: Mapping[str, Any] = run.description["method"]
    weights: Sequence[str] | None = card.get("weights")
    method = run.spec["method"]
    if weights is None and method in names("method"):
        registered: MethodCard = load("method", method).card
        weights = registered.weights
    backbone = str(run.spec["backbone"])
    is_common = is_given(run.spec) or (_is_registered(run) and data_of(backbone) is None)
    return [*[backbone] * (not is_common), *(weights or ())]


def _is_registered(run: AuditedRun) -> bool:
    """Whether the backbone is a registered one, by its source: a folder of the same name may have learned anything."""
    name = run.spec["backbone"]
    source = run.description.get("backbone", {}).get("source")
    return name in names("backbone") and load("backbone", name).source == source


def data_of(name: str) -> tuple[str, ...] | None:
    """The data on the card of shipped weights, as `suite:split` or `suite:corpus`; None without a card or data."""
    card = WEIGHTS / name / "card.json"
    if not card.is_file():
        return None
    data = json.loads(card.read_text(encoding="utf-8")).get("data")
    return tuple(dict.fromkeys(_sets(data))) if isinstance(data, dict) and "suite" in data else None


def _sets(data: Mapping[str, Any]) -> Iterator[str]:
    """A corpus is rendered for training and holds no user's pictures; a split is its users."""
    suite = data["suite"]
    if "split" in data:
        yield f"{suite}:{data['split']}"
    for corpus in [*data.get("corpora", ()), *([data["corpus"]] if "corpus" in data else [])]:
        yield f"{suite}:{corpus['kind']} corpus"
