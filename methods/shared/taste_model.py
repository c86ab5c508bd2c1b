"""A preference model of two matrices, without a language model.

A user is the difference between the means of liked and of disliked pictures, mapped by a matrix; a picture is liked as
far as its own map agrees. So little is learned that a thousand users suffice: the product of the matrices is the metric
that users judge by.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .taste_histories import HistorySource

WIDTH = 64
_LR = 2e-3


class TasteModel(nn.Module):
    """Likes (B, Q) of pictures from judged pictures; features have variance 1 and mean 0."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shown = nn.Linear(features, WIDTH, bias=False)
        self.asked = nn.Linear(features, WIDTH, bias=False)
        self.everyone = nn.Linear(features, 1)
        self.doubt = nn.Parameter(torch.tensor(1.0))
        self.gain = nn.Parameter(torch.tensor(0.5))

    def user(self, signs: Tensor, features: Tensor) -> Tensor:
        """Users (B, WIDTH) from features (B, H, D) and signs (B, H): 1 liked, -1 disliked, 0 not there."""
        difference = self._side_mean(signs, features, 1) - self._side_mean(signs, features, -1)
        users: Tensor = self.shown(difference)
        return users

    def _side_mean(self, signs: Tensor, values: Tensor, sign: int) -> Tensor:
        """The mean (B, .) of one side's values (B, H, .), shrunk to zero: sum / (n + exp(doubt))."""
        there = (signs == sign).float()
        total: Tensor = (there[..., None] * values).sum(1)
        return total / (there.sum(1, keepdim=True) + self.doubt.exp())

    def forward(self, signs: Tensor, features: Tensor, pictures: Tensor) -> Tensor:
        """Logits (B, Q) that the users of histories like pictures (B, Q, D)."""
        return self.likes(self.user(signs, features), pictures)

    def likes(self, user: Tensor, pictures: Tensor) -> Tensor:
        """The same of users (B, WIDTH): gain * <user, asked(picture)> + everyone."""
        agreement = (self.asked(pictures) * user[:, None]).sum(-1)
        logits: Tensor = self.gain * agreement + self.everyone(pictures).squeeze(-1)
        return logits


def learn_taste(source: HistorySource, *, steps: int, seed: int = 0) -> TasteModel:
    """Trains on the histories of a source: logistic loss on which other pictures their users like."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 5])
    model = TasteModel(source.features.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LR, weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LR * min(1.0, 2 * (1 - step / steps))  # falls over the second half
        batch = source.draw(rng)
        loss = F.binary_cross_entropy_with_logits(model(batch.signs, batch.history, batch.asked), batch.liked)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.requires_grad_(False).eval()
