"""Prompts as counts of hashed words: enough to predict whether a picture shows what its prompt names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor

from .model import WORDS


def word_counts(prompts: Sequence[str]) -> Tensor:
    """Counts (N, WORDS) of each prompt's words, hashed, without their order, so that new combinations generalise."""
    hashing = HashingVectorizer(n_features=WORDS, norm=None, alternate_sign=False, dtype=np.float32)
    return torch.from_numpy(hashing.transform(prompts).toarray())
