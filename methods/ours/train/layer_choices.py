"""From probed states to layers: those that the probes choose, and others that the choice is measured against."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, cast

import numpy as np

from prefbench.api import FloatArray
from prefbench.probing import (
    LayerChoice,
    LikingChoice,
    ProbedLayer,
    ProbeLabels,
    StatePair,
    choose_layers,
    choose_liking_layers,
)

from ..vectors import LayerRule, Layers, Pooling

FALLBACK = "no layer is above chance and above another user's history: the top four layers, the paper's rule"


@dataclass(frozen=True)
class Asked:
    """States at pictures that users are asked about, by place: after the own history and after another user's."""

    own: Mapping[ProbedLayer, FloatArray]
    other: Mapping[ProbedLayer, FloatArray]
    floor: FloatArray
    """After no history (N, W): the picture alone."""
    labels: ProbeLabels


class Rule(Protocol):
    """How many layers are chosen for each part, and by how many halvings of the users."""

    @property
    def core(self) -> int: ...
    @property
    def sem(self) -> int: ...
    @property
    def repeats(self) -> int: ...


def chosen_layers(
    layers: int, pairs: Mapping[ProbedLayer, StatePair], asked: Asked, how: Rule, *, phrases: bool = False
) -> tuple[Layers, dict[str, Any]]:
    """The layers of the choice, and its record: what was tested, how stable it is, and the alternatives.

    Args:
        layers: of the language model; the embedding layer, number 0, has not read the history and is none of them.
        pairs: states of two histories of each user.
        phrases: whether `e_sem` is of states at phrases, in the layers that are chosen at pictures.
    """
    most = max(1, min(how.sem, layers - how.core))
    candidates = [ProbedLayer(layer, "last") for layer in range(1, layers + 1)]
    liking = choose_liking_layers(
        asked.own, asked.labels, asked.other, most=most, candidates=candidates, repeats=how.repeats
    )
    top = tuple(range(layers - most + 1, layers + 1))
    sem = liking.layers or top
    users = _apart(pairs, layers, sem, how)
    chosen = Layers(sem, users.layers, _pooling(users), phrases)
    alternatives = _alternatives(chosen, layers, _core_of(pairs, layers, top, how), top)
    return chosen, {
        "layers": asdict(chosen),
        "choice": _users_record(users) | {"sem": _liking_record(liking)},
        "alternatives": {rule: asdict(one) for rule, one in alternatives.items()},
    }


def _apart(pairs: Mapping[ProbedLayer, StatePair], layers: int, taken: Collection[int], how: Rule) -> LayerChoice:
    """The inter-user probe's choice among layers that are not taken, or among all where none is left."""
    free = [layer for layer in range(1, layers + 1) if layer not in taken]
    candidates = free if len(free) >= how.core else range(1, layers + 1)
    return choose_layers(pairs, how.core, candidates=candidates, comparison="whitened", repeats=how.repeats)


def _core_of(
    pairs: Mapping[ProbedLayer, StatePair], layers: int, taken: Collection[int], how: Rule
) -> tuple[tuple[int, ...], Pooling]:
    choice = _apart(pairs, layers, taken, how)
    return choice.layers, _pooling(choice)


def _alternatives(
    chosen: Layers, layers: int, core_of_top: tuple[tuple[int, ...], Pooling], top: tuple[int, ...]
) -> dict[LayerRule, Layers]:
    """As many layers as were chosen, at random; all layers; the top four; those chosen, but read at the answer.

    A random core is not the chosen one.
    """
    rng = np.random.default_rng(0)
    order = [int(layer) for layer in rng.permutation(np.arange(1, layers + 1))]
    sem = tuple(sorted(order[: len(chosen.sem)]))
    core = tuple(sorted(order[len(chosen.sem) :][: len(chosen.core)])) or chosen.core
    other_sem = _drawn(order, chosen.core, len(chosen.sem)) or chosen.sem
    other_core = _drawn(order, (*chosen.sem, *chosen.core), len(chosen.core)) or chosen.core
    everything = tuple(range(1, layers + 1))
    core_alone, pooling_alone = core_of_top
    return {
        "chosen": chosen,
        "random": replace(chosen, sem=sem, core=core),
        "random-sem": replace(chosen, sem=other_sem),
        "random-core": replace(chosen, core=other_core),
        "all": replace(chosen, sem=everything, core=everything),
        "top-four": replace(chosen, sem=top, core=core_alone, pooling=pooling_alone),
        "answer": replace(chosen, phrases=False),
    }


def _drawn(order: list[int], taken: Collection[int], count: int) -> tuple[int, ...]:
    """The first so many that are not taken, sorted."""
    return tuple(sorted([layer for layer in order if layer not in taken][:count]))


def _pooling(choice: LayerChoice) -> Pooling:
    return cast(Pooling, choice.pooling)


def _users_record(choice: LayerChoice) -> dict[str, Any]:
    return {
        "pooling": choice.pooling,
        "verification_auc_on_other_users": asdict(choice.estimate),
        "stability": choice.stability,
        "halves": [[place._asdict() for place in half] for half in choice.halves],
    }


def _liking_record(choice: LikingChoice) -> dict[str, Any]:
    return {
        "layers": list(choice.layers),
        "fallback": None if choice.layers else FALLBACK,
        "balanced_accuracy_on_other_users": asdict(choice.nested),
        "tested": [
            {
                "layer": one.layer.layer,
                "accuracy": asdict(one.accuracy),
                "above_another_history": asdict(one.above_mismatched),
                "passes": one.passes,
                "stability": one.stability,
            }
            for one in choice.tested
        ],
    }
