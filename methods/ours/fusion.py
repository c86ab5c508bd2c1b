"""One user vector to the tokens `[mapped e_sem; e_core; e_img]` of the second cross-attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Widths:
    """Width of each part of a user vector, in this order."""

    sem: int
    core: int
    img: int

    @property
    def total(self) -> int:
        """F, the width of a user vector."""
        return self.sem + self.core + self.img

    @property
    def parts(self) -> dict[str, slice]:
        """Part to its slice of a user vector."""
        first, second = self.sem, self.sem + self.core
        return {"sem": slice(0, first), "core": slice(first, second), "img": slice(second, self.total)}


class Fusion(nn.Module):
    """User vectors (B, F) to user tokens (B, 3 T, D): T tokens each from `e_sem`, `e_core` and `e_img`.

    `e_sem` goes through an MLP whose outputs an alignment loss draws into the space of the text encoder; the other two
    through one linear layer each. Vectors come standardised, so zeros are the average user: they stand for an unknown
    part, an ablated part, and the unconditional half of classifier-free guidance.

    Args:
        widths: of the parts of a user vector.
        text: D, the width of the denoiser's cross-attention.
        tokens: T.
        without: parts that are set to zero, for ablations.
    """

    def __init__(self, widths: Widths, text: int, *, tokens: int = 4, without: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.widths, self.tokens, self.text, self.without = widths, tokens, text, without
        hidden = max(256, 2 * text)
        self.sem = nn.Sequential(nn.Linear(widths.sem, hidden), nn.SiLU(), nn.Linear(hidden, tokens * text))
        self.core = nn.Linear(widths.core, tokens * text)
        self.img = nn.Linear(widths.img, tokens * text)
        self.norms = nn.ModuleDict({name: nn.LayerNorm(text) for name in ("core", "img")})

    @property
    def total(self) -> int:
        """Tokens per user."""
        return 3 * self.tokens

    @torch.no_grad()
    def shrink(self, factor: float, *, sem: bool = True) -> None:
        """Multiplies fresh user tokens by `factor`: near 0 the second cross-attention adds next to nothing at first.

        Args:
            sem: also those of `e_sem`.
        """
        for parameter in (*(self.sem[-1].parameters() if sem else ()), *self.norms.parameters()):
            parameter.mul_(factor)

    def mapped(self, vectors: Tensor) -> Tensor:
        """`e_sem` mapped to tokens (B, T, D): what the alignment loss is taken on."""
        part = vectors[:, self.widths.parts["sem"]].to(self.core.weight.dtype)
        return self._as_tokens(self.sem(part))

    def forward(self, vectors: Tensor) -> Tensor:
        """User tokens (B, 3 T, D)."""
        vectors = self._without(vectors.to(self.core.weight.dtype))
        parts = [self.mapped(vectors)]
        for name, layer in (("core", self.core), ("img", self.img)):
            parts.append(self.norms[name](self._as_tokens(layer(vectors[:, self.widths.parts[name]]))))
        return torch.cat(parts, dim=1)

    def _as_tokens(self, rows: Tensor) -> Tensor:
        return rows.view(len(rows), self.tokens, self.text)

    def _without(self, vectors: Tensor) -> Tensor:
        if not self.without:
            return vectors
        vectors = vectors.clone()
        for name in self.without:
            vectors[:, self.widths.parts[name]] = 0
        return vectors
