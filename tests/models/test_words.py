"""The extractor over visual words, and how its words are learned: from pixels, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from prefbench.api import PrefbenchError
from prefbench.api.gradients import SlopedExtractor
from prefbench.models.extractors.words import mini_words
from prefbench.models.visual_words import VisualWords
from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.miniatures import mini_words as learning
from prefbench.suites.picturebook.miniatures.mini_words import Sizes, learn_words, save_mini_words, train_mini_words
from prefbench.training.loop import FitConfig

FEW = Sizes(words=6, patch=5, picture=8)


def pictures(n: int, side: int = 32) -> NDArray[np.uint8]:
    """Fields of two colours with some grain, so that patches differ in more than noise."""
    rng = np.random.default_rng(0)
    fields = rng.integers(0, 256, (n, 2, 2, 3)).repeat(side // 2, axis=1).repeat(side // 2, axis=2)
    return np.asarray((fields + rng.normal(0, 12, fields.shape)).clip(0, 255), dtype=np.uint8)


@pytest.fixture(scope="module")
def words() -> VisualWords:
    return learn_words(pictures(60), sizes=FEW)


@pytest.fixture
def folder(words: VisualWords, tmp_path: Path) -> Path:
    save_mini_words(words, tmp_path)
    return tmp_path


def test_a_word_says_by_how_much_it_is_nearer_than_the_mean_one(words: VisualWords) -> None:
    """The triangle activation, one patch after the other in numpy."""
    shown = pictures(1)
    vocabulary = words.vocabularies[0]
    whiten, shift, centres = (getattr(vocabulary, name).double().numpy() for name in ("whiten", "shift", "centres"))
    padded = np.pad(shown[0] / 127.5 - 1, ((2, 2), (2, 2), (0, 0)), mode="edge").transpose(2, 0, 1)
    places = range(0, 31, 2)
    said = np.empty((len(centres), len(places), len(places)))
    for i, y in enumerate(places):
        for j, x in enumerate(places):
            patch = np.einsum("kchw,chw->k", whiten, padded[:, y : y + 6, x : x + 6]) + shift
            distances = np.linalg.norm(centres - patch, axis=1)
            said[:, i, j] = np.maximum(distances.mean() - distances, 0)
    quarters = said.reshape(len(centres), 2, 8, 2, 8).mean((2, 4)).ravel()
    found = vocabulary(torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1)
    np.testing.assert_allclose(found[0], quarters, atol=2e-3)
    assert (quarters > 0).sum() > len(quarters) / 2


def test_features_do_not_correlate_over_the_pictures_they_were_learned_from(words: VisualWords) -> None:
    shown = torch.from_numpy(pictures(60)).permute(0, 3, 1, 2).float() / 127.5 - 1
    features = words(shown)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    covariance = torch.cov(features.T).numpy()
    variances = np.diag(covariance)
    np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-3 * variances[0])
    assert (np.diff(variances) <= 1e-6).all(), "the largest first"


def test_words_are_learned_from_pixels_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels give the same weights; other pictures do not."""
    monkeypatch.setattr(learning, "SIZES", FEW)
    corpus = Corpus(pictures(40), np.zeros((40, 11), np.int8), np.zeros((40, 9), bool))
    config = FitConfig(images=40)

    def weights(corpus: Corpus) -> dict[str, torch.Tensor]:
        return train_mini_words([corpus], config, tmp_path)[0].state_dict()

    first = weights(corpus)
    labelled = weights(replace(corpus, scenes=corpus.scenes + 1, named=~corpus.named))
    assert all(torch.equal(first[name], labelled[name]) for name in first)
    other = weights(replace(corpus, pictures=255 - corpus.pictures))
    assert not torch.equal(first["mean"], other["mean"])


def test_the_extractor_gives_what_was_written(words: VisualWords, folder: Path) -> None:
    encoder, shown = mini_words(folder), pictures(5)
    with torch.no_grad():
        expected = words(torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1)
    np.testing.assert_allclose(encoder.images(list(shown)), expected, atol=0.1)
    assert encoder.id.startswith("mini-words[quarters]@")
    enlarged = [picture.repeat(2, axis=0).repeat(2, axis=1) for picture in shown]
    np.testing.assert_allclose(encoder.images(enlarged), encoder.images(list(shown)), atol=1e-6)


def test_its_slopes_are_finite_differences(folder: Path) -> None:
    with torch.inference_mode():  # a scorer loads its encoder when it is first asked
        encoder = mini_words(folder)
    assert isinstance(encoder, SlopedExtractor)
    shown = pictures(1).astype(np.float64)

    def value(features: torch.Tensor) -> torch.Tensor:
        return features[:, 0]

    slopes = encoder.image_slopes(shown, value)
    step = np.zeros_like(shown)
    step[0, 10:20, 10:20, 1] = 0.5
    up, down = (encoder.image_slopes(shown + sign * step, value).values[0] for sign in (1, -1))
    assert (slopes.gradients * step).sum() == pytest.approx((up - down) / 2, rel=0.05)


def test_what_is_wrong_with_words_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="prefbench train mini-words --install"):
        mini_words(tmp_path / "none")
    encoder = mini_words(folder)
    with pytest.raises(PrefbenchError, match="'mini-words' has no text tower; 2 texts"):
        encoder.texts(["a", "b"])
    with pytest.raises(PrefbenchError, match="uint8 pictures"):
        encoder.images([np.zeros((32, 32, 3), np.float32)])
    with pytest.raises(PrefbenchError, match="gradients of pictures of side 32 alone"):
        encoder.image_slopes(np.zeros((1, 16, 16, 3)), lambda features: features[:, 0])  # type: ignore[attr-defined]
    (folder / "config.json").write_text('{"scales": []}')
    with pytest.raises(PrefbenchError, match="cannot be loaded"):
        mini_words(folder)
