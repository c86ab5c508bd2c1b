"""Tiny random checkpoints of the published scorers, in the layouts and under the file names of their repositories."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import open_clip
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch import nn
from transformers import (
    AutoModelForImageTextToText,
    BertTokenizer,
    BlipTextConfig,
    BlipTextModel,
    BlipVisionConfig,
    BlipVisionModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
)

from prefbench.api import History, Judgment, Picture, Pixels
from prefbench.training.tokenizer import learn_clip_tokenizer
from tests.support.tiny_mllms import TEXTS, save_tiny_idefics2

PROMPTS = ("a red fox in the snow", "two boats at night", "an old house by the sea")
VERDICTS = (*TEXTS, "User: Score for this image? Assistant: + Assistant: - The prompt is 'a fox' + - + -")


def pictures(n: int, seed: int = 0) -> list[Pixels]:
    """Noise of several sizes, none of them square but every third."""
    rng = np.random.default_rng(seed)
    sizes = ((40, 30), (24, 50), (32, 32))
    return [rng.integers(0, 256, (*sizes[i % 3], 3), dtype=np.uint8) for i in range(n)]


def prompts(n: int) -> list[str]:
    return [PROMPTS[i % 3] for i in range(n)]


def history(liked: int = 3, disliked: int = 3, seed: int = 100, user: str = "val-0000") -> History:
    judged = [
        Judgment(Picture.of(Image.fromarray(pixels)), PROMPTS[i % 3], liked=i < liked)
        for i, pixels in enumerate(pictures(liked + disliked, seed))
    ]
    return History(user, tuple(judged[:liked]), tuple(judged[liked:]))


def hub_folder(hub: Path, repository: str) -> Path:
    """Where the cache of the hub keeps a repository's files."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    return folder / "snapshots" / "abc"


def save_tiny_pickscore(weights: Path, processor: Path) -> CLIPModel:
    """PickScore_v1 and the processor's files of its base."""
    torch.manual_seed(0)
    tokenizer = learn_clip_tokenizer(PROMPTS, max_length=12)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**tower, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 12}
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config={**tower, "image_size": 28, "patch_size": 14}, projection_dim=16)
    )
    _spread(model)
    model.save_pretrained(weights)
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    CLIPImageProcessor(**size).save_pretrained(processor)
    tokenizer.save_pretrained(processor)
    return model.eval()


@contextmanager
def tiny_architecture(folder: Path, name: str = "ViT-tiny-scorer") -> Iterator[str]:
    """A small CLIP by the name that open_clip knows it by while the block lasts."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 28, "layers": 1, "width": 32, "head_width": 16, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield name
    open_clip.factory._MODEL_CONFIGS.pop(name)


def save_tiny_hps(file: Path, architecture: str) -> open_clip.CLIP:
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config(architecture)).eval()
    _spread(model)
    torch.save({"state_dict": model.state_dict()}, file)
    return model


class TinyImageReward:
    """The classes of transformers that stand behind ImageReward, and its head."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        vision = BlipVisionConfig(
            hidden_size=128, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, image_size=28,
            patch_size=14, layer_norm_eps=1e-6, initializer_range=0.1,
        )  # fmt: skip
        self.settings = {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "vocab_size": 60, "max_position_embeddings": 40, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
        }  # fmt: skip
        text = BlipTextConfig(**self.settings, encoder_hidden_size=128, is_decoder=True, initializer_range=0.3)
        self.vision = BlipVisionModel(vision).eval()
        self.text = BlipTextModel(text, add_pooling_layer=False).eval()
        widths = (32, 24, 16, 8, 4, 1)
        self.layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        for network in (self.vision, self.text, *self.layers):
            _spread(network)
        with torch.no_grad():
            # So small that what layer norms add to the variance shows.
            for parameter in self.vision.embeddings.parameters():
                parameter *= 0.02

    def original(self) -> dict[str, torch.Tensor]:
        """All tensors by the names of ImageReward.pt; beside them ones that no score needs."""
        tensors = {f"blip.visual_encoder.{_original_name(n)}": t for n, t in self.vision.state_dict().items()}
        tensors |= {f"blip.text_encoder.{n}": t for n, t in self.text.state_dict().items()}
        for place, layer in zip((0, 2, 4, 6, 7), self.layers, strict=True):
            tensors |= {f"mlp.layers.{place}.{n}": t for n, t in layer.state_dict().items()}
        unused = {"blip.vision_proj.weight": torch.zeros(4, 128), "blip.text_proj.bias": torch.zeros(4)}
        return tensors | unused | {"blip.text_encoder.embeddings.position_ids": torch.arange(40)[None]}

    def save(self, folder: Path) -> None:
        torch.save(self.original(), folder / "ImageReward.pt")
        # As in the repository: the width of the other tower is wrong there, and nobody reads it.
        more = {"encoder_width": 768, "add_cross_attention": True, "architectures": ["BertModel"]}
        (folder / "med_config.json").write_text(json.dumps({**self.settings, **more}))


def _original_name(name: str) -> str:
    """A tensor's name in the original's vision tower, from transformers'; owes nothing to the scorer's own table."""
    fixed = {
        "embeddings.class_embedding": "cls_token",
        "embeddings.position_embedding": "pos_embed",
        "embeddings.patch_embedding.weight": "patch_embed.proj.weight",
        "embeddings.patch_embedding.bias": "patch_embed.proj.bias",
        "post_layernorm.weight": "norm.weight",
        "post_layernorm.bias": "norm.bias",
    }
    if name in fixed:
        return fixed[name]
    _, _, layer, part, *rest = name.split(".")
    parts = {"self_attn": "attn", "layer_norm1": "norm1", "layer_norm2": "norm2"}
    return ".".join(["blocks", layer, parts.get(part, part), *("proj" if r == "projection" else r for r in rest)])


def save_tiny_bert_vocabulary(folder: Path) -> None:
    words = " ".join(PROMPTS).split()
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(words))]
    BertTokenizer(vocab={word: i for i, word in enumerate(known)}).save_pretrained(folder)


def save_tiny_base(folder: Path, texts: Sequence[str] = VERDICTS) -> Path:
    """Idefics2 with a tokenizer that knows the answers."""
    return save_tiny_idefics2(folder, texts)


ADAPTER: dict[str, Any] = {
    "r": 8,
    "lora_alpha": 8,
    "lora_dropout": 0.1,
    "init_lora_weights": False,
    "target_modules": ".*(text_model|modality_projection|perceiver_resampler).*"
    "(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$",
}
"""As ViPer's repository has it, but random where a fresh adapter would do nothing."""


def save_tiny_adapter(base: Path, folder: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    get_peft_model(model, LoraConfig(**ADAPTER)).save_pretrained(str(folder))


def save_tiny_pool(file: Path, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """A pickled module of a class that only its authors' code has, as learn-user-pref's repository holds it."""
    module = ModuleType("prompt_pool")

    class PromptPool(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            self.length, self.embedding_key = shape[0], "mean"
            self.prompt: nn.Parameter
            self.register_parameter("prompt", nn.Parameter(torch.rand(shape, generator=generator)))
            self.prompt_key = self.prompt.detach().mean(-1)

    PromptPool.__module__, PromptPool.__qualname__ = "prompt_pool", "PromptPool"
    module.PromptPool = PromptPool  # type: ignore[attr-defined]
    pool = PromptPool()
    sys.modules["prompt_pool"] = module
    try:
        torch.save(pool, file)
    finally:
        del sys.modules["prompt_pool"]
    return pool.prompt.detach()


class Explosive:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def _spread(network: nn.Module) -> None:
    """Fresh networks give all pictures nearly one vector; these do not."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
