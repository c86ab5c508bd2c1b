"""Adapters of peft on a language model: they change the model in place, and peft's handle reads and writes them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel

from prefbench.api import PrefbenchError
from prefbench.models.loading import one_line

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Projections of attention and of the gated MLP, as the language models and Idefics2's connector name them."""


def put_on(model: Any, folder: Path) -> PeftModel:
    """Puts a saved adapter on a model, frozen; returns the handle. The model keeps its class and its modules' names.

    Raises:
        PrefbenchError: an adapter that is for another model, has not all weights, or does not sit inside the model
            (prompt tuning and similar kinds, which act only through the handle).
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            adapter = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
        except Exception as error:  # damaged files raise anything
            raise PrefbenchError(f"the adapter in {folder} does not fit its model: {one_line(error)}") from error
    incomplete = next((warning.message for warning in heard if "missing adapter keys" in str(warning.message)), None)
    if incomplete is not None:
        raise PrefbenchError(f"the adapter in {folder} does not fit its model: {one_line(incomplete)}")
    kind = adapter.active_peft_config
    if kind.is_prompt_learning:
        raise PrefbenchError(f"the adapter in {folder} is {kind.peft_type.value}; it needs LoRA or a similar kind")
    return adapter


def put_fresh_on(model: Any, *, frozen: str, base: str, revision: str | None) -> PeftModel:
    """Puts a new LoRA on a model's projections, trainable; everything else is frozen. Returns the handle.

    Rank 8, alpha 8, dropout 0.1, A Gaussian and B zero: the recipe of ViPer's and learn-user-pref's language models.

    Args:
        frozen: name of the module inside which no adapter is put.
        base, revision: where the model was loaded from, for whoever loads the adapter.
    """
    config = LoraConfig(
        r=8,
        lora_alpha=8,
        lora_dropout=0.1,
        init_lora_weights="gaussian",
        target_modules=list(PROJECTIONS),
        exclude_modules=rf"{re.escape(frozen)}\..*",
        base_model_name_or_path=base,
        revision=revision,
    )
    return PeftModel(model, config)  # get_peft_model would name the folder in the cache as the base
