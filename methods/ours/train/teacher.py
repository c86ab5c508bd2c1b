"""A preference model without language, to teach the miniature how a history is read.

A user is the difference between the means of liked and of disliked pictures, mapped by a matrix, and corrected by
what a small network makes of both sides; a picture is liked as far as its own map agrees. Without the network two
matrices are all there is to learn, so that a thousand users suffice: their product is the metric that users judge by.
Ours, not the paper's, whose language model has read many images before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from prefbench.api import TrainUser

from .conversations import Sizes, Told, at_most, pick
from .practice import SyntheticUsers

WIDTH = 64
PARTS = 16
"""What agreement is taken apart into, most important first; the rest of `WIDTH` hardly moves it."""
_USERS, _QUERIES, _LR = 64, 16, 2e-3
_SAMPLED = 32
"""Lots that the principal parts are found from."""


class Teacher(nn.Module):
    """Likes (B, Q) of pictures from judged pictures; features of variance 1 and mean 0."""

    user_parts: Tensor
    picture_parts: Tensor

    def __init__(self, features: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.shown = nn.Linear(features, WIDTH, bias=False)
        self.asked = nn.Linear(features, WIDTH, bias=False)
        self.everyone = nn.Linear(features, 1)
        self.doubt = nn.Parameter(torch.tensor(1.0))
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("user_parts", torch.zeros(WIDTH, PARTS))
        self.register_buffer("picture_parts", torch.zeros(features, PARTS))
        self.seen = self.correction = None
        if hidden:
            self.seen = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, WIDTH))
            first, last = nn.Linear(3 * WIDTH, hidden), nn.Linear(hidden, WIDTH)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.correction = nn.Sequential(first, nn.GELU(), last)

    @property
    def metric(self) -> Tensor:
        """The symmetric part (D, D) of the bilinear form by which shown and asked pictures agree."""
        product = self.gain * self.shown.weight.T @ self.asked.weight
        return ((product + product.T) / 2).detach()

    def user(self, signs: Tensor, features: Tensor) -> Tensor:
        """Users (B, WIDTH) from features (B, H, D) and signs (B, H): 1 liked, -1 disliked, 0 not there."""
        linear = self._side(signs, features, 1) - self._side(signs, features, -1)
        users: Tensor = self.shown(linear)
        if self.seen is None or self.correction is None:
            return users
        seen = self.seen(features)
        both = [self._side(signs, seen, sign) for sign in (1, -1)]
        corrected: Tensor = users + self.correction(torch.cat([3 * users, *both], 1))
        return corrected

    def _side(self, signs: Tensor, values: Tensor, sign: int) -> Tensor:
        """The mean (B, .) of one side's values (B, H, .), drawn to zero where there are few."""
        there = (signs == sign).float()
        total: Tensor = (there[..., None] * values).sum(1)
        return total / (there.sum(1, keepdim=True) + self.doubt.exp())

    def forward(self, signs: Tensor, features: Tensor, pictures: Tensor) -> Tensor:
        """Logits (B, Q) that the users of `user` like pictures (B, Q, D)."""
        user = self.user(signs, features)
        logits: Tensor = self.gain * (self.asked(pictures) * user[:, None]).sum(-1) + self.everyone(pictures).squeeze(
            -1
        )
        return logits

    @torch.no_grad()
    def take_apart(self, users: Tensor, pictures: Tensor) -> None:
        """Finds the principal parts of the agreement between users (N, WIDTH) and pictures (M, D) like these."""
        asked = self.asked(pictures)
        roots = [_root(torch.cov(sample.T).double()) for sample in (users, asked)]
        left, strengths, right = torch.linalg.svd(roots[0] @ roots[1])
        inverses = [torch.linalg.pinv(root, rtol=1e-3, hermitian=True) for root in roots]
        weights = strengths[:PARTS].sqrt()
        of_users, of_pictures = inverses[0] @ left[:, :PARTS] * weights, inverses[1] @ right[:PARTS].T * weights
        self.user_parts = of_users.float()
        self.picture_parts = self.gain * self.asked.weight.T @ of_pictures.float()

    def agreement(self, users: Tensor, pictures: Tensor) -> Tensor:
        """Of users (J, WIDTH) each with a picture (J, D), in parts: the users', the pictures', their products.

        Returns:
            (3, J, PARTS). The sum of a row's products is nearly by how much the two agree.
        """
        user, picture = users @ self.user_parts, pictures @ self.picture_parts
        return torch.stack([user, picture, user * picture])


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root


def learn_teacher(
    train_users: Sequence[TrainUser],
    row: Mapping[str, int],
    features: Tensor,
    practice: SyntheticUsers | None,
    *,
    practised: float = 0.8,
    hidden: int = 256,
    steps: int = 4000,
    seed: int = 0,
) -> Teacher:
    """Trains on histories of the lessons' users, half of them reversed, and on practice users.

    Args:
        row: digest of a picture to its row of `features` (N, D).
        practised: share of practice users.
        hidden: width of the network; 0 for the two matrices alone.
    """
    torch.manual_seed(seed)
    rng, sizes = np.random.default_rng([seed, 5]), Sizes()
    teacher = Teacher(features.shape[1], hidden=hidden)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=_LR, weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LR * min(1.0, 2 * (1 - step / steps))
        drawn = _drawn(train_users, row, practice, practised, sizes, rng)
        signs, shown, asked, liked = (torch.from_numpy(part) for part in drawn)
        logits = teacher(signs, features[shown], features[asked])
        loss = F.binary_cross_entropy_with_logits(logits, liked)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
        optimizer.step()
    teacher.requires_grad_(False).eval()
    teacher.take_apart(*_sample(teacher, train_users, row, features, practice, practised, sizes, rng))
    return teacher


def _sample(
    teacher: Teacher,
    train_users: Sequence[TrainUser],
    row: Mapping[str, int],
    features: Tensor,
    practice: SyntheticUsers | None,
    practised: float,
    sizes: Sizes,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """The teacher's users, and pictures that they are asked about."""
    users, pictures = [], []
    for _ in range(_SAMPLED):
        lot = _drawn(train_users, row, practice, practised, sizes, rng)
        users.append(teacher.user(torch.from_numpy(lot.signs), features[torch.from_numpy(lot.shown)]))
        pictures.append(features[torch.from_numpy(lot.asked)].flatten(0, 1))
    return torch.cat(users), torch.cat(pictures)


class _Lot(NamedTuple):
    signs: NDArray[np.int64]
    """(B, H): 1 liked, -1 disliked, 0 not there."""
    shown: NDArray[np.int64]
    """(B, H) rows of features."""
    asked: NDArray[np.int64]
    """(B, Q) rows of features."""
    liked: NDArray[np.float32]
    """(B, Q) answers, 0 or 1."""


def _drawn(
    train_users: Sequence[TrainUser],
    row: Mapping[str, int],
    practice: SyntheticUsers | None,
    practised: float,
    sizes: Sizes,
    rng: np.random.Generator,
) -> _Lot:
    """Histories of random users, and pictures that they do not show to ask about."""
    most = 2 * sizes.most
    signs, shown = np.zeros((_USERS, most), np.int64), np.zeros((_USERS, most), np.int64)
    asked = np.zeros((_USERS, _QUERIES), np.int64)
    liked = (rng.random((_USERS, _QUERIES)) < 0.5).astype(np.float32)
    for user in range(_USERS):
        train_user = practice(rng) if practice is not None and rng.random() < practised else pick(train_users, rng)
        told = Told.of(train_user, flipped=rng.random() < 0.5)
        judged = (told.liked, told.disliked)
        sides = [[row[side[int(i)].picture.digest] for i in rng.permutation(len(side))] for side in judged]
        taken = [at_most(size, side) for size, side in zip(sizes.draw(rng), sides, strict=True)]
        history = [(1, r) for r in sides[0][: taken[0]]] + [(-1, r) for r in sides[1][: taken[1]]]
        signs[user, : len(history)], shown[user, : len(history)] = zip(*history, strict=True)
        rest = [side[n:] for side, n in zip(sides, taken, strict=True)]
        for i, like in enumerate(liked[user]):
            asked[user, i] = pick(rest[0] if like else rest[1], rng)
    return _Lot(signs, shown, asked, liked)
