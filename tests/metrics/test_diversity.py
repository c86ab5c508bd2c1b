"""`diversity` against a loop over pairs."""

from __future__ import annotations

import numpy as np
import pytest

from prefbench.api import DrawnImages, Evidence, PrefbenchError
from prefbench.metrics.diversity import Diversity
from tests.support.judged import cosine, drawn, smooth, thumbnails

NOTHING = Evidence(None, {})


def test_diversity_is_the_mean_distance_to_the_others_of_a_case() -> None:
    groups = {("a", "p"): [1, 2, 3], ("a", "q"): [1, 9], ("b", "p"): [2, 2, 5, 6], ("b", "q"): [7]}
    samples = [s for (user, prompt), seeds in groups.items() for s in drawn(user, [smooth(i) for i in seeds], prompt)]
    features = thumbnails([s.pixels for s in samples])
    shuffled = np.random.default_rng(0).permutation(len(samples))
    found = Diversity().score(DrawnImages([samples[i] for i in shuffled], features[shuffled], NOTHING))
    assert list(found) == ["diversity"]
    for place, value in zip(shuffled, found["diversity"], strict=True):
        same = [
            j for j, s in enumerate(samples)
            if j != place and (s.user, s.prompt) == (samples[place].user, samples[place].prompt)
        ]  # fmt: skip
        distances = [1 - cosine(features[place], features[j]) for j in same]
        assert value == (pytest.approx(np.mean(distances), abs=1e-12) if same else None)


def test_copies_have_none_opposites_most_and_noise_much() -> None:
    samples = drawn("a", [smooth(1)] * 2)
    v = thumbnails([smooth(1)])[0]
    assert Diversity().score(DrawnImages(samples, np.stack([v, 3 * v]), NOTHING))["diversity"] == pytest.approx(
        [0, 0], abs=1e-12
    )
    assert Diversity().score(DrawnImages(samples, np.stack([v, -v]), NOTHING))["diversity"] == pytest.approx([2, 2])
    noise = np.random.default_rng(0).standard_normal((2, 192))
    assert Diversity().score(DrawnImages(samples, noise, NOTHING))["diversity"] == pytest.approx([1, 1], abs=0.2)


def test_what_has_no_direction_does_not_count() -> None:
    samples = drawn("a", [smooth(i) for i in range(3)])
    features = thumbnails([s.pixels for s in samples])
    features[1] = 0
    distance = 1 - cosine(features[0], features[2])
    found = Diversity().score(DrawnImages(samples, features, NOTHING))["diversity"]
    assert found == [pytest.approx(distance), None, pytest.approx(distance)]
    with pytest.raises(PrefbenchError, match="diversity needs one feature row per sample"):
        Diversity().score(DrawnImages(samples, None, NOTHING))
