"""Stage 3's alignment loss: the mapped `e_sem` against the text encoder's states, as distributions or user by user."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from prefbench.stats.mmd import GaussianMixture, biased_mmd, median_distance, unbiased_mmd

Alignment = Literal["none", "cosine", "mse", "contrastive", "mmd", "mmd-unbiased"]


def alignment_loss(mapped: Tensor, words: Tensor, mask: Tensor, kind: Alignment) -> Tensor:
    """The loss, a scalar; 0 for `none`, where nobody in the batch has words, and for `mmd` where most are one word.

    `mmd` is MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) between the set of all mapped tokens x and the set of all
    word states y, k the mean of Gaussian kernels at 0.25, 0.5, 1, 2 and 4 times the median distance between word states
    (ours: the paper does not say). It pairs no user with the user's own words. The others compare each user's mean
    mapped token with the mean of the user's own word states: 1 - cosine, squared error, or InfoNCE at a temperature of
    0.1 among the users of the batch.

    Args:
        mapped: (B, T, D).
        words: (B, L, D) states of the text encoder for what each user likes in words.
        mask: (B, L) which of them belong to words.
    """
    spoken = mask.any(1)
    if kind == "none" or not spoken.any():
        return mapped.new_zeros(())
    if kind in ("mmd", "mmd-unbiased"):
        x, y = mapped[spoken].flatten(0, 1), words[mask]
        if not median_distance(y) > 0:  # no kernel's width follows from it
            return mapped.new_zeros(())
        kernel = GaussianMixture.at_median(y)
        loss: Tensor = (biased_mmd if kind == "mmd" else unbiased_mmd)(x, y, kernel)
        return loss
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
