"""Quality of the shipped miniatures on held-out prompts and pictures: the figures of their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from prefbench.api import Extractor
from prefbench.files import WEIGHTS
from prefbench.suites.picturebook.data.corpus import HELD_OUT_SIZE, held_out, load_corpus
from prefbench.suites.picturebook.reader.panel import Panel
from prefbench.suites.picturebook.reader.reader import defect_accuracy, load_reader, reading_accuracy
from prefbench.suites.picturebook.world.axes import (
    AXES,
    NAMEABLE,
    STYLE,
    STYLE_NAMES,
    Scene,
    held_out_contents,
    sample_styles,
)
from prefbench.training.figures import QualityFigure

SAMPLES = 1000
"""Prompts per figure: the standard error of a share is at most 0.016."""
ADAPTED = 300
"""Prompts per figure of the adapter: each is drawn twice, and a mean over six axes has a standard error of 0.01."""
_SEED = 11


def mini_dino(folder: Path = WEIGHTS / "mini-dino", *, n: int = HELD_OUT_SIZE) -> list[QualityFigure]:
    """How well a linear probe of the encoder tells each attribute on held-out pictures of every content."""
    from prefbench.models.extractors.dinov2 import mini_dino as load_encoder

    accuracies = probe_accuracies(load_encoder(folder), n=n)
    return [QualityFigure(name, value, 0.90, 0.98) for name, value in accuracies.items()]


def mini_words(folder: Path = WEIGHTS / "mini-words", *, n: int = HELD_OUT_SIZE) -> list[QualityFigure]:
    """The same of the words: nobody told them of any attribute, so they need not tell all."""
    from prefbench.models.extractors.words import mini_words as load_encoder

    accuracies = probe_accuracies(load_encoder(folder), n=n)
    return [QualityFigure(name, value, 0.60, 0.90) for name, value in accuracies.items()]


def probe_accuracies(encoder: Extractor, *, n: int = HELD_OUT_SIZE) -> dict[str, float]:
    """For each axis the accuracy of a linear probe: trained on the first half of held-out pictures, asked the rest."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    corpus = load_corpus(held_out(n))
    states = StandardScaler().fit_transform(encoder.images(list(corpus.pictures)))
    half = len(states) // 2
    probes = {
        axis.name: LogisticRegression(max_iter=300).fit(states[:half], corpus.scenes[:half, a])
        for a, axis in enumerate(AXES)
    }
    return {
        name: float(probe.score(states[half:], corpus.scenes[half:, a]))
        for a, (name, probe) in enumerate(probes.items())
    }


def mini_sd(folder: Path = WEIGHTS / "mini-sd", *, n: int = SAMPLES) -> list[QualityFigure]:
    """How well drawn pictures obey their prompts, and how near unstyled ones stay to the world's prior."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return [*prompt_obedience(pipeline, load_reader(), n=n), *prior_distance(pipeline, load_reader(), n=n)]


def prompt_obedience(pipeline: StableDiffusionPipeline, reader: Panel, *, n: int = SAMPLES) -> list[QualityFigure]:
    """How often each named attribute is read off pictures of held-out contents in uniform styles."""
    scenes = _held_out_scenes(n, uniform=True)
    hits = _hits(reader, _draw(pipeline, [scene.caption(NAMEABLE) for scene in scenes]), scenes)
    floors = {"object": (0.80, 0.95), "setting": (0.85, 0.85), "palette": (0.95, 0.95)}
    figures = [QualityFigure(name, value, *floors.get(name, (0.70, 0.85))) for name, value in hits.items()]
    return [*figures, QualityFigure("mean over axes", float(np.mean(list(hits.values()))), 0.80, 0.92)]


def prior_distance(pipeline: StableDiffusionPipeline, reader: Panel, *, n: int = SAMPLES) -> list[QualityFigure]:
    """Total variation between the styles of unstyled prompts and the world's prior, one per axis."""
    scenes = _held_out_scenes(n, uniform=False)
    probabilities = reader.read(_draw(pipeline, [scene.content.prompt for scene in scenes]))
    return [
        QualityFigure(
            f"prior {axis.name}",
            _total_variation(probabilities[axis.name].argmax(1), axis.prior),
            0.15,
            0.15,
            ceiling=True,
        )
        for axis in STYLE
    ]


def _total_variation(values: NDArray[np.int64], prior: Sequence[float]) -> float:
    shares = np.bincount(values, minlength=len(prior)) / len(values)
    return float(np.abs(shares - np.array(prior)).sum() / 2)


def _held_out_scenes(n: int, *, uniform: bool) -> list[Scene]:
    rng = np.random.default_rng(_SEED)
    test, val = held_out_contents()
    contents = (*test, *val)
    styles = sample_styles(rng, n, uniform=STYLE_NAMES if uniform else ())
    return [contents[i % len(contents)].scene(style) for i, style in enumerate(styles)]


def _draw(pipeline: StableDiffusionPipeline, prompts: Sequence[str], *, batch: int = 100) -> NDArray[np.uint8]:
    from prefbench.suites.picturebook.miniatures.mini_sd import sample

    chunks = [list(prompts[i : i + batch]) for i in range(0, len(prompts), batch)]
    return np.concatenate([sample(pipeline, chunk, seed=i * batch) for i, chunk in enumerate(chunks)])


def mini_ip_adapter(folder: Path = WEIGHTS / "mini-ip-adapter", *, n: int = ADAPTED) -> list[QualityFigure]:
    """How often the named axes of a held-out picture come back in one drawn from its prompt and its own embedding."""
    from prefbench.suites.picturebook.miniatures.mini_ip_adapter import image_embeddings, load_mini_ip_adapter
    from prefbench.suites.picturebook.world.render import render

    scenes = _held_out_scenes(n, uniform=True)
    embeds = image_embeddings(np.stack([render(scene, i) for i, scene in enumerate(scenes)]))[:, None]
    condition = torch.cat([torch.zeros_like(embeds), embeds])
    backbone, reader = load_mini_ip_adapter(folder), load_reader()
    hits = []
    for scale in (1.0, 0.0):
        backbone.pipeline.set_ip_adapter_scale(scale)
        prompts = [scene.content.prompt for scene in scenes]
        images = backbone.generate(prompts, range(len(prompts)), ip_adapter_image_embeds=[condition])
        hits.append(_hits(reader, np.stack([np.asarray(image) for image in images]), scenes))
    adapted, plain = (float(np.mean([of_scale[name] for name in NAMEABLE])) for of_scale in hits)
    floors = {"object": (0.80, 0.95), "setting": (0.85, 0.95)}
    figures = [QualityFigure(name, value, *floors.get(name, (None, 0.90))) for name, value in hits[0].items()]
    mean = QualityFigure("mean over style axes", adapted, 0.80, 0.90)
    return [*figures, mean, QualityFigure("gain on the prompt alone", adapted - plain, 0.50, 0.60)]


def _hits(reader: Panel, pictures: NDArray[np.uint8], scenes: Sequence[Scene]) -> dict[str, float]:
    """How often each axis with words is read off a picture as its scene has it."""
    probabilities = reader.read(pictures)
    return {
        axis.name: float(np.mean(probabilities[axis.name].argmax(1) == [scene.index(axis.name) for scene in scenes]))
        for axis in AXES
        if not axis.silent
    }


def mini_clip(folder: Path = WEIGHTS / "mini-clip", *, n: int = HELD_OUT_SIZE) -> list[QualityFigure]:
    """Zero-shot accuracy on held-out pictures."""
    from prefbench.suites.picturebook.miniatures.mini_clip import load_mini_clip, zero_shot_accuracy

    return _zero_shot(zero_shot_accuracy(load_mini_clip(folder), n=n))


def mini_vision(folder: Path = WEIGHTS / "mini-vision", *, n: int = HELD_OUT_SIZE) -> list[QualityFigure]:
    """Zero-shot accuracy on held-out pictures, against the texts of `mini-clip`."""
    from prefbench.suites.picturebook.miniatures.mini_clip import load_mini_clip, zero_shot_accuracy
    from prefbench.suites.picturebook.miniatures.mini_vision import embed, load_mini_vision

    tower = load_mini_vision(folder)
    return _zero_shot(zero_shot_accuracy(load_mini_clip(), lambda pictures: embed(tower, pictures), n=n))


def _zero_shot(accuracy: Mapping[str, float]) -> list[QualityFigure]:
    figures = [QualityFigure(name, value, 0.90 if name == "object" else None, 0.90) for name, value in accuracy.items()]
    return [*figures, QualityFigure("mean over axes", float(np.mean(list(accuracy.values()))), 0.80, 0.90)]


def reader(folder: Path = WEIGHTS / "reader", *, n: int = HELD_OUT_SIZE) -> list[QualityFigure]:
    """Accuracy on held-out pictures; of readers that read defects, also on held-out pictures with one defect each."""
    panel = load_reader(folder)
    figures = [QualityFigure(name, value, 0.97, 0.97) for name, value in reading_accuracy(panel, n=n).items()]
    return [*figures, *(QualityFigure(name, value, 0.9, 0.97) for name, value in defect_accuracy(panel, n=n).items())]
