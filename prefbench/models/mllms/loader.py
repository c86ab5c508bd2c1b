"""Loads a language model from files that are already here; what is missing is named with the command that gets it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from prefbench.api import PrefbenchError
from prefbench.models.hub import MissingWeights
from prefbench.models.loading import choose_device, choose_dtype, find_card, strict_loading
from prefbench.models.mllms import weights
from prefbench.models.mllms.adapters import put_on
from prefbench.models.mllms.cards import MllmCard
from prefbench.models.mllms.folders import card_of_folder, with_stored_layout
from prefbench.models.mllms.model import Mllm


def load_mllm(
    mllm: str | Path | MllmCard, *, device: str | None = None, dtype: str | None = None, four_bit: bool = False
) -> Mllm:
    """Loads a multi-image language model with its processor, and its adapter where it has one; never from the network.

    Args:
        mllm: a registered name, a folder in `save_pretrained` layout (see `folders.card_of_folder`), or a card.
        device: `cuda`, `cuda:1`, `mps`, `cpu`; by default the first of them that is here.
        dtype: `float32`, `float16`, `bfloat16`; by default float32 on the CPU, elsewhere the card's.
        four_bit: quantise the model to NF4 (QLoRA, Dettmers et al. 2023); `dtype` is what it computes in.

    Raises:
        PrefbenchError: an unknown name, device or dtype; weights that are absent, incomplete or of another layout;
            four bits without a CUDA device or without bitsandbytes.
    """
    card = find_card("mllm", mllm, MllmCard, card_of_folder)
    torch_device = choose_device(device)
    precision = choose_dtype(dtype, card.dtype, torch_device)
    if four_bit:
        check_four_bit(torch_device)
    folder = weights.find(card)
    if isinstance(folder, MissingWeights):
        raise PrefbenchError(f"mllm {card.name!r}: {folder}")
    card = with_stored_layout(card, folder)
    how = _in_four_bits(torch_device, precision) if four_bit else {}
    model, processor = _load(card, folder, dtype=precision, **how)
    adapter = put_on(model, Path(card.adapter)) if card.adapter is not None else None
    if not four_bit:
        model.to(torch_device)
    return Mllm(card, model, processor, folder=folder, device=torch_device, adapter=adapter)


def _load(card: MllmCard, folder: Path, **how: Any) -> tuple[Any, Any]:
    """The model and its processor; an adapter's folder may hold a processor of its own."""
    here = {"local_files_only": True, "trust_remote_code": False}
    own = card.adapter is not None and weights.has_processor(Path(card.adapter))
    with strict_loading(f"mllm {card.name!r}", folder, transformers):
        model = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, **how, **here)
        processor = AutoProcessor.from_pretrained(card.adapter if own else folder, **here)
    if getattr(processor, "chat_template", None) is None or not hasattr(processor, "image_processor"):
        raise PrefbenchError(f"mllm {card.name!r}: it needs a processor of images and text that has a chat template")
    return model, processor


def check_four_bit(device: torch.device) -> None:
    """Raises `PrefbenchError` where models cannot be quantised."""
    if device.type != "cuda":
        raise PrefbenchError(f"four bits need a CUDA device, not {str(device)!r}; load without them and tune with lora")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise PrefbenchError("four bits need the package 'bitsandbytes': pip install bitsandbytes")


def _in_four_bits(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": quantisation, "device_map": {"": device}}
