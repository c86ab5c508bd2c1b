"""`mini-clip`: an open_clip model of picturebook."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from prefbench.files import WEIGHTS, atomic_file, write_atomic
from prefbench.suites.picturebook.data.corpus import GROUP, HELD_OUT_SIZE, Corpus, held_out, load_corpus
from prefbench.suites.picturebook.world.axes import AXES, CONTENTS, NAMEABLE, STYLE_NAMES, Axis, Scene
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.suites.picturebook.world.words import TEXT_LENGTH, picturebook_tokenizer
from prefbench.training.contrastive import ContrastiveTask
from prefbench.training.loop import Batch, FitConfig, Progress, fit

_INPUT = 2 * SIZE
"""open_clip's residual tower shrinks its input four times before the first block, so pictures are doubled."""
MEAN, STD = (0.5, 0.5, 0.5), (0.27, 0.27, 0.27)
EMBEDDING = 96
ImageEncoder = Callable[[NDArray[np.uint8]], Tensor]


def model_config() -> dict[str, object]:
    """The model config in open_clip's own format."""
    return {
        "embed_dim": EMBEDDING,
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
    return open_clip.CLIP(EMBEDDING, config["vision_cfg"], text)


def to_pixels(pictures: NDArray[np.uint8], size: int = _INPUT) -> Tensor:
    """Pictures uint8 (N, 32, 32, 3) as the towers take them: (N, 3, size, size), enlarged by nearest neighbour."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    tensor = (tensor - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return F.interpolate(tensor, size=(size, size), mode="nearest")


class _Batches:
    """Pictures with captions; most batches are groups that differ on few axes, so that each axis must be distinguished.

    Where all axes vary, two captions of a batch almost never differ in one alone, and the axis hardest to see is not
    learned at all.
    """

    def __init__(self, varied: Corpus, contrasts: Corpus, *, hard: float = 0.75) -> None:
        self.varied, self.contrasts, self.hard = varied, contrasts, hard
        self.tokenizer = picturebook_tokenizer()

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        corpus, rows = self._rows(rng, size)
        share = 1.0 if rng.random() < 0.5 else rng.uniform(0, 0.9)
        captions = [_caption(corpus.scene(int(row)), share, rng) for row in rows]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        ids = np.unique(np.array(captions), return_inverse=True)[1]
        return {"pixels": to_pixels(corpus.pictures[rows]), "tokens": tokens, "caption": torch.from_numpy(ids)}

    def _rows(self, rng: np.random.Generator, size: int) -> tuple[Corpus, NDArray[np.int64]]:
        if rng.random() > self.hard:
            return self.varied, rng.integers(len(self.varied), size=size)
        groups = rng.integers(len(self.contrasts) // GROUP, size=-(-size // GROUP))
        return self.contrasts, (groups[:, None] * GROUP + np.arange(GROUP)).ravel()[:size]


def _caption(scene: Scene, share: float, rng: np.random.Generator) -> str:
    """The scene's caption with each axis named at the given probability, in random order."""
    axes = [name for name in NAMEABLE if rng.random() < share]
    rng.shuffle(axes)
    return scene.caption(axes)


def train_mini_clip(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[open_clip.CLIP, Progress]:
    """Trains the two open_clip towers on captioned pictures and on contrasts."""
    varied, contrasts = corpora
    model = build_mini_clip(config.seed)
    task = ContrastiveTask(model)
    progress = fit(task, _Batches(varied, contrasts), config, folder)
    return model.eval(), progress


def save_mini_clip(model: open_clip.CLIP, folder: Path) -> None:
    """Writes the folder that `open_clip.create_model_and_transforms("local-dir:...")` reads; weights in float16."""
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "squash", "size": _INPUT}
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
def zero_shot_accuracy(
    model: open_clip.CLIP, encode_image: ImageEncoder | None = None, *, n: int = HELD_OUT_SIZE
) -> Mapping[str, float]:
    """Zero-shot accuracy on held-out pictures for every axis with words, by mean text embeddings over all contents.

    Args:
        encode_image: pictures uint8 (N, 32, 32, 3) to unit vectors (N, 96); by default the model's own image tower.
    """
    model.eval()
    corpus, tokenizer = load_corpus(held_out(n)), picturebook_tokenizer()
    encode = encode_image or (lambda pictures: model.encode_image(to_pixels(pictures), normalize=True))
    images = torch.cat([encode(corpus.pictures[i : i + 250]) for i in range(0, len(corpus), 250)])
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
