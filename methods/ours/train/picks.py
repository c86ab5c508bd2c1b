"""What a user would like best, by what the first stage learned: the pictures that the denoiser is trained to draw.

A user's own likes are few and noisy, and mean little more than better than three others. The heads that asked the
language model's states for a taste can ask them about every judged picture, and their favourites are a clear target.
The head on the last token is asked, where the user embedding is read. Ours, not the paper's.
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

from .practice import Described
from .question_task import Gathered, PreferenceHead

_ENOUGH = 64
"""Pictures of one prompt that are compared among themselves; those of rarer prompts are compared with each other."""
_CHUNK = 256


@dataclass(frozen=True)
class Taste:
    """The heads of the first stage, and what they are asked about.

    Args:
        heads: on the last token and on the mean, as `tuning.Gathered`.
        described: the judged pictures.
    """

    heads: nn.ModuleList
    described: Described

    def save(self, path: Path) -> None:
        described = self.described
        stored = {
            "heads": self.heads.state_dict(),
            "phrases": list(described.phrases),
            "shown": torch.from_numpy(described.shown).to(torch.uint8),
            "unsaid": torch.from_numpy(described.unsaid).half(),
        }
        with atomic_file(path) as temporary:
            torch.save(stored, temporary)

    @classmethod
    def load(cls, path: Path) -> Taste:
        stored = torch.load(path, weights_only=True)
        shown, unsaid = (stored[name].float().numpy().astype(np.float32) for name in ("shown", "unsaid"))
        described = Described(tuple(stored["phrases"]), shown, unsaid)
        width = stored["heads"]["0.user.1.weight"].shape[1]
        heads = nn.ModuleList(PreferenceHead(width, described.features.shape[1]) for _ in Gathered._fields)
        heads.load_state_dict(stored["heads"])
        return cls(heads.requires_grad_(False).eval(), described)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that picks and practice users depend on."""
        tensors = [
            *self.heads.state_dict().values(),
            *map(torch.from_numpy, (self.described.shown, self.described.unsaid)),
        ]
        total = hashlib.sha256(repr(self.described.phrases).encode())
        for tensor in tensors:
            total.update(tensor.contiguous().numpy().tobytes())
        return total.hexdigest()

    @torch.no_grad()
    def picks(self, last: Tensor, prompts: Sequence[str], *, one_in: int) -> list[list[int]]:
        """Rows of the best of each prompt's pictures, one in so many and at least one, for each user.

        Args:
            last: (U, W) the last layer's state at the last token.
            prompts: of each row.
        """
        head, features = cast(PreferenceHead, self.heads[0]), self.described.features
        pictures = head.picture(features) / head.picture.out_features**0.5
        everyone = head.everyone(features).squeeze(-1)
        users = head.user(last.float())
        groups = _groups(prompts)
        found: list[list[int]] = [[] for _ in users]
        for start in range(0, len(users), _CHUNK):
            logits = users[start : start + _CHUNK] @ pictures.T + everyone
            for group in groups:
                best = logits[:, group].topk(-(-len(group) // one_in), dim=1).indices
                for user, rows in enumerate(group[best].tolist(), start):
                    found[user] += rows
        return found


def _groups(prompts: Sequence[str]) -> list[Tensor]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        rows[prompt].append(row)
    rare = [row for group in rows.values() if len(group) < _ENOUGH for row in group]
    groups = [group for group in rows.values() if len(group) >= _ENOUGH]
    return [torch.tensor(group) for group in [*groups, rare] if group]
