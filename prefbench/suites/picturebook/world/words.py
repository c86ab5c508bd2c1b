"""The words of picturebook: the tokenizer and the shape of the text tower that all its models share."""

from __future__ import annotations

import itertools

from transformers import CLIPTextConfig, CLIPTokenizer

from prefbench.suites.picturebook.world.axes import AXES, BY_PROMPT
from prefbench.training.tokenizer import learn_clip_tokenizer

TEXT_LENGTH = 32
"""Tokens a prompt has room for; the longest caption takes 28."""
WIDTH = 96
"""Width of the text tower, and so of the denoiser's cross-attention."""
_SPARE_WORDS = (
    "picture of drawing image user likes dislikes liked disliked prefer yes no which first second left right "
    "not and or without style"
)
"""Words that no caption has but that questions about preferences will need."""


def picturebook_tokenizer() -> CLIPTokenizer:
    """The tokenizer shared by every picturebook model: each word of the world is one token."""
    phrases = [phrase for axis in AXES for phrase in axis.phrases if phrase is not None]
    texts = itertools.chain(BY_PROMPT, phrases, _SPARE_WORDS.split(), ["a, b"])
    return learn_clip_tokenizer(texts, max_length=TEXT_LENGTH)


def text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """The text tower of `mini-sd` and `mini-clip`: 3 layers, 96 wide."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        projection_dim=WIDTH,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
