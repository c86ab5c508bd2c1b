"""The recipe of the injection: what it is shown, what it learns to draw, what it is aligned to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from prefbench.api import PrefbenchError
from prefbench.training.diffusion import LOOKS_DECIDED
from prefbench.training.loop import FitConfig

from ..alignment import Alignment, Words
from ..vectors import LayerRule, Reference

Targets = Literal["likes", "chosen", "picks"]
Shown = Literal["sides", "pairs"]


@dataclass(frozen=True)
class InjectionRecipe:
    """How fusion, alignment and the second cross-attention are trained.

    Args:
        histories: number read per user.
        flipped: share of histories with likes and dislikes exchanged: opposite users, who show the adapter what it is
            led away from in use (`negative`).
        alignment_weight: weight of the alignment loss; that of the denoising loss is 1.
        tokens: user tokens of each part.
        without: parts that are left out.
        image_tower: a hub id or a folder in place of the backbone's own.
        targets: what is drawn: other pictures that the user likes, those alone that the user chose from a pair, or what
            the language model itself would most probably call liked after the history (`shared/picks.py`).
        shown: whether a history is drawn side by side, or as pairs of one prompt where there are any; then a target
            has a prompt that the history does not show, if the user judged another.
        dislikes: whether histories show what the user dislikes.
        reference: which of the liked pictures of a history `e_img` is taken from.
        layers: by which rule of the layer stage `e_sem` and `e_core` are taken.
        words: what the alignment is to: all word tokens, or one vector per phrase of content words.
        train_users: learns from so many users, drawn by the seed; 0 for all.
        attention_rate: factor on the learning rate of the second cross-attention's keys and values; 0 leaves them as
            the text's.
        noise: location of the noise levels; see `noise_levels`.
        aligned_first: user vectors that the alignment alone is taught with before the denoiser is shown anything, so
            that the mapped `e_sem` begins among words; 0 for none, and none without an alignment.
        initial_scale: factor on the user tokens of a fresh fusion that no alignment taught; see `Fusion.shrink`.
    """

    fit: FitConfig
    histories: int = 8
    flipped: float = 0.5
    alignment: Alignment = "mmd-both"
    alignment_weight: float = 0.1
    tokens: int = 4
    without: tuple[str, ...] = ()
    image_tower: str = ""
    targets: Targets = "likes"
    shown: Shown = "pairs"
    dislikes: bool = True
    reference: Reference = "typical"
    layers: LayerRule = "chosen"
    words: Words = "phrases"
    train_users: int = 0
    attention_rate: float = 1.0
    noise: float = LOOKS_DECIDED
    aligned_first: int = 128_000
    initial_scale: float = 0.01

    @property
    def aligns_first(self) -> bool:
        """Whether the alignment is taught before the injection."""
        return self.aligned_first > 0 and self.alignment != "none"

    @classmethod
    def of_card(cls, stored: Mapping[str, Any]) -> InjectionRecipe:
        """The recipe as a stage's card holds it.

        Raises:
            PrefbenchError: of a version whose recipes had a part that there is no more.
        """
        names = {field.name for field in fields(cls)}
        if lost := sorted(name for name, value in stored.items() if name not in names and value):
            raise PrefbenchError(f"trained by a recipe with {', '.join(lost)}, which this version of prefbench lacks")
        fit = {name: _tuples(value) for name, value in stored["fit"].items()}
        values = {name: _tuples(value) for name, value in stored.items() if name in names}
        return cls(**values | {"fit": FitConfig(**fit)})


def _tuples(value: Any) -> Any:
    """Turns JSON's lists back into tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


MINIATURE = InjectionRecipe(
    FitConfig(images=200_000, batch=32, lr=1e-3, ema=0.999, decay=0.5, save_every_s=120), targets="picks"
)
FULL = replace(
    MINIATURE,
    fit=FitConfig(images=2_000_000, batch=8, lr=1e-4, weight_decay=0.01, warmup_steps=500, decay=0.1),
    targets="likes",
    initial_scale=1.0,
)
"""Learning rate, weight decay and first tokens of the public IP-Adapters (Ye et al. 2023, section 4.1)."""
