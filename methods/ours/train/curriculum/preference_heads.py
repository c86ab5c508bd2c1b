"""Heads of the first stage that rank images for a user; the top ones are what the denoiser is trained to draw.

A user's own likes are few and noisy, each only the best of four. The heads that asked the language model's states which
images a user likes can ask them about every judged image, and their favourites are a clear target. The head on the last
token is asked, where the user embedding is read. Ours, not the paper's.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from prefbench.files import atomic_file

from .described_images import DescribedImages

_ENOUGH = 64
"""Images of one prompt that are compared among themselves; those of rarer prompts are compared with each other."""
_CHUNK = 256
_UNLABELLED = ("unlabelled", "unsaid")
"""The key of `DescribedImages.unlabelled` on disk, now and in version 0.1."""


class PreferenceHead(nn.Module):
    """Logits (B, Q) that users with states s (B, W) like images x: <U s, V x> / sqrt(width) + w x, w shared."""

    def __init__(self, state: int, picture: int, width: int = 64) -> None:
        super().__init__()
        self.user = nn.Sequential(standardised(state), nn.Linear(state, width))
        self.picture = nn.Linear(picture, width, bias=False)
        self.everyone = nn.Linear(picture, 1)

    def forward(self, state: Tensor, pictures: Tensor) -> Tensor:
        agreement = (self.user(state)[:, None] * self.picture(pictures)).sum(-1) / self.picture.out_features**0.5
        logits: Tensor = agreement + self.everyone(pictures).squeeze(-1)
        return logits


def standardised(width: int) -> nn.Module:
    """Batch normalisation. States differ little beside what all share; with a smaller `eps` they would shrink to 0."""
    return nn.BatchNorm1d(width, affine=False, eps=0.01)


@dataclass(frozen=True)
class PreferenceHeads:
    """The heads of the first stage, and what they are asked about.

    Args:
        heads: on the last token and on the mean, as `losses.SummaryStates`.
        described: the judged images.
    """

    heads: nn.ModuleList
    described: DescribedImages

    def save(self, path: Path) -> None:
        described = self.described
        stored = {
            "heads": self.heads.state_dict(),
            "phrases": list(described.phrases),
            "shown": torch.from_numpy(described.shown).to(torch.uint8),
            _UNLABELLED[0]: torch.from_numpy(described.unlabelled).half(),
        }
        with atomic_file(path) as temporary:
            torch.save(stored, temporary)

    @classmethod
    def load(cls, path: Path) -> PreferenceHeads:
        stored = torch.load(path, weights_only=True)
        key = next(name for name in _UNLABELLED if name in stored)
        indicators, unlabelled = (stored[name].float().numpy().astype(np.float32) for name in ("shown", key))
        described = DescribedImages(tuple(stored["phrases"]), indicators, unlabelled)
        states = stored["heads"]
        width, count = states["0.user.1.weight"].shape[1], len({name.partition(".")[0] for name in states})
        heads = nn.ModuleList(PreferenceHead(width, described.features.shape[1]) for _ in range(count))
        heads.load_state_dict(states)
        return cls(heads.requires_grad_(False).eval(), described)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that `picks` and synthetic users depend on."""
        tensors = [
            *self.heads.state_dict().values(),
            *map(torch.from_numpy, (self.described.shown, self.described.unlabelled)),
        ]
        total = hashlib.sha256(repr(self.described.phrases).encode())
        for tensor in tensors:
            total.update(tensor.contiguous().numpy().tobytes())
        return total.hexdigest()

    @torch.no_grad()
    def picks(self, last: Tensor, prompts: Sequence[str], *, one_in: int) -> list[list[int]]:
        """Rows of the best of each prompt's images, one in so many and at least one, per user.

        Args:
            last: (U, W) the last layer's state at the last token.
            prompts: of each row.
        """
        head, features = cast(PreferenceHead, self.heads[0]), self.described.features
        pictures = head.picture(features) / head.picture.out_features**0.5
        everyone = head.everyone(features).squeeze(-1)
        users = head.user(last.float())
        groups = _groups(prompts)
        rows_of_users: list[list[int]] = [[] for _ in users]
        for start in range(0, len(users), _CHUNK):
            logits = users[start : start + _CHUNK] @ pictures.T + everyone
            for group in groups:
                best = logits[:, group].topk(-(-len(group) // one_in), dim=1).indices
                for user, rows in enumerate(group[best].tolist(), start):
                    rows_of_users[user] += rows
        return rows_of_users


def _groups(prompts: Sequence[str]) -> list[Tensor]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        rows[prompt].append(row)
    rare = [row for group in rows.values() if len(group) < _ENOUGH for row in group]
    groups = [group for group in rows.values() if len(group) >= _ENOUGH]
    return [torch.tensor(group) for group in [*groups, rare] if group]
