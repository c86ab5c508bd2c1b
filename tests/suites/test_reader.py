"""The shipped instruments on pictures that nobody trained on: the reader, mini-clip, its text tower in transformers."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import CLIPTextModel

from prefbench.files import WEIGHTS
from prefbench.suites.picturebook.data.corpus import Corpus, CorpusRecipe, load_corpus
from prefbench.suites.picturebook.miniatures.mini_clip import build_mini_clip, load_mini_clip, to_pixels
from prefbench.suites.picturebook.reader.networks import Reader
from prefbench.suites.picturebook.reader.panel import Panel
from prefbench.suites.picturebook.reader.reader import load_reader, save_reader
from prefbench.suites.picturebook.world.axes import (
    AXES,
    AXIS,
    BY_PROMPT,
    NAMEABLE,
    OBJECT,
    SETTING,
    STYLE_NAMES,
    Content,
)
from prefbench.suites.picturebook.world.words import picturebook_tokenizer, text_config
from prefbench.training.convert import text_model

Accuracies = dict[str, float]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Fresh pictures: every content, every axis uniform, a seed that no training used."""
    return load_corpus(CorpusRecipe("uniform", 1_500, seed=2024))


@pytest.fixture(scope="module")
def clip() -> open_clip.CLIP:
    return load_mini_clip()


# --------------------------------------------------------------------------------------------------- reader


@pytest.mark.slow
def test_reader_reads_every_axis(corpus: Corpus) -> None:
    read = load_reader().read(corpus.pictures)
    accuracy = {
        axis.name: (read[axis.name].argmax(1) == corpus.scenes[:, a]).mean().item() for a, axis in enumerate(AXES)
    }
    assert min(accuracy.values()) >= 0.97, accuracy


@pytest.mark.slow
def test_readers_are_never_surer_than_they_are_right(corpus: Corpus) -> None:
    """Probabilities sum to one, and softer ones (roots) would predict the true values worse.

    Sharper ones (squares) would predict flawless pictures better: readers learned from pictures with noise against
    them, of which they are less sure.
    """
    read = load_reader().read(corpus.pictures)
    rows, surprise = np.arange(len(corpus)), dict.fromkeys((0.5, 1.0, 2.0), 0.0)
    for a, axis in enumerate(AXES):
        assert read[axis.name].shape == (len(corpus), len(axis))
        np.testing.assert_allclose(read[axis.name].sum(1), 1, atol=1e-9)
        for power in surprise:
            changed = np.maximum(read[axis.name], 1e-300) ** power
            changed /= changed.sum(1, keepdims=True)
            surprise[power] -= np.log(changed[rows, corpus.scenes[:, a]]).mean()
    assert surprise[2.0] < surprise[1.0] < surprise[0.5]
    assert surprise[1.0] / len(AXES) < 0.05, "nats of an axis"


@pytest.mark.slow
def test_reading_does_not_depend_on_the_batch(corpus: Corpus) -> None:
    reader = load_reader()
    whole, single = reader.read(corpus.pictures[:12]), reader.read(corpus.pictures[:12], batch=5)
    for name in AXIS:
        np.testing.assert_allclose(whole[name], single[name], atol=1e-6)


@pytest.mark.slow
def test_reader_is_saved_and_loaded(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> None:
    folder = tmp_path_factory.mktemp("reader")
    torch.manual_seed(0)
    reader = Panel([Reader().half().float()])
    save_reader(reader, folder)
    expected, found = reader.read(corpus.pictures[:8]), load_reader(folder).read(corpus.pictures[:8])
    for name in AXIS:
        np.testing.assert_array_equal(expected[name], found[name])


# ------------------------------------------------------------------------------------------------ mini-clip


def zero_shot(clip: open_clip.CLIP, corpus: Corpus) -> Accuracies:
    """Each picture takes the value whose prompts, averaged over all contents, lie nearest to it."""
    tokenizer = open_clip.get_tokenizer(f"local-dir:{WEIGHTS / 'mini-clip'}")
    with torch.inference_mode():
        images = torch.cat([clip.encode_image(part) for part in to_pixels(corpus.pictures[:1000]).split(250)])

        def anchor(prompts: list[str]) -> torch.Tensor:
            return F.normalize(F.normalize(clip.encode_text(tokenizer(prompts)), dim=1).mean(0), dim=0)

        accuracy = {}
        for name, prompts in prompts_by_value().items():
            anchors = torch.stack([anchor(p) for p in prompts])
            hits = (F.normalize(images, dim=1) @ anchors.T).argmax(1).numpy() == column(corpus, name)
            accuracy[name] = float(hits.mean())
    return accuracy


def prompts_by_value() -> dict[str, list[list[str]]]:
    """For every axis with words, prompts for each of its values."""
    prompts = {
        "object": [[p for p, c in BY_PROMPT.items() if c.object == o] for o in range(len(OBJECT))],
        "setting": [[p for p, c in BY_PROMPT.items() if c.setting == s] for s in range(len(SETTING))],
    }
    for name in NAMEABLE:
        prompts[name] = [[f"{p}, {phrase}" for p in BY_PROMPT] for phrase in AXIS[name].phrases]
    return prompts


def column(corpus: Corpus, name: str) -> NDArray[np.int8]:
    values: NDArray[np.int8] = corpus.scenes[:1000, list(AXIS).index(name)]
    return values


@pytest.mark.slow
def test_mini_clip_knows_the_world_zero_shot(clip: open_clip.CLIP, corpus: Corpus) -> None:
    accuracy = zero_shot(clip, corpus)
    assert accuracy["object"] >= 0.90, accuracy
    assert np.mean([accuracy[name] for name in NAMEABLE]) >= 0.80, accuracy


@pytest.mark.slow
def test_mini_clip_ranks_the_caption_of_a_picture_above_others(clip: open_clip.CLIP, corpus: Corpus) -> None:
    """Out of 200 full captions, the right one comes first for most pictures."""
    tokenizer = open_clip.get_tokenizer(f"local-dir:{WEIGHTS / 'mini-clip'}")
    captions = [corpus.scene(i).caption(STYLE_NAMES) for i in range(200)]
    with torch.inference_mode():
        images = clip.encode_image(to_pixels(corpus.pictures[:200]), normalize=True)
        texts = clip.encode_text(tokenizer(captions), normalize=True)
    found = (images @ texts.T).argmax(1).tolist()
    assert np.mean([captions[i] == captions[j] for i, j in enumerate(found)]) > 0.6


# ------------------------------------------------------------------------------------- conversion of the text tower

TEXTS = [Content(3, 2).prompt, "a cat at sea, ocean colors, with a star", "", "quite another text"]


def last_hidden_state(clip: open_clip.CLIP, tokens: torch.Tensor) -> torch.Tensor:
    """open_clip's text tower up to its final norm, from its own modules."""
    x = clip.token_embedding(tokens) + clip.positional_embedding[: tokens.shape[1]]
    x = clip.transformer(x, attn_mask=clip.attn_mask[: tokens.shape[1], : tokens.shape[1]])
    state: torch.Tensor = clip.ln_final(x)
    return state


def tokens_of(texts: list[str]) -> torch.Tensor:
    tokens: torch.Tensor = picturebook_tokenizer()(texts, padding="max_length", return_tensors="pt").input_ids
    return tokens


@pytest.mark.parametrize("source", ["shipped", "random"])
def test_converted_text_tower_gives_the_same_numbers(source: str, clip: open_clip.CLIP) -> None:
    model = clip if source == "shipped" else build_mini_clip(3).eval()
    converted: CLIPTextModel = text_model(model, text_config(picturebook_tokenizer())).eval()
    tokens = tokens_of(TEXTS)
    with torch.inference_mode():
        output = converted(tokens)
        assert (output.last_hidden_state - last_hidden_state(model, tokens)).abs().max() < 1e-5
        projected = output.pooler_output @ model.text_projection
        assert (projected - model.encode_text(tokens)).abs().max() < 1e-5


def test_conversion_refuses_another_shape(clip: open_clip.CLIP) -> None:
    config = text_config(picturebook_tokenizer())
    config.hidden_size = 64
    with pytest.raises(RuntimeError, match="size mismatch"):
        text_model(clip, config)
    config = text_config(picturebook_tokenizer())
    config.num_hidden_layers = 4
    with pytest.raises((RuntimeError, KeyError)):
        text_model(clip, config)
