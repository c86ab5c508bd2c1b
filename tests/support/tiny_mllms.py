"""Tiny random language models that read images, in the real layout of Idefics2 and Qwen2.5-VL, and the miniature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import (
    GenerationConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Processor,
    LlamaTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

WIDTH, LAYERS = 32, 2
TEXTS = (
    "User: liked disliked Does the user like this picture? Which one, the first or the second?",
    "Assistant: yes, red foxes no nothing first second user assistant system",
    "You are helpful. What does the user like? It shows an old house by the sea.",
)
_LANGUAGE = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
}
_IDEFICS2_TEMPLATE = (
    "{% for message in messages %}{{ message.role | capitalize }}:"
    "{% if message.content and message.content[0].type != 'image' %} {% endif %}"
    "{% for part in message.content %}{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_QWEN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message.role != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' if part.type == 'image' else part.text }}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tiny_idefics2(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    """A SigLIP tower, a perceiver of 4 latents, and a Mistral with a sentencepiece-like tokenizer.

    Like the public one it begins every text with a token, and by itself cuts images into pieces.
    """
    torch.manual_seed(0)
    vocabulary, merges = _learn(pre_tokenizers.Metaspace(), ["<unk>", "<s>", "</s>"], [], texts)
    tokenizer = LlamaTokenizer(
        vocab=vocabulary, merges=merges, pad_token="<unk>", padding_side="right", add_bos_token=True
    )
    size = {"shortest_edge": 12, "longest_edge": 24}
    images = Idefics2ImageProcessor(size=size, do_image_splitting=True)
    processor = Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=_IDEFICS2_TEMPLATE)
    ids = processor.tokenizer.convert_tokens_to_ids
    config = Idefics2Config(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 24,
            "patch_size": 4,
        },
        perceiver_config={
            "hidden_size": WIDTH,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 1,
        },
        text_config={
            **_LANGUAGE,
            "model_type": "mistral",
            "sliding_window": None,
            "vocab_size": len(processor.tokenizer),
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        image_token_id=ids("<image>"),
    )
    model = Idefics2ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        bos_token_id=1,
        eos_token_id=[2, ids("<end_of_utterance>")],
        pad_token_id=0,
        bad_words_ids=[[ids("<fake_token_around_image>")], [ids("<image>")]],
    )
    return _save(model, processor, folder)


def save_tiny_qwen(folder: Path) -> Path:
    """Windowed vision, image tokens by size, three-dimensional positions, and a byte-level tokenizer."""
    torch.manual_seed(1)
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary, merges = _learn(split, ["<|endoftext|>"], pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=merges, padding_side="right")
    names = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(names), "eos_token": "<|im_end|>"})
    sizes: dict[str, Any] = {"patch_size": 4, "temporal_patch_size": 2, "merge_size": 2}
    images = Qwen2VLImageProcessor(min_pixels=16 * 16, max_pixels=24 * 24, **sizes)
    videos = Qwen2VLVideoProcessor(min_pixels=16 * 16, max_pixels=24 * 24, **sizes)
    processor = Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=_QWEN_TEMPLATE)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            **_LANGUAGE,
            "vocab_size": len(tokenizer),
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
            "bos_token_id": ids("<|endoftext|>"),
            "eos_token_id": ids("<|im_end|>"),
            "pad_token_id": ids("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.1,
        top_k=1,
        top_p=0.001,
        repetition_penalty=1.05,
        bos_token_id=ids("<|endoftext|>"),
        eos_token_id=[ids("<|im_end|>"), ids("<|endoftext|>")],
        pad_token_id=ids("<|endoftext|>"),
    )
    return _save(model, processor, folder)


def save_tiny_mini_mllm(folder: Path) -> Path:
    """`mini-mllm` itself, untrained."""
    from prefbench.suites.picturebook.miniatures.mini_mllm import build_mini_mllm

    model, processor = build_mini_mllm(TEXTS)
    return _save(model, processor, folder)


def _save(model: Any, processor: Any, folder: Path) -> Path:
    # Fresh models have nothing at padding; in trained ones it has a state like any other token.
    torch.nn.init.normal_(model.get_input_embeddings().weight.data[processor.tokenizer.pad_token_id])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _learn(
    split: Any, special: Sequence[str], alphabet: Sequence[str], texts: Sequence[str] = TEXTS
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a byte-pair encoding of texts, the special tokens first."""
    learned = Tokenizer(BPE())
    learned.pre_tokenizer = split
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False
    )
    learned.train_from_iterator([*texts, "\n"], trainer)
    merges = json.loads(learned.to_str())["model"]["merges"]
    return learned.get_vocab(), [tuple(pair) for pair in merges]
