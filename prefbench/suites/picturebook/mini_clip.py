"""`mini-clip`: an open_clip model of picturebook, and a transformers image tower with the same embedding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from prefbench.paths import WEIGHTS, atomic_file, write_atomic
from prefbench.suites.picturebook.axes import AXES, CONTENTS, NAMEABLE, STYLE_NAMES, Axis
from prefbench.suites.picturebook.corpus import CAPTIONED, Corpus, CorpusRecipe, load_corpus
from prefbench.suites.picturebook.render import SIZE
from prefbench.suites.picturebook.words import TEXT_LENGTH, picturebook_tokenizer
from prefbench.training.contrastive import ContrastiveTask, DistillationTask
from prefbench.training.loop import Batch, BatchSource, FitConfig, Progress, fit

HELD_OUT = CorpusRecipe("uniform", 5_000, seed=3)
_INPUT = 2 * SIZE
"""open_clip's residual tower shrinks its input four times before the first block, so pictures are doubled."""
_MEAN, _STD = (0.5, 0.5, 0.5), (0.27, 0.27, 0.27)
_EMBEDDING = 96


def model_config() -> dict[str, object]:
    """The model config in open_clip's own format."""
    return {
        "embed_dim": _EMBEDDING,
        "vision_cfg": {"image_size": _INPUT, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        "text_cfg": {
            "context_length": TEXT_LENGTH,
            "hf_tokenizer_name": "the tokenizer in this folder",
            "vocab_size": len(picturebook_tokenizer()),
            "width": 96,
            "heads": 4,
            "layers": 3,
            "mlp_ratio": 3.0,
        },
    }


def build_mini_clip(seed: int = 0) -> open_clip.CLIP:
    """The untrained model."""
    torch.manual_seed(seed)
    config = dict(model_config())
    text = {k: v for k, v in dict(config["text_cfg"]).items() if k != "hf_tokenizer_name"}  # type: ignore[call-overload]
    return open_clip.CLIP(_EMBEDDING, config["vision_cfg"], text)


def to_pixels(pictures: NDArray[np.uint8], size: int = _INPUT) -> Tensor:
    """Pictures uint8 (N, 32, 32, 3) as the towers want them: (N, 3, size, size), enlarged by nearest neighbour."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    tensor = (tensor - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_STD).view(3, 1, 1)
    return F.interpolate(tensor, size=(size, size), mode="nearest")


class _Batches:
    """Pictures with captions; most batches share a value on two axes, so that the other axes must be told apart."""

    def __init__(self, corpus: Corpus, *, hard: float = 0.7) -> None:
        self.corpus, self.hard = corpus, hard
        self.tokenizer = picturebook_tokenizer()

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        rows = self._rows(rng, size)
        share = 1.0 if rng.random() < 0.5 else rng.uniform(0, 0.9)
        captions = [self._caption(int(row), share, rng) for row in rows]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        ids = np.unique(np.array(captions), return_inverse=True)[1]
        return {"pixels": to_pixels(self.corpus.pictures[rows]), "tokens": tokens, "caption": torch.from_numpy(ids)}

    def _rows(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        if rng.random() > self.hard:
            return rng.integers(len(self.corpus), size=size)
        fixed = rng.choice(2 + len(NAMEABLE), size=2, replace=False)
        like = self.corpus.scenes[rng.integers(len(self.corpus))]
        rows = np.flatnonzero((self.corpus.scenes[:, fixed] == like[fixed]).all(axis=1))
        return rng.choice(rows, size=size)

    def _caption(self, row: int, share: float, rng: np.random.Generator) -> str:
        axes = [name for name in NAMEABLE if rng.random() < share]
        rng.shuffle(axes)
        return self.corpus.scene(row).caption(axes)


def train_mini_clip(config: FitConfig, folder: Path) -> tuple[open_clip.CLIP, Progress]:
    """Trains the two open_clip towers."""
    model = build_mini_clip(config.seed)
    task = ContrastiveTask(model)
    progress = fit(task, _Batches(load_corpus(CAPTIONED)), config, folder)
    return model.eval(), progress


def build_vision_tower(seed: int = 0) -> CLIPVisionModelWithProjection:
    """The untrained transformers image tower: patches of 4, 4 layers, 96 wide."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=96,
        intermediate_size=288,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=4,
        projection_dim=_EMBEDDING,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config)


def train_vision_tower(
    teacher: open_clip.CLIP, config: FitConfig, folder: Path
) -> tuple[CLIPVisionModelWithProjection, Progress]:
    """Distils the trained image tower into the transformers one."""
    corpus = load_corpus(CAPTIONED)
    tower = build_vision_tower(config.seed)

    def draw(rng: np.random.Generator, size: int) -> Batch:
        pictures = corpus.pictures[rng.integers(len(corpus), size=size)]
        return {"pixels": to_pixels(pictures), "student_pixels": to_pixels(pictures, SIZE)}

    source: BatchSource = draw
    progress = fit(DistillationTask(teacher, tower), source, config, folder)
    return tower.eval(), progress


def save_mini_clip(model: open_clip.CLIP, folder: Path) -> None:
    """Writes the folder that `open_clip.create_model_and_transforms("local-dir:...")` reads; weights in float16."""
    preprocess = {"mean": _MEAN, "std": _STD, "interpolation": "bicubic", "resize_mode": "squash", "size": _INPUT}
    config = {"model_cfg": model_config(), "preprocess_cfg": preprocess}
    write_atomic(folder / "open_clip_config.json", json.dumps(config, indent=2) + "\n")
    picturebook_tokenizer().save_pretrained(folder)
    state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in model.state_dict().items()}
    with atomic_file(folder / "open_clip_model.safetensors") as temporary:
        save_file(state, temporary)


@cache
def _templates(axis: Axis) -> Sequence[Sequence[str]]:
    """For each value of an axis, prompts that name it, over all contents."""
    if axis.name in ("object", "setting"):
        index = ("object", "setting").index(axis.name)
        return [[c.prompt for c in CONTENTS if (c.object, c.setting)[index] == v] for v in range(len(axis))]
    position = STYLE_NAMES.index(axis.name)
    styles = [[v if a == position else 0 for a in range(len(STYLE_NAMES))] for v in range(len(axis))]
    return [[c.scene(style).caption([axis.name]) for c in CONTENTS] for style in styles]


@torch.inference_mode()
def zero_shot_accuracy(model: open_clip.CLIP) -> Mapping[str, float]:
    """Zero-shot accuracy on held-out pictures for every axis that has words: mean text embedding over all contents."""
    model.eval()
    corpus, tokenizer = load_corpus(HELD_OUT), picturebook_tokenizer()
    pixels = to_pixels(corpus.pictures)
    images = torch.cat([model.encode_image(chunk, normalize=True) for chunk in torch.split(pixels, 250)])
    accuracy = {}
    for a, axis in enumerate(AXES):
        if axis.silent:
            continue
        encoded = [tokenizer(p, padding="max_length", return_tensors="pt").input_ids for p in _templates(axis)]
        anchors = torch.stack([F.normalize(model.encode_text(t, normalize=True).mean(0), dim=0) for t in encoded])
        accuracy[axis.name] = float(((images @ anchors.T).argmax(1).numpy() == corpus.scenes[:, a]).mean())
    return accuracy


def load_mini_clip(folder: Path = WEIGHTS / "mini-clip") -> open_clip.CLIP:
    """The trained model through open_clip's own loader, float32."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", precision="fp32")
    return model.eval()
