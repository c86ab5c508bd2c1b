"""Rows of examples without users."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prefbench.methods.ours.train.sorted_pictures import SortedPictures

MANY, PROMPTS = 600, 5
GROUP = np.arange(MANY) % PROMPTS


@pytest.fixture(scope="module")
def tokens() -> Tensor:
    """What a prompt asks for is ten times as strong as the rest."""
    generator = torch.Generator().manual_seed(0)
    asked = 10 * torch.randn(PROMPTS, 3, 4, generator=generator)
    return asked[GROUP] + torch.randn(MANY, 3, 4, generator=generator)


@pytest.fixture(scope="module")
def rules(tokens: Tensor) -> SortedPictures:
    return SortedPictures(tokens, [f"prompt {i}" for i in GROUP])


def test_the_sides_are_of_one_size_and_lie_apart(rules: SortedPictures) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        most, least = rules(rng, 32)
        assert len(most) == len(least) == 16
        assert not {*most} & {*least}
        between = rules.looks[most].mean(0) - rules.looks[least].mean(0)
        assert (rules.looks[most] @ between).min() > (rules.looks[least] @ between).max() - 3 * between.std()
        assert np.linalg.norm(between) > 1.0


def test_a_rule_says_nothing_about_prompts(rules: SortedPictures) -> None:
    rng, shares = np.random.default_rng(1), []
    for _ in range(200):
        most, least = rules(rng, 32)
        shares.append(np.bincount(GROUP[most], minlength=PROMPTS) - np.bincount(GROUP[least], minlength=PROMPTS))
    assert np.abs(np.mean(shares, axis=0)).max() < 1.0
    assert np.std(shares) < 4.0, "as far apart as by chance"


def test_pictures_of_rare_prompts_are_compared_whole(tokens: Tensor) -> None:
    """A suite may have a prompt per picture; nothing would be left of a picture less its own mean."""
    alone = SortedPictures(tokens, [str(i) for i in range(MANY)])
    assert np.isfinite(alone.looks).all()
    assert alone.looks.std() > 0.1
