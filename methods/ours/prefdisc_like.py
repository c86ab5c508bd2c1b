"""`prefdisc-like`: the next word of a small language model that was taught the verdicts of scorer users."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from prefbench.api import Features, History, Pixels, PrefbenchError, Scorer, ScorerCard, WeightFiles
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.mllms.folders import CARD_FILE
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm

from ..shared.verdicts import Verdicts

NAME = "prefdisc-like"
FILES = (CARD_FILE,)


class PrefdiscLike(Scorer):
    """P("liked") among "liked" and "disliked" after a picture, where the history's words stand after its pictures.

    PrefGen (arXiv 2512.06020) reports a score by PrefDisc, a language model taught likes and dislikes, which nobody can
    run: neither weights nor code are published. This is its nearest kin that can be checked, not PrefDisc: the language
    model of `ours`, built anew, on users that no method learns from.

    Args:
        folder: what `prefbench train prefdisc-like` wrote; by default where it installs.
        batch: pictures that are asked about at once.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name=NAME,
        version="1",
        summary="a language model's verdicts, taught by scorer users as that of ours by train users (after PrefDisc)",
        licence="Apache-2.0",
        personal=True,
        encoders=("mini-vision",),
        trained_on=("picturebook:scorer",),
        caveats=(
            "not PrefDisc, which is not published",
            "built, taught and asked like the language model of ours, from the same start: no independent judge of it",
            "never calibrated; it does not read the prompt",
        ),
        world="picturebook",
    )

    def __init__(self, *, folder: str = "", batch: int = 64) -> None:
        self._folder, self._batch = Path(folder) if folder else WEIGHTS / NAME, batch

    @property
    def id(self) -> str:
        """Name, version and SHA-256 of the weights. Raises `PrefbenchError` where they are absent."""
        return f"{NAME}@{self.card.version}@{self._mllm.digest}"

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        """What says that a language model is stored there; its own loader looks for the rest."""
        return (WeightFiles(str(self._folder), FILES, licence="Apache-2.0", trainer=NAME),)

    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """P(liked) (N,) in [0, 1]; with an empty history, the average user's.

        Raises:
            PrefbenchError: weights are absent; a history's picture that cannot be read; not one picture per prompt.
        """
        if len(prompts) != len(pictures):
            raise PrefbenchError(f"scorer {NAME!r}: {len(prompts)} prompts for {len(pictures)} pictures")
        return np.asarray(self._verdicts.of(history, [Image.fromarray(picture) for picture in pictures]))

    @cached_property
    def _mllm(self) -> Mllm:
        return load_mllm(hub.require(f"scorer {NAME!r}", self.weights[0]))

    @cached_property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self._mllm, batch=self._batch)
