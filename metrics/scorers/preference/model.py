"""The network of the scorer `preference`: attention over the judged history, and agreement with the prompt.

The model works on frozen features. A history's judgments give one user vector by kernel ridge regression in a learned
projection: each judgment gets a weight, and a picture's logit is the weighted sum of its inner products with the judged
pictures. That is linear attention with values from a closed-form solve, so that few users suffice to learn it (a
differentiable closed-form learner: Bertinetto et al., ICLR 2019, arXiv 1805.08136). What all users like in common is a
linear term of its own. Whether a picture shows its prompt is a second probability: nobody likes a picture that does not
show what they asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

WORDS = 512
"""Hash buckets for the words of a prompt."""


@dataclass(frozen=True)
class Histories:
    """A batch of histories: features (B, N, D), and labels (B, N): 1 liked, -1 disliked, 0 for padding."""

    features: Tensor
    labels: Tensor


class PreferenceModel(nn.Module):
    """P(liked) = P(fits the user) P(shows the prompt).

    Args:
        width: of the features.
        rank: dimensions of the projection in which users and pictures are compared.
        meeting: dimensions of the space in which pictures and prompts are compared.
    """

    mean: Tensor
    scale: Tensor
    calibration: Tensor

    def __init__(self, width: int, *, rank: int = 32, meeting: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(1))
        self.project = nn.Linear(width, rank, bias=False)
        self.population = nn.Linear(width, 1)
        self.log_penalty = nn.Parameter(torch.tensor(1.0))
        self.log_gain = nn.Parameter(torch.tensor(1.0))
        self.see = nn.Linear(width, meeting)
        self.read = nn.Linear(WORDS, meeting, bias=False)
        self.log_strictness = nn.Parameter(torch.tensor(0.0))
        self.doubt = nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))
        nn.init.orthogonal_(self.project.weight)
        nn.init.zeros_(self.population.weight)

    def standardise(self, features: Tensor) -> Tensor:
        """Features (..., D) about their mean, of mean square 1: directions keep their relative spread."""
        standard: Tensor = (features - self.mean) / self.scale
        return standard

    def user_vectors(self, histories: Histories) -> Tensor:
        """User vectors (B, rank) of histories by kernel ridge regression: gain Xᵀ(XXᵀ + penalty I)⁻¹y."""
        examples = self.project(self.standardise(histories.features)) * histories.labels.abs()[..., None]
        kernel = examples @ examples.transpose(1, 2)
        penalty = self.log_penalty.exp() * torch.eye(examples.shape[1], device=examples.device)
        weights = torch.linalg.solve(kernel + penalty, histories.labels[..., None])
        user_vector: Tensor = self.log_gain.exp() * (examples.transpose(1, 2) @ weights)[..., 0]
        return user_vector

    def fit_logits(self, user_vectors: Tensor, features: Tensor) -> Tensor:
        """Logits (B, Q) that pictures (B, Q, D) fit user vectors (B, rank), not calibrated."""
        standard = self.standardise(features)
        personal: Tensor = (self.project(standard) @ user_vectors[..., None])[..., 0]
        return personal + torch.as_tensor(self.population(standard)[..., 0])

    def prompt_logits(self, features: Tensor, words: Tensor) -> Tensor:
        """Logits (N,) that pictures (N, D) show the prompts whose words are given (N, WORDS)."""
        agreement = (self.see(self.standardise(features)) * self.read(words)).sum(-1)
        logits: Tensor = self.log_strictness.exp() * agreement + self.doubt
        return logits

    def liked(self, user_vector: Tensor, features: Tensor, words: Tensor) -> Tensor:
        """P(liked) (Q,) of pictures (Q, D) with prompts (Q, WORDS) for one user vector (rank,), calibrated."""
        slope, intercept = self.calibration
        fit = torch.sigmoid(slope * self.fit_logits(user_vector[None], features[None])[0] + intercept)
        liked: Tensor = fit * torch.sigmoid(self.prompt_logits(features, words))
        return liked
