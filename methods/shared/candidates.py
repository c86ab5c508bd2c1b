"""Several candidates of one sample, for methods that draw more than they keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prefbench.api import Backbone, Request


def candidate_seeds(seed: int, n: int) -> list[int]:
    """The sample's own seed, then n - 1 that follow from it."""
    more = np.random.default_rng(seed).integers(2**63, size=n - 1)
    return [seed, *(int(other) for other in more)]


def draw_candidates(backbone: Backbone, requests: Sequence[Request], n: int) -> list[tuple[Any, ...]]:
    """The n candidates of each request from its prompt alone; the first is what `prompt-only` draws."""
    prompts = [request.prompt for request in requests]
    seeds = [candidate_seeds(request.seed, n) for request in requests]
    return list(zip(*(backbone.generate(prompts, [own[k] for own in seeds]) for k in range(n)), strict=True))
