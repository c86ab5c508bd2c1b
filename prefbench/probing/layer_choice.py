"""The layers that tell users apart best, and what such a choice is worth on other users."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prefbench.api import Estimate, FloatArray, PrefbenchError
from prefbench.probing.influence import mean_of_users, verification_rows
from prefbench.probing.labels import Indices
from prefbench.probing.table import ProbedLayer
from prefbench.probing.user_probe import Comparison, StatePair, similarities, users_of


@dataclass(frozen=True)
class LayerChoice:
    """The layers that tell users apart best, and what such a choice is worth on users it was not made on."""

    layers: tuple[int, ...]
    pooling: str
    estimate: Estimate
    """Verification AUC of the mean state of the layers chosen on the other half of the users."""
    halves: tuple[tuple[ProbedLayer, ...], ...]
    """What each half chose; where they disagree, the choice is little more than one of several."""

    @property
    def stability(self) -> float:
        """Share of the halves that chose just these layers, of this pooling."""
        same = tuple(ProbedLayer(layer, self.pooling) for layer in self.layers)
        return sum(half == same for half in self.halves) / len(self.halves)


def choose_layers(
    pairs: Mapping[ProbedLayer, StatePair],
    k: int,
    *,
    candidates: Collection[int] | None = None,
    comparison: Comparison = "cosine",
    repeats: int = 1,
    seed: int = 0,
) -> LayerChoice:
    """The k layers, of one pooling, that tell users apart best.

    Layers are ranked by their own verification AUC; of the poolings that one wins whose k layers have, as the mean of
    their states, the highest. The estimate is nested: each half of the users is measured in the layers that the other
    half chose, a mean over `repeats` halvings. The layers handed back are chosen on all users at once or, of several
    halvings, by the mean over all halves, which one lucky half moves little.

    Args:
        candidates: layers to choose from; all unless given.

    Raises:
        PrefbenchError: fewer than k candidates, users too few to halve, or as `similarities`.
    """
    users = users_of(pairs)
    allowed = _allowed(pairs, k, candidates)
    poolings = sorted({layer.pooling for layer in allowed})
    if users < 4:
        raise PrefbenchError(f"probing: choosing layers halves the users and needs at least 4, got {users}")

    def rows(layers: Sequence[ProbedLayer], half: Indices) -> FloatArray:
        mean = StatePair(*(np.mean([allowed[layer][side][half] for layer in layers], axis=0) for side in (0, 1)))
        return verification_rows(similarities(mean, comparison=comparison, seed=seed))

    def best(*parts: Indices) -> tuple[ProbedLayer, ...]:
        """By the mean over some parts of the users."""

        def auc(layers: Sequence[ProbedLayer]) -> float:
            return float(np.mean([rows(layers, part).mean() for part in parts]))

        ranked = sorted(sorted(allowed), key=lambda layer: -auc([layer]))
        top_k = [tuple(sorted([layer for layer in ranked if layer.pooling == name][:k])) for name in poolings]
        return max(top_k, key=auc)

    halves = [half for repeat in range(repeats) for half in _halves(users, seed, repeat)]
    chosen = [best(half) for half in halves]
    nested = np.zeros(users)
    for place, half in enumerate(halves):
        nested[half] += rows(chosen[place ^ 1], half) / repeats  # the two halves of one halving stand side by side
    of_all = best(np.arange(users)) if repeats == 1 else best(*halves)
    layers = tuple(layer.layer for layer in of_all)
    return LayerChoice(layers, of_all[0].pooling, mean_of_users(nested), tuple(chosen))


def _halves(users: int, seed: int, repeat: int) -> list[Indices]:
    rng = np.random.default_rng([seed, repeat] if repeat else seed)
    return list(np.array_split(rng.permutation(users), 2))


def _allowed(
    pairs: Mapping[ProbedLayer, StatePair], k: int, candidates: Collection[int] | None
) -> dict[ProbedLayer, StatePair]:
    """The states to choose from. Raises `PrefbenchError` unless every pooling has k layers among the candidates."""
    numbers = {layer.layer for layer in pairs}
    if unknown := sorted(set(candidates or ()) - numbers):
        raise PrefbenchError(f"probing: no states of layer {unknown[0]}; there are {sorted(numbers)}")
    allowed = {layer: pair for layer, pair in pairs.items() if candidates is None or layer.layer in candidates}
    counts = [sum(layer.pooling == name for layer in allowed) for name in {layer.pooling for layer in allowed}]
    if k < 1 or not allowed or min(counts) < k:
        raise PrefbenchError(f"probing: {k} layers cannot be chosen from {sorted({p.layer for p in allowed})}")
    return allowed
