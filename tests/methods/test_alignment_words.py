"""What users like as the text encoder reads it, one vector per phrase, and how far tokens are from that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prefbench.methods.ours.train.alignment_words import PHRASES, WordStates, content_words, distances
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.stats.mmd import GaussianMixture, unbiased_mmd


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> DiffusersBackbone:
    return load_backbone(tiny_sd, device="cpu")


@pytest.mark.parametrize(
    ("phrase", "left"),
    [
        ("with a star", "star"),
        ("neon colors", "neon colors"),
        (" in the style of the 1920s. ", "style 1920s"),
        ("close-up view", "close-up view"),
        ("with a", ""),
        (",", ""),
    ],
)
def test_content_words_are_what_a_phrase_speaks_of(phrase: str, left: str) -> None:
    assert content_words(phrase) == left


def test_a_phrase_is_one_vector_wherever_it_stands(backbone: DiffusersBackbone) -> None:
    states_of = WordStates(backbone, "phrases")
    states, spoken = states_of("with a star, neon colors, with the")
    assert spoken.tolist() == [True, True] + [False] * (PHRASES - 2)
    turned, _ = states_of("neon colors, a star")
    torch.testing.assert_close(states[:2], turned[[1, 0]])
    raw = backbone.prompts("neon colors")["prompt_embeds"][0, 1:3].float()
    torch.testing.assert_close(states[1], raw.mean(0))
    assert not states_of("")[1].any()
    assert states_of(", ".join(f"word{i}" for i in range(40)))[1].all()


def test_all_tokens_are_what_version_0_2_was_trained_with(backbone: DiffusersBackbone) -> None:
    states, spoken = WordStates(backbone, "tokens")("neon colors, star")
    raw = backbone.prompts("neon colors, star")["prompt_embeds"][0].float()
    torch.testing.assert_close(states, raw[1 : 1 + len(states)])
    assert int(spoken.sum()) == 4, "the comma counts"


def test_distances_stand_beside_their_floor() -> None:
    rng = torch.Generator().manual_seed(0)
    centres = torch.randn(60, 1, 5, generator=rng)
    words, mask = centres + torch.randn(60, 6, 5, generator=rng), torch.ones(60, 6, dtype=torch.bool)
    mask[:, 4:] = torch.arange(60)[:, None] % 2 == 0
    mask[-1] = False
    alike, far = centres + torch.randn(60, 4, 5, generator=rng), torch.randn(60, 4, 5, generator=rng) + 2
    near, other = distances(alike, words, mask), distances(far, words, mask)
    assert near["users"] == 59
    assert near["all_floor"] == other["all_floor"] == pytest.approx(0, abs=0.02)
    assert near["own_floor"] == pytest.approx(0, abs=0.1)
    assert near["all"] == pytest.approx(0, abs=0.02)
    assert near["own"] == pytest.approx(0, abs=0.06)
    assert min(other["all"], other["own"]) > 0.2
    y = words[mask].double()
    expected = unbiased_mmd(far[:-1].flatten(0, 1).double().numpy(), y.numpy(), GaussianMixture.at_median(y))
    assert other["all"] == pytest.approx(float(expected))
    shuffled = distances(alike[torch.randperm(60, generator=rng)], words, mask)
    assert shuffled["own"] > near["own"] + 0.05, "of other users' tokens"


def test_without_words_there_is_no_distance() -> None:
    nothing = distances(torch.randn(3, 2, 5), torch.zeros(3, 4, 5), torch.zeros(3, 4, dtype=torch.bool))
    assert nothing == {"users": 0, "all": None, "all_floor": None, "own": None, "own_floor": None}
    one = distances(torch.randn(3, 2, 5), torch.randn(3, 4, 5), torch.eye(3, 4, dtype=torch.bool))
    assert one["own"] is None
    assert np.isfinite(one["all"])
