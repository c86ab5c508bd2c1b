"""`name-state`: draws the prompt alone and knows of each user but a hash of the name: wins probes of identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from prefbench.api import Features, History, MethodCard, ProbeItem

from ..prompt_only import PromptOnly

_WIDTH = 32


class NameState(PromptOnly):
    """Where both halves of a history bore one name, their states were equal and every user was verified."""

    card = MethodCard(
        name="name-state",
        version="1",
        summary="the prompt alone, and as state a hash of the user's name",
        uses_liked=False,
        uses_disliked=False,
        control=True,
        attack="a state that is a hash of the user's name",
    )

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        """Normal numbers (32,) that follow from the name alone."""
        seed = int.from_bytes(hashlib.sha256(history.user.encode()).digest()[:8])
        return {"name": np.random.default_rng(seed).standard_normal(_WIDTH)}
