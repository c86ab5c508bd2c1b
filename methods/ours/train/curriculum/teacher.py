"""A preference model without language, whose user states the miniature learns to predict.

A user is the difference between the means of liked and of disliked images, mapped by a matrix, and corrected by what a
small network makes of both sides; an image is liked as far as its own map agrees. Without the network only two matrices
are learned, so that a thousand users suffice: their product is the metric that users judge by. Ours, not the paper's,
whose language model is pretrained on images.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .history_batches import HistorySource

WIDTH = 64
COMPONENTS = 16
"""Components of the agreement, most important first; the rest of `WIDTH` hardly changes it."""
_LR = 2e-3
_SAMPLED = 32
"""Batches that the components are estimated from."""


class Teacher(nn.Module):
    """Likes (B, Q) of images from judged images; features have variance 1 and mean 0."""

    user_components: Tensor
    picture_components: Tensor

    def __init__(self, features: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.shown = nn.Linear(features, WIDTH, bias=False)
        self.asked = nn.Linear(features, WIDTH, bias=False)
        self.everyone = nn.Linear(features, 1)
        self.doubt = nn.Parameter(torch.tensor(1.0))
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("user_components", torch.zeros(WIDTH, COMPONENTS))
        self.register_buffer("picture_components", torch.zeros(features, COMPONENTS))
        self.seen = self.correction = None
        if hidden:
            self.seen = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, WIDTH))
            first, last = nn.Linear(3 * WIDTH, hidden), nn.Linear(hidden, WIDTH)
            nn.init.zeros_(last.weight)  # training starts from the two matrices
            nn.init.zeros_(last.bias)
            self.correction = nn.Sequential(first, nn.GELU(), last)

    @property
    def metric(self) -> Tensor:
        """(D, D), the symmetric part (M + M^T) / 2 of M = gain * shown^T asked: by which two images agree."""
        product = self.gain * self.shown.weight.T @ self.asked.weight
        return ((product + product.T) / 2).detach()

    def user(self, signs: Tensor, features: Tensor) -> Tensor:
        """Users (B, WIDTH) from features (B, H, D) and signs (B, H): 1 liked, -1 disliked, 0 not there."""
        linear = self._side_mean(signs, features, 1) - self._side_mean(signs, features, -1)
        users: Tensor = self.shown(linear)
        if self.seen is None or self.correction is None:
            return users
        hidden = self.seen(features)
        both = [self._side_mean(signs, hidden, sign) for sign in (1, -1)]
        corrected: Tensor = users + self.correction(torch.cat([3 * users, *both], 1))
        return corrected

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

    @torch.no_grad()
    def find_components(self, users: Tensor, pictures: Tensor) -> None:
        """Decomposes the agreement u . a of users u (N, WIDTH) and mapped pictures a = asked(p), p (M, D), like these.

        With U, A their covariances and U^(1/2) A^(1/2) = L S R^T: u . a = sum over k of (u W)_k (a V)_k, where W =
        U^(-1/2) L S^(1/2) and V = A^(-1/2) R S^(1/2). Both factors of component k have variance S_k and are
        uncorrelated with those of the others, so components are ordered by how much they change the agreement.
        """
        mapped = self.asked(pictures)
        roots = [_square_root(torch.cov(sample.T).double()) for sample in (users, mapped)]
        left_vectors, strengths, right_vectors = torch.linalg.svd(roots[0] @ roots[1])
        # Directions that hardly vary are left out: their inverse would be noise.
        inverses = [torch.linalg.pinv(root, rtol=1e-3, hermitian=True) for root in roots]
        scales = strengths[:COMPONENTS].sqrt()
        of_users = inverses[0] @ left_vectors[:, :COMPONENTS] * scales
        of_pictures = inverses[1] @ right_vectors[:COMPONENTS].T * scales
        self.user_components = of_users.float()
        self.picture_components = self.gain * self.asked.weight.T @ of_pictures.float()

    def agreement(self, users: Tensor, pictures: Tensor) -> Tensor:
        """Components of users (J, WIDTH), of one picture each (J, D), and their products.

        Returns:
            (3, J, COMPONENTS). The sum of a row's products is nearly by how much the two agree.
        """
        user, picture = users @ self.user_components, pictures @ self.picture_components
        return torch.stack([user, picture, user * picture])


def _square_root(covariance: Tensor) -> Tensor:
    """The symmetric root of a covariance: V diag(sqrt(lambda)) V^T."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root


def learn_teacher(source: HistorySource, *, hidden: int = 256, steps: int = 4000, seed: int = 0) -> Teacher:
    """Trains on the histories of a source: logistic loss on which other images their users like.

    Args:
        hidden: width of the network; 0 for the two matrices alone.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 5])
    teacher = Teacher(source.features.shape[1], hidden=hidden)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=_LR, weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LR * min(1.0, 2 * (1 - step / steps))  # falls over the second half
        batch = source.draw(rng)
        loss = F.binary_cross_entropy_with_logits(teacher(batch.signs, batch.history, batch.asked), batch.liked)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
        optimizer.step()
    teacher.requires_grad_(False).eval()
    samples = [source.draw(rng) for _ in range(_SAMPLED)]
    users = torch.cat([teacher.user(batch.signs, batch.history) for batch in samples])
    teacher.find_components(users, torch.cat([batch.asked.flatten(0, 1) for batch in samples]))
    return teacher
