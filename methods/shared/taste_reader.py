"""Two matrices over what a vision tower sees: a user as the difference between liked and disliked pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from prefbench.api import FloatArray, PrefbenchError, TrainUser
from prefbench.models.loading import one_line
from prefbench.models.mllms.conversation import Conversation, Judged
from prefbench.models.mllms.states import HiddenStates

from ..ours.train.judged_images import JudgedImages
from ..ours.vectors import Layers
from .questions import Examples
from .taste_histories import HistorySource
from .taste_model import WIDTH, TasteModel, learn_taste
from .trained_adapter import MllmEyes

FILE = "taste.safetensors"
LAYERS = Layers(sem=(0,), core=(0,), pooling="last")
"""The reader's only state, taken as both parts that `ours` takes from a language model."""
COMPONENTS = 192
"""Principal components of the tower's outputs."""
STEPS = 4000
_AT_ONCE = 8192


class TasteReader:
    """A preference model where `ours` has a language model: it reads a history into one state (N, 1, 64).

    Args:
        eyes: the vision tower.
        model: learned on the components of what the eyes see.
        mean, axes: (D,) and (D, K): the components of outputs x are (x - mean) axes, each of variance 1 in training.
    """

    width = WIDTH

    def __init__(self, eyes: MllmEyes, model: TasteModel, mean: Tensor, axes: Tensor) -> None:
        self._eyes, self._model, self._mean, self._axes = eyes, model, mean, axes

    @property
    def digest(self) -> str:
        """SHA-256 over the matrices and the files of the eyes."""
        return hashlib.sha256(save(self._state()) + self._eyes.digest.encode()).hexdigest()

    def states(self, conversations: Sequence[Conversation], *, batch: int = 8) -> HiddenStates:  # noqa: ARG002
        """The user (N, 1, 64) of the history that each conversation shows, as each of a model's states.

        Raises:
            ValueError: a conversation that shows no history.
        """
        users = torch.stack([self.user(_shown(conversation)) for conversation in conversations])[:, None]
        return HiddenStates(last=users, mean=users, contrast=users)

    @torch.no_grad()
    def user(self, examples: Examples) -> Tensor:
        """The user (64,) of a history."""
        signs = torch.tensor([1] * len(examples.liked) + [-1] * len(examples.disliked))
        shown = self._seen([*examples.liked, *examples.disliked])
        return self._model.user(signs[None], shown[None])[0]

    @torch.no_grad()
    def likes(self, user: Tensor, pictures: Sequence[Image.Image]) -> FloatArray:
        """Logits (N,) that a user likes each picture."""
        return self._model.likes(user[None], self._seen(pictures)[None])[0].double().numpy()

    def save(self, folder: Path) -> None:
        """Writes the matrices in float32; the eyes are stored elsewhere."""
        save_file(self._state(), folder / FILE)

    @classmethod
    def load(cls, folder: Path, eyes: MllmEyes) -> TasteReader:
        """Raises `PrefbenchError` for a folder without the matrices, or with damaged ones."""
        try:
            state = load_file(folder / FILE)
            mean, axes = state.pop("mean"), state.pop("axes")
            model = TasteModel(axes.shape[1])
            model.load_state_dict(state)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise PrefbenchError(
                f"{folder} holds no preference model ({one_line(error)}); run prefbench train teacher-adapter"
            ) from error
        return cls(eyes, model.requires_grad_(False).eval(), mean, axes)

    @classmethod
    def learn(
        cls, train_users: Sequence[TrainUser], judged_images: JudgedImages, eyes: MllmEyes, *, steps: int = STEPS
    ) -> TasteReader:
        """Learns two matrices from what train users judged, and nothing else."""
        seen = eyes(judged_images.images)
        mean, axes = _components(seen)
        features = torch.cat([(chunk - mean) @ axes for chunk in torch.split(seen, _AT_ONCE)])
        source = HistorySource(train_users, judged_images.rows, features)
        return cls(eyes, learn_taste(source, steps=steps), mean, axes)

    def _state(self) -> dict[str, Tensor]:
        state = self._model.state_dict() | {"mean": self._mean, "axes": self._axes}
        return {name: tensor.contiguous() for name, tensor in state.items()}

    def _seen(self, pictures: Sequence[Image.Image]) -> Tensor:
        if not pictures:
            return torch.zeros(0, self._axes.shape[1])
        return (self._eyes(pictures) - self._mean) @ self._axes


def _shown(conversation: Conversation) -> Examples:
    for part in conversation[0].parts:
        if isinstance(part, Judged):
            return Examples(part.liked, part.disliked)
    raise ValueError("a conversation that shows no history")


def _components(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and principal axes (D, K) of outputs (N, D), scaled so that components have variance 1."""
    sample = seen[torch.linspace(0, len(seen) - 1, min(len(seen), _AT_ONCE)).long()]
    mean = sample.mean(0)
    _, sizes, axes = torch.linalg.svd(sample - mean, full_matrices=False)
    many = min(COMPONENTS, len(sizes))
    deviations = (sizes[:many] / len(sample) ** 0.5).clamp(min=1e-6)
    return mean, axes[:many].T / deviations
