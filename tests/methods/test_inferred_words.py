"""`inferred-words` draws the inferred taste as far as words go, with the backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prefbench.api import Case, Context, PrefbenchError, Request, to_pixels
from prefbench.check.made_up import MadeUpTruth, made_up_history
from prefbench.methods.controls.inferred_words import InferredWords
from prefbench.models.backbones.loader import load_backbone


def test_the_words_of_the_inferred_taste_are_appended_to_the_prompt(tiny_sd: Path) -> None:
    backbone, method = load_backbone(str(tiny_sd), device="cpu", steps=1), InferredWords()
    method.setup(Context(backbone, truth=MadeUpTruth()))
    profile = method.profile(made_up_history("test-0"))
    requests = [Request(Case("c", "test-0", "a fox"), 0, seed, profile) for seed in (3, 4)]
    drawings = method.generate(requests)
    assert [drawing.prompt_used for drawing in drawings] == ["a fox, forest colors"] * 2
    expected = backbone.generate(["a fox, forest colors"] * 2, [3, 4])
    for drawing, image in zip(drawings, expected, strict=True):
        np.testing.assert_array_equal(to_pixels(drawing.image), to_pixels(image))


def test_it_needs_a_known_truth(tiny_sd: Path) -> None:
    with pytest.raises(PrefbenchError, match="inferred-words needs a suite whose truth is known"):
        InferredWords().setup(Context(load_backbone(str(tiny_sd), device="cpu", steps=1)))
