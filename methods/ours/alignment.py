"""Stage 3's alignment loss: the mapped `e_sem` against the text encoder's states, as distributions or user by user."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from prefbench.stats.mmd import GaussianMixture, biased_mmd, median_distance, unbiased_mmd

Alignment = Literal["none", "cosine", "mse", "contrastive", "mmd", "mmd-unbiased", "mmd-user", "mmd-both"]
Words = Literal["tokens", "phrases"]
"""What a user likes in words, as the alignment sees it: every word token of all phrases, joined by commas, or one
vector per phrase of content words, the mean of its word states."""


def alignment_loss(mapped: Tensor, words: Tensor, mask: Tensor, kind: Alignment) -> Tensor:
    """The loss, a scalar; 0 for `none`, where nobody in the batch has words, and for MMD where most are one word.

    `mmd` is MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) between the set of all mapped tokens x and the set of all
    word states y, k the mean of Gaussian kernels at 0.25, 0.5, 1, 2 and 4 times the median distance between word states
    (ours: the paper does not say). It pairs no user with the user's own words; `mmd-user` does: it is the mean over
    users of the MMD^2 between a user's own mapped tokens and own words, without a token's or a word's kernel with
    itself, so that tokens of one user may stay apart. `mmd-both` is the sum of `mmd` and `mmd-user`. The others compare
    each user's mean mapped token with the mean of the user's own word states: 1 - cosine, squared error, or InfoNCE at
    a temperature of 0.1 among the users of the batch.

    Args:
        mapped: (B, T, D).
        words: (B, L, D) states of the text encoder for what each user likes in words.
        mask: (B, L) which of them belong to words.
    """
    spoken = mask.any(1)
    if kind == "none" or not spoken.any():
        return mapped.new_zeros(())
    if kind.startswith("mmd"):
        return _mmd(mapped[spoken], words[spoken], mask[spoken], kind)
    weights = mask[spoken].unsqueeze(2).to(words.dtype)
    own = mapped[spoken].mean(1)
    target = (words[spoken] * weights).sum(1) / weights.sum(1)
    if kind == "cosine":
        return (1 - F.cosine_similarity(own, target)).mean()
    if kind == "mse":
        return F.mse_loss(own, target)
    logits = F.normalize(own, dim=1) @ F.normalize(target, dim=1).T / 0.1
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def _mmd(mapped: Tensor, words: Tensor, mask: Tensor, kind: Alignment) -> Tensor:
    """The kinds of MMD^2, over users who have words."""
    x, y = mapped.flatten(0, 1), words[mask]
    if not median_distance(y) > 0:  # no kernel's width follows from it
        return mapped.new_zeros(())
    kernel = GaussianMixture.at_median(y)
    total = mapped.new_zeros(())
    if kind != "mmd-user":
        total = total + (unbiased_mmd if kind == "mmd-unbiased" else biased_mmd)(x, y, kernel)
    if kind in ("mmd-user", "mmd-both"):
        total = total + user_mmd(mapped, words, mask, kernel).mean()
    return total


def user_mmd(mapped: Tensor, words: Tensor, mask: Tensor, kernel: GaussianMixture) -> Tensor:
    """Each user's MMD^2 (B,) = E k(x, x') + E k(y, y') - 2 E k(x, y), x the user's tokens, y the user's words.

    Within a set only different members are paired; one member alone counts as k = 1.

    Args:
        mapped: (B, T, D).
        words: (B, L, D), of which `mask` (B, L) are the user's; at least one.
    """
    everything = torch.ones(mapped.shape[:2], dtype=torch.bool, device=mapped.device)
    return (
        _within(mapped, everything, kernel)
        + _within(words, mask, kernel)
        - 2 * _mean(kernel_matrices(mapped, words, kernel), everything[:, :, None] & mask[:, None])
    )


def kernel_matrices(x: Tensor, y: Tensor, kernel: GaussianMixture) -> Tensor:
    """k of all pairs within each user, (B, N, M) from (B, N, D) and (B, M, D)."""
    squared = (x * x).sum(2)[:, :, None] + (y * y).sum(2)[:, None] - 2 * x @ y.transpose(1, 2)
    return torch.stack([(squared / (-2 * width**2)).exp() for width in kernel.widths]).mean(0)


def _within(x: Tensor, mask: Tensor, kernel: GaussianMixture) -> Tensor:
    """E k(x, x') over different members; 1 where there is only one."""
    pairs = mask[:, :, None] & mask[:, None] & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    alone = ~pairs.flatten(1).any(1)
    return torch.where(alone, torch.ones_like(x[:, 0, 0]), _mean(kernel_matrices(x, x, kernel), pairs))


def _mean(values: Tensor, pairs: Tensor) -> Tensor:
    """The mean (B,) of values (B, N, M) over pairs; 0 without any."""
    return (values * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)
