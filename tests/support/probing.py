"""Small worlds for probes: one layer tells users apart, one tells what they like, and the others tell neither."""

from __future__ import annotations

import numpy as np

from prefbench.api import Estimate, FloatArray
from prefbench.probing import ProbedLayer, ProbeLabels, ProbeRow, StatePair

USERS, PER_USER, PROMPTS, WIDTH, LAYERS = 40, 8, 20, 12, (0, 1, 2, 3, 4)
USER_LAYER, LIKING_LAYER = 2, 3
POOLINGS = ("last", "mean")
PROBED = [ProbedLayer(layer, pooling) for layer in LAYERS for pooling in POOLINGS]
LAST = [layer for layer in PROBED if layer.pooling == "last"]


def probe_labels(rng: np.random.Generator) -> ProbeLabels:
    """Every user judges two images of each of some prompts, likes one and dislikes the other."""
    users = np.repeat(np.arange(USERS), 2 * PER_USER).astype(str)
    drawn = [rng.permutation(PROMPTS)[:PER_USER] for _ in range(USERS)]
    prompts = np.repeat(np.concatenate(drawn), 2).astype(str)
    images = np.array([f"{prompt}/{n}" for n, prompt in enumerate(prompts)])
    return ProbeLabels(np.tile([True, False], USERS * PER_USER), users, prompts, images)


def pairs(rng: np.random.Generator, *, planted: float) -> dict[ProbedLayer, StatePair]:
    """States of two histories a user; in one layer they share what is the user's, under last-token pooling more so."""
    taste = rng.standard_normal((USERS, WIDTH))
    found = {}
    for layer in PROBED:
        share = planted * (layer.layer == USER_LAYER) * (1 if layer.pooling == "last" else 0.5)
        first, second = rng.standard_normal((2, USERS, WIDTH)) + share * taste
        found[layer] = StatePair(first, second)
    return found


def item_states(rng: np.random.Generator, labels: ProbeLabels, *, planted: float) -> dict[ProbedLayer, FloatArray]:
    """One state per label; in one layer whether the image is liked shifts it. All carry the prompt and the user."""
    prompt, user = rng.standard_normal((PROMPTS, WIDTH)), rng.standard_normal((USERS, WIDTH))
    context = prompt[labels.prompts.astype(int)] + user[labels.users.astype(int)]
    sign = np.where(labels.liked, 1.0, -1.0)[:, None]
    return {
        layer: context
        + rng.standard_normal((len(labels), WIDTH))
        + planted * (layer.layer == LIKING_LAYER) * sign * np.linspace(-1, 1, WIDTH)
        for layer in LAST
    }


def best(rows: list[ProbeRow], task: str) -> ProbeRow:
    return max((row for row in rows if row.task == task), key=lambda row: row.value or 0.0)


def value_of(found: Estimate) -> float:
    assert found.value is not None
    return found.value


def bounds(found: Estimate | ProbeRow) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def at_chance(found: Estimate | ProbeRow, chance: float = 0.5) -> bool:
    low, high = bounds(found)
    return low <= chance <= high
