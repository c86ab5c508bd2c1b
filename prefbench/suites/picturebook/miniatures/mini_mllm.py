"""`mini-mllm` before it has seen a preference: an Idefics2 of 32x32 pictures; its tower starts from `mini-vision`.

The embedding of a contrastive model drops what no caption says, though users may like it. So tower and connector
are taught two things at once: where `mini-vision` embeds a picture, and what it looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import decoders, processors
from torch import Tensor, nn
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Model,
    Idefics2Processor,
    PreTrainedTokenizerFast,
)

from prefbench.suites.picturebook.data.corpus import CAPTIONED, CONTRASTS, load_corpus
from prefbench.suites.picturebook.miniatures.mini_clip import EMBEDDING, MEAN, STD, to_pixels
from prefbench.suites.picturebook.miniatures.mini_vision import load_mini_vision
from prefbench.suites.picturebook.world.axes import AXES, BY_PROMPT
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.training.frozen import Frozen
from prefbench.training.loop import Batch, FitConfig, fit
from prefbench.training.tokenizer import learn_clip_tokenizer

SEEING = FitConfig(images=160_000, batch=64, lr=1e-3, betas=(0.9, 0.98), ema=0.999, decay=0.6)
LATENTS = 12
"""Tokens per picture."""
CONTEXT = 1024
_LAYERS, _LOCAL = 6, 1
"""Layers of the language model, and how many of them look at near tokens alone."""
_NEAR = LATENTS + 2
"""Tokens that a local layer sees: from the word after an image, the mark after it and the image."""
_LITTLE = 0.05
"""Factor on fresh weights that are to do next to nothing at first."""
_PATCH, _WIDTH = 4, 128
_SPREAD = 0.08
"""Standard deviation of fresh weights, about 1 / sqrt(width); the library's 0.02 suits a width of 4,096."""
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}:"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }} {% endif %}"
    "{% endfor %}<end_of_utterance>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def build_mini_mllm(texts: Sequence[str], seed: int = 0) -> tuple[Idefics2ForConditionalGeneration, Idefics2Processor]:
    """The untrained model (2.5 M parameters) and its processor.

    Args:
        texts: what it will be asked and answered, beside the words of the world: each of their words is one token.
    """
    torch.manual_seed(seed)
    processor = _processor(texts)
    tokenizer = processor.tokenizer
    model = Idefics2ForConditionalGeneration(_config(tokenizer))
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    # The library starts all latents equal, which suits stored weights; fresh ones would stay equal throughout training.
    nn.init.normal_(model.model.connector.perceiver_resampler.latents, std=_SPREAD)
    _start_from_mini_vision(model.model.vision_model)
    _start_by_likeness(model.model.text_model.layers)
    return model, processor


def _config(tokenizer: PreTrainedTokenizerFast) -> Idefics2Config:
    """The configuration: Idefics2's layout with few and narrow layers."""
    return Idefics2Config(
        vision_config={
            "hidden_size": 96,
            "intermediate_size": 288,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": SIZE,
            "patch_size": _PATCH,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "initializer_range": _SPREAD,
        },
        perceiver_config={
            "hidden_size": _WIDTH,
            "resampler_n_latents": LATENTS,
            "resampler_depth": 2,
            "resampler_n_heads": 4,
            "resampler_head_dim": 32,
            "num_key_value_heads": 4,
            "initializer_range": _SPREAD,
        },
        text_config={
            "model_type": "ministral",
            "vocab_size": len(tokenizer),
            "hidden_size": _WIDTH,
            "intermediate_size": 3 * _WIDTH,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": _WIDTH // 4,
            "max_position_embeddings": CONTEXT,
            "sliding_window": _NEAR,
            "layer_types": ["sliding_attention"] * _LOCAL + ["full_attention"] * (_LAYERS - _LOCAL),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "initializer_range": _SPREAD,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.convert_tokens_to_ids("<end_of_utterance>"),
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=True,
        initializer_range=_SPREAD,
    )


def reading_mini_mllm(
    texts: Sequence[str], folder: Path, seed: int = 0
) -> tuple[Idefics2ForConditionalGeneration, Idefics2Processor]:
    """The model after its image tower was trained, which resumes in `folder`; it has not met a word yet."""
    model, processor = build_mini_mllm(texts, seed)
    fit(_Seeing(model.model), _SeeingBatches(), SEEING, folder / "seeing")
    return model, processor


class _Seeing(nn.Module):
    """From a picture's image tokens: 1 - cosine to its embedding by `mini-vision`, and the picture in full size.

    The squared error of pixels is led by large surfaces; that of the differences between neighbours is led by outlines,
    which tell how far a picture is tilted. And the mean of the tokens over pictures is drawn to 0: what all pictures
    share makes all of them alike to attention, and a language model that starts by likeness learns nothing then.
    """

    def __init__(self, model: Idefics2Model) -> None:
        super().__init__()
        self.tower, self.connector = model.vision_model, model.connector
        self.embedding = nn.Linear(LATENTS * _WIDTH, EMBEDDING)
        self.pixels = nn.Linear(LATENTS * _WIDTH, 3 * SIZE**2)
        self._teacher = Frozen(load_mini_vision())

    def forward(self, batch: Batch) -> Tensor:
        pixels = batch["pixels"]
        with torch.no_grad():
            target = self._teacher.module(pixel_values=pixels).image_embeds
        states = self.tower(pixel_values=pixels).last_hidden_state
        seen = self.connector(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device))
        shared, tokens = seen.mean(0).square().mean(), seen.flatten(1)
        distance = 1 - F.cosine_similarity(self.embedding(tokens), target).mean()
        error = self.pixels(tokens).view_as(pixels) - pixels
        outlines = error.diff(dim=2).square().mean() + error.diff(dim=3).square().mean()
        loss: Tensor = distance + error.square().mean() + outlines + shared
        return loss


class _SeeingBatches:
    def __init__(self) -> None:
        self._corpora = [load_corpus(recipe).pictures for recipe in (CAPTIONED, CONTRASTS)]

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        pictures = self._corpora[int(rng.integers(2))]
        return {"pixels": to_pixels(pictures[rng.integers(len(pictures), size=size)], SIZE)}


@torch.no_grad()
def _start_by_likeness(layers: Sequence[nn.Module]) -> None:
    """Attention that starts out by comparing: tokens attend to tokens like them, and copy what these hold.

    Keys start equal to queries, and the output undoes the values (after mimetic initialisation, Trockman and Kolter
    2023, arXiv 2305.09828). With random maps a word after an image holds nothing that a later, similar image would
    find, and a model of this size does not learn in-context examples in any length that a laptop allows. Local layers
    average what is near, so that the word after an image holds the image: with queries and keys of zero, which have no
    gradient, they stay so. One layer compares; those after it start by changing next to nothing, since images compared
    with images, over and over, end up all alike.
    """
    for layer in layers:
        attention: Any = layer.self_attn
        rotation = torch.linalg.qr(torch.randn(_WIDTH, _WIDTH)).Q
        attention.v_proj.weight.copy_(rotation)
        attention.o_proj.weight.copy_(rotation.T)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
    for number, layer in enumerate(layers):
        parts: Any = layer
        parts.mlp.down_proj.weight.mul_(_LITTLE)
        if number < _LOCAL:
            parts.self_attn.q_proj.weight.zero_()
            parts.self_attn.k_proj.weight.zero_()
        elif number > _LOCAL:
            parts.self_attn.o_proj.weight.mul_(_LITTLE)


def _start_from_mini_vision(tower: nn.Module) -> None:
    """Copies what the two classes share: all but the class token and the norm before the first layer."""
    source = {name.removeprefix("vision_model."): value for name, value in load_mini_vision().state_dict().items()}
    own = tower.state_dict()
    for name in own:
        if name.startswith("encoder.") or name.startswith("post_layernorm."):
            own[name] = source[name]
    own["embeddings.patch_embedding.weight"] = source["embeddings.patch_embedding.weight"]
    own["embeddings.patch_embedding.bias"] = torch.zeros(96)
    own["embeddings.position_embedding.weight"] = source["embeddings.position_embedding.weight"][1:]
    tower.load_state_dict(own)


def _processor(texts: Sequence[str]) -> Idefics2Processor:
    phrases = [phrase for axis in AXES for phrase in axis.phrases if phrase is not None]
    learned = learn_clip_tokenizer([*texts, *BY_PROMPT, *phrases, "user: assistant: a, b. c?"], max_length=CONTEXT)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learned.backend_tokenizer,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        padding_side="left",
        model_max_length=CONTEXT,
    )
    tokenizer.backend_tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    size = {"longest_edge": SIZE, "shortest_edge": SIZE}
    images = Idefics2ImageProcessor(size=size, do_image_splitting=False, image_mean=list(MEAN), image_std=list(STD))
    return Idefics2Processor(images, tokenizer, image_seq_len=LATENTS, chat_template=_TEMPLATE)
