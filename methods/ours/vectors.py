"""Layers of the language model that make up a user vector, and the scales of its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from prefbench.api import PrefbenchError
from prefbench.files import write_atomic
from prefbench.models.mllms.conversation import Conversation
from prefbench.models.mllms.states import HiddenStates

from ..shared.image_tower import most_typical
from .fusion import Widths

Pooling = Literal["last", "mean", "contrast"]
"""How the states of a conversation's tokens are made one: see `HiddenStates`."""
LayerRule = Literal["chosen", "random", "random-sem", "random-core", "all", "top-four", "answer"]
"""The layers that the probes chose, others in place of both or of one, all, the paper's four for `e_sem`, or those
chosen with `e_sem` at the answer to "what does the user like?", as in the paper, also where phrases are judged."""
Reference = Literal["random", "typical", "first"]
"""Of the liked pictures of a history, the one that `e_img` is taken from: any, the one nearest to the mean of all, or
the first. Any is for training alone: the weights are then used with the most typical one."""


class HistoryReader(Protocol):
    """What reads histories: a language model, or what stands in its place."""

    @property
    def width(self) -> int:
        """W, of a state."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over all that states depend on."""
        ...

    def states(self, conversations: Sequence[Conversation], *, batch: int = 8) -> HiddenStates:
        """The states after each conversation."""
        ...


@dataclass(frozen=True)
class Layers:
    """The layers that make up `e_sem` and `e_core`, by number (0 is the embedding layer), and how core ones are pooled.

    `e_sem` is the concatenation of last-token states, or of a language model that judges phrases, of its states at the
    end of each times its verdict (`phrases`). `e_core` is the mean over layers of states pooled by `pooling`.
    Where the core layer is one of those of `e_sem` and pooling is `last`, as in the weights of version 0.2, `e_core`
    repeats a part of `e_sem`; the layer stage keeps them apart since.
    """

    sem: tuple[int, ...]
    core: tuple[int, ...]
    pooling: Pooling = "mean"
    phrases: bool = False

    @classmethod
    def top_four(cls, layers: int, core: Sequence[int], pooling: Pooling) -> Layers:
        """The paper's rule for `e_sem`, whatever probing says, with the layers that probing chose for `e_core`."""
        return cls(tuple(range(max(1, layers - 3), layers + 1)), tuple(core), pooling)

    @classmethod
    def of_record(cls, stored: Mapping[str, Any]) -> Layers:
        """From plain data, as JSON holds it."""
        told = stored.get("phrases", False)  # what was stored before there were any lacks it
        return cls(tuple(stored["sem"]), tuple(stored["core"]), stored["pooling"], told)

    def of(self, states: HiddenStates) -> tuple[Tensor, Tensor]:
        """`e_sem` (B, layers x W) and `e_core` (B, W).

        Raises:
            PrefbenchError: states without phrases.
        """
        pooled = {"last": states.last, "mean": states.mean, "contrast": states.contrast}[self.pooling]
        sem = states.phrases if self.phrases else states.last
        if sem is None:
            raise PrefbenchError("these layers are of states at phrases, and this language model judges none")
        return sem[:, list(self.sem)].flatten(1), pooled[:, list(self.core)].mean(1)

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        write_atomic(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Layers:
        """Reads what `save` wrote."""
        return cls.of_record(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Scales:
    """Mean and standard deviation (F,) of each number of a user vector over training histories."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> Scales:
        """Scales of vectors (N, F), N at least 2."""
        return cls(vectors.mean(0), vectors.std(0).clamp(min=1e-4))

    @classmethod
    def joined(cls, parts: Iterable[Scales]) -> Scales:
        """Scales of vectors that are concatenated from parts."""
        means, deviations = zip(*((part.mean, part.std) for part in parts), strict=True)
        return cls(torch.cat(means), torch.cat(deviations))

    def __call__(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) / self.std


def join(sem: Tensor, core: Tensor, img: Tensor) -> Tensor:
    """User vectors (B, F), parts in the order of `Widths`."""
    return torch.cat([sem, core, img], dim=1)


def widths(layers: Layers, reader: HistoryReader, image: int) -> Widths:
    """Widths of the parts of a user vector."""
    return Widths(len(layers.sem) * reader.width, reader.width, image)


def referred(embeddings: Tensor, rule: Reference) -> int:
    """The row of the one of liked pictures (N, E), in the order of the history, that `e_img` is taken from in use."""
    return 0 if rule == "first" else most_typical(embeddings)
