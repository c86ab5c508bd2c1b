"""Auxiliary losses of the miniature: heads that read preferences off its states, and a teacher to imitate.

The paper trains an 8 B model that already reads images, on questions alone. A miniature with random weights learns to
answer by looking back at the history, and its last token then holds no more than the next word. So heads that are
dropped afterwards predict, from that token and from the mean alone, which other images the user likes; and the states
must predict the user states of a small preference model without language. Ours, not the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prefbench.training.frozen import Frozen
from prefbench.training.loop import Batch

from .preference_heads import PreferenceHead, standardised
from .teacher import COMPONENTS, WIDTH, Teacher


class SummaryStates(NamedTuple):
    """States (B, W) that must hold what the user likes."""

    last: Tensor
    mean: Tensor


class WeightedErrors(NamedTuple):
    """Losses that enter the total as their sum times a weight."""

    weight: float
    errors: Sequence[Tensor]


def summary_states(states: Tensor, mask: Tensor, opened: Tensor) -> SummaryStates:
    """States (B, tokens, W) at the last token before the first answer, and in the mean up to it."""
    before = mask * (torch.arange(mask.shape[1], device=mask.device) <= opened[:, None])
    mean = (states * before[..., None]).sum(1) / before.sum(1, keepdim=True)
    return SummaryStates(states[torch.arange(len(opened), device=opened.device), opened], mean)


class CurriculumLosses(nn.Module):
    """Two losses of the heads, and four against the teacher's outputs on the same histories and images.

    Args:
        width: W of the language model's states.
        pictures: features (N, D) of all judged images, for heads and teacher.
        head_weight: 0 for no heads.
        teacher: None for none.
    """

    def __init__(
        self,
        width: int,
        pictures: Tensor,
        *,
        head_weight: float,
        teacher: Teacher | None = None,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.heads = self.followers = self.judge = None
        if head_weight:
            self.heads = nn.ModuleList(PreferenceHead(width, pictures.shape[1]) for _ in SummaryStates._fields)
        if teacher is not None:
            self.followers = nn.ModuleList(
                nn.Sequential(standardised(width), nn.Linear(width, WIDTH)) for _ in ("last", "mean", "images")
            )
            self.judge = nn.Sequential(standardised(width), nn.Linear(width, 3 * COMPONENTS))
        self.register_buffer("pictures", pictures, persistent=False)
        self.teacher = Frozen(teacher)
        self.head_weight, self.teacher_weight = head_weight, teacher_weight

    def forward(self, batch: Batch, final: Tensor) -> list[WeightedErrors]:
        """The losses on the last layer's states (B, tokens, W)."""
        states = summary_states(final, batch["attention_mask"], batch["opened"])
        losses = []
        if self.heads is not None:
            losses.append(WeightedErrors(self.head_weight, self._head_errors(batch, states)))
        if self.followers is not None:
            users = self._users(batch)
            errors = [*self._user_errors(states, users), self._image_error(batch, final)]
            losses.append(WeightedErrors(self.teacher_weight, [*errors, self._answer_error(batch, final, users)]))
        return losses

    def _head_errors(self, batch: Batch, states: SummaryStates) -> list[Tensor]:
        """Logistic losses on which of the queried images the user likes."""
        assert self.heads is not None
        pictures = self.get_buffer("pictures")[batch["queries"]].float()
        return [
            F.binary_cross_entropy_with_logits(head(state, pictures), batch["likes"])
            for head, state in zip(self.heads, states, strict=True)
        ]

    def _user_errors(self, states: SummaryStates, users: Tensor) -> list[Tensor]:
        """Mean squared errors to the teacher's users (B, WIDTH), in variances: at the last token, and in the mean."""
        assert self.followers is not None
        target = _in_deviations(users)
        return [F.mse_loss(follow(state), target) for follow, state in zip(self.followers, states, strict=False)]

    def _users(self, batch: Batch) -> Tensor:
        """The teacher's user states (B, WIDTH); images (I,) of all histories are padded to (B, H) by owner first."""
        teacher, _, features = self._teaching(batch)
        users, owners = len(batch["opened"]), batch["owners"]
        position = torch.arange(len(owners), device=owners.device) - torch.searchsorted(owners, owners)
        shape = (users, int(position.max()) + 1)
        signs = batch["signs"].new_zeros(shape).index_put((owners, position), batch["signs"])
        history = features.new_zeros(*shape, features.shape[1]).index_put((owners, position), features)
        return teacher.user(signs, history)

    def _image_error(self, batch: Batch, final: Tensor) -> Tensor:
        """Mean squared error at the tokens of each judged image, to the teacher's mapping of that image alone."""
        teacher, followers, features = self._teaching(batch)
        signs, seen_at = batch["signs"], batch["seen_at"]
        rows, columns = torch.nonzero(seen_at >= 0, as_tuple=True)
        which = seen_at[rows, columns]
        at_images = final.new_zeros(len(signs), final.shape[2]).index_add(0, which, final[rows, columns])
        at_images = at_images / torch.bincount(which, minlength=len(signs))[:, None]
        is_example = signs != 0
        target = _in_deviations(teacher.shown(signs[is_example, None] * features[is_example]))
        return F.mse_loss(followers[2](at_images[is_example]), target)

    def _answer_error(self, batch: Batch, final: Tensor, users: Tensor) -> Tensor:
        """Mean squared error at the token before a yes or no: to the components of user, image and their agreement.

        Without it the miniature's answers stayed at chance, though its states held both user and image.
        """
        teacher, _, features = self._teaching(batch)
        assert self.judge is not None
        owners, columns, images = batch["image_answers"].unbind(1)
        if len(set(owners.tolist())) < 2:  # a single user has no deviations
            return _zero_through(self.judge)
        target = teacher.agreement(users[owners], features[images])
        scaled_target = torch.cat([_in_deviations(component) for component in target], 1)
        return F.mse_loss(self.judge(final[owners, columns]), scaled_target)

    def _teaching(self, batch: Batch) -> tuple[Teacher, nn.ModuleList, Tensor]:
        """The teacher, its followers, and features (I, D) of the shown images."""
        assert self.teacher.module is not None
        assert self.followers is not None
        features = self.get_buffer("pictures")[batch["shown"]].float()
        return self.teacher.module.to(features.device), self.followers, features


def _zero_through(module: nn.Module) -> Tensor:
    """A zero loss that depends on all parameters, as distributed training needs."""
    return 0.0 * torch.stack([parameter.sum() for parameter in module.parameters()]).sum()


def _in_deviations(target: Tensor) -> Tensor:
    """Targets (N, W) over the mean standard deviation of their numbers."""
    return target / target.std(0, correction=0).mean().clamp(min=1e-6)
