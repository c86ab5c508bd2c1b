"""`teacher-adapter` as a method: what `ours` would be if two matrices read the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from prefbench.api import Features, FloatArray, History, MethodCard, PrefbenchError, ProbeItem
from prefbench.models.mllms.loader import load_mllm

from .ours.method import PrefGen
from .ours.vectors import HistoryReader
from .shared.image_tower import tower_name
from .shared.questions import Examples
from .shared.taste_reader import TasteReader
from .shared.trained_adapter import MllmEyes


class TeacherAdapter(PrefGen):
    """Fusion, alignment and second cross-attention of `ours`, trained alike, on a preference model's user vector.

    The row beside `ours` that tells what its language model is worth: same eyes, same targets, same adapter.

    Args:
        user_scale: weight of the second cross-attention; 0 draws the prompt alone, 1 is how it was trained.
        user_guidance: guidance scale of the whole condition, prompt and user; 0 for the backbone's own.
        negative: what guidance leads away from: the `average` user, or the user's opposite (`disliked`).
        liked_only: shows the preference model the liked images alone.
        n: drawings to choose from by the preference model's own likes; each costs as much as the first.
        weights: folder that `prefbench train teacher-adapter` wrote; by default the installed one for the backbone.
    """

    card = MethodCard(
        name="teacher-adapter",
        version="1",
        summary="the adapter of ours, on the user vector of two matrices in place of a language model's states",
        training="once",
        trained_on=("picturebook:train",),
        weights=("teacher-adapter-mini-sd", "mini-mllm", "mini-vision"),
        encoders=("mini-mllm", "mini-vision"),
    )

    def __init__(
        self,
        *,
        user_scale: float = 1.25,
        user_guidance: float = 2.0,
        negative: Literal["average", "disliked"] = "average",
        liked_only: bool = False,
        n: int = 1,
        weights: str = "",
    ) -> None:
        super().__init__(
            user_scale=user_scale,
            user_guidance=user_guidance,
            negative=negative,
            liked_only=liked_only,
            n=n,
            weights=weights,
        )

    @property
    def card_in_use(self) -> MethodCard:
        """The card; with weights from a folder, it names the folder."""
        if not self.weights:
            return self.card
        encoders = (Path(self.config.mllm).name, tower_name(self.context.backbone, self.config.image_tower))
        return replace(self.card, weights=(f"folder {Path(self.weights).name}",), encoders=encoders)

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        """The parts of the user vector; with `item`, how far the preference model thinks that the user likes it."""
        examples = Examples.of(self._visible(history))
        if item is not None:
            return {"taste": self._taste.likes(self._taste.user(examples), [item.picture.load()])}
        vector = self._vectors([examples], self._states([examples]))[0]
        return {f"e_{name}": vector[part].double().numpy() for name, part in self.config.widths.parts.items()}

    def _load_reader(self, folder: Path) -> HistoryReader:
        """Raises `PrefbenchError` where it is not here, or not what the adapter was trained with."""
        beside = folder / self.config.mllm
        mllm = load_mllm(beside if beside.is_dir() else self.config.mllm, device=str(self.context.backbone.device))
        self._taste = TasteReader.load(folder, MllmEyes(mllm))
        if self._taste.digest != self.config.mllm_digest:
            raise PrefbenchError(
                f"{folder} was trained with another preference model, or other eyes, than those here; train it again:"
                f" prefbench train {self.card.name} -p backbone={self.context.backbone.card.name}"
            )
        return self._taste

    def _kept(self, history: History) -> Any:
        return self._taste.user(Examples.of(history)).numpy()

    def _likes(self, kept: Any, images: Sequence[Image.Image]) -> FloatArray:
        return self._taste.likes(torch.as_tensor(kept), images)
