"""`preference`: the default scorer, a small model over frozen features that no method uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from prefbench.api import (
    Extractor,
    Features,
    FloatArray,
    History,
    Pixels,
    PrefbenchError,
    Scorer,
    ScorerCard,
    WeightFiles,
    to_pixels,
)
from prefbench.api.gradients import SlopedExtractor, Slopes
from prefbench.files import WEIGHTS, atomic_file, write_atomic
from prefbench.models import hub
from prefbench.registry import load

from .data import as_histories
from .model import PreferenceModel
from .prompts import word_counts

ROLE = "preference"
"""The role of the extractor that gives the scorer's features in a suite."""
_SHIPPED = WEIGHTS / "preference"
_KEPT = 50_000
"""Most feature vectors kept in memory."""


class PreferenceScorer(Scorer):
    """Kernel ridge over the judged history in a learned projection, times the probability that the prompt is shown.

    Args:
        folder: of the trained weights; default: those that ship.
    """

    card = ScorerCard(
        name="preference",
        version="1",
        summary="attention over the judged history on features that no method uses, times agreement with the prompt",
        licence="Apache-2.0",
        personal=True,
        encoders=("mini-dino",),
        trained_on=("picturebook:scorer",),
        caveats=(
            "Nine pictures of ten that it learned from are renderings: what drawings alone have, it saw seldom.",
            "One linear taste a user: what a user likes only in combination is lost.",
        ),
        world="picturebook",
    )

    def __init__(self, *, folder: str = "") -> None:
        self._folder = Path(folder) if folder else _SHIPPED
        self._features: dict[str, Tensor] = {}
        self._user_vectors: dict[str, Tensor] = {}

    @property
    def id(self) -> str:
        return f"preference@{self.card.version}[{self._encoder.id}]@{self._digest}"

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        """The scorer's own weights; those of its encoder belong to the extractor."""
        folder = str(self._folder)
        return (WeightFiles(folder, ("model.safetensors", "config.json"), licence="Apache-2.0", trainer="preference"),)

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._file("model.safetensors").read_bytes()).hexdigest()

    @cached_property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self._file("config.json").read_text())
        return config

    @cached_property
    def _encoder(self) -> Extractor:
        encoder: Extractor = load("extractor", self._config["encoder"])()
        if encoder.id != self._config["encoder_id"]:
            raise PrefbenchError(
                f"scorer 'preference' was trained on {self._config['encoder_id']}, the suite has {encoder.id}: "
                "prefbench train preference --install"
            )
        return encoder

    @cached_property
    def _model(self) -> PreferenceModel:
        tensors = load_file(self._file("model.safetensors"))
        with torch.inference_mode(False):  # or `score_slopes` could not differentiate what `score` loaded
            model = PreferenceModel(len(tensors["mean"]), rank=len(tensors["project.weight"]))
            model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        return model.eval()

    def _file(self, name: str) -> Path:
        return hub.require("scorer 'preference'", self.weights[0]) / name

    @torch.inference_mode()
    def score(self, history: History, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        """P(liked) (N,) in (0, 1). With an empty history: the average user's preference.

        Raises:
            PrefbenchError: weights are absent, or of another encoder than the one that is here.
        """
        if len(prompts) != len(pictures):
            raise PrefbenchError(f"scorer 'preference': {len(prompts)} prompts for {len(pictures)} pictures")
        if not pictures:
            return np.empty(0)
        liked = self._model.liked(self._user_vector(history), self._encoded(pictures), word_counts(prompts))
        return liked.double().numpy()

    def score_slopes(self, history: History, prompts: Sequence[str], pictures: FloatArray) -> Slopes:
        """The scores, and how they change with the pixels: `prefbench.api.gradients.SlopedScorer`.

        Raises:
            PrefbenchError: what `score` raises; or an encoder that gives no gradients.
        """
        if not isinstance(self._encoder, SlopedExtractor):
            raise PrefbenchError(f"scorer 'preference': encoder {self._encoder.id} gives no gradients")
        with torch.inference_mode():
            held = self._user_vector(history)
        user, words = held.clone(), word_counts(prompts)  # a copy outside of inference mode may be differentiated
        return self._encoder.image_slopes(pictures, lambda features: self._model.liked(user, features, words))

    def _user_vector(self, history: History) -> Tensor:
        if history.digest not in self._user_vectors:
            judgments = [*history.liked, *history.disliked]
            width = len(self._model.mean)
            features = (
                self._encoded([to_pixels(j.picture.load()) for j in judgments]) if judgments else torch.zeros(0, width)
            )
            self._user_vectors[history.digest] = self._model.user_vectors(as_histories(history, features))[0]
        return self._user_vectors[history.digest]

    def _encoded(self, pictures: Sequence[Pixels]) -> Tensor:
        """Features (N, D); each different picture is encoded once."""
        keys = [hashlib.sha256(repr(p.shape).encode() + p.tobytes()).hexdigest() for p in pictures]
        missing = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._features}
        if missing:
            features = torch.from_numpy(self._encoder.images(list(missing.values()))).float()
            if len(self._features) + len(missing) > _KEPT:
                self._features = {key: self._features[key] for key in keys if key in self._features}
            self._features |= dict(zip(missing, features, strict=True))
        return torch.stack([self._features[key] for key in keys])


def save(model: PreferenceModel, folder: Path, *, suite: str, encoder: str, encoder_id: str) -> None:
    """Writes the weights in float16, the calibration's scale separately, and the ids of what they belong to."""
    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_file(folder / "model.safetensors") as temporary:
        save_file(state, temporary)
    config = {"suite": suite, "encoder": encoder, "encoder_id": encoder_id}
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
