"""Which weights of a language model training changes: all but the vision tower's, or those of an adapter."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import get_args

from peft import prepare_model_for_kbit_training

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.models import hub
from prefbench.models.mllms.adapters import put_fresh_on
from prefbench.models.mllms.cards import Tuning
from prefbench.models.mllms.loader import check_four_bit
from prefbench.models.mllms.model import Mllm


def tune(mllm: Mllm, tuning: Tuning | None = None) -> Mllm:
    """Makes a model ready for training, in place, and returns it; `trainable` parameters are in float32.

    - `full`: everything but the vision tower, all in float32.
    - `lora`: a fresh adapter on the projections outside the vision tower: those of the language model, and of the
      connector where it has any (Hu et al. 2021; see `adapters.put_fresh_on`).
    - `qlora`: the same on a model that was loaded with `four_bit=True` (Dettmers et al. 2023).

    The last two recompute activations in the backward pass, which spares memory.

    Args:
        tuning: by default the card's.

    Raises:
        PrefbenchError: an unknown tuning; a model that has an adapter; `qlora` without CUDA, bitsandbytes or four bits,
            and `full` with them.
    """
    mode = tuning or mllm.card.tuning
    if mode not in get_args(Tuning):
        raise PrefbenchError(unknown("tuning", mode, list(get_args(Tuning))))
    if mllm.adapter is not None:
        raise PrefbenchError(f"mllm {mllm.card.name!r} has an adapter already; tune the model without it")
    if mode == "full":
        _train_all(mllm)
    else:
        _train_adapter(mllm, four_bit=mode == "qlora")
    mllm.model.train()
    return mllm


def _train_all(mllm: Mllm) -> None:
    if mllm.four_bit:
        raise PrefbenchError(f"mllm {mllm.card.name!r} is in four bits and cannot be trained whole; tune it with qlora")
    mllm.model.float().requires_grad_(True)
    mllm.model.get_submodule(vision_tower(mllm)).requires_grad_(False)


def _train_adapter(mllm: Mllm, *, four_bit: bool) -> None:
    if four_bit:
        check_four_bit(mllm.device)
        if not mllm.four_bit:
            raise PrefbenchError(f"mllm {mllm.card.name!r} is not in four bits; load it with four_bit=True")
    if mllm.four_bit:
        prepare_model_for_kbit_training(mllm.model, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call]
    card = mllm.card
    source = card.source if hub.is_hub_id(card.source) else str(Path(card.source).resolve())
    mllm.adapter = put_fresh_on(mllm.model, frozen=vision_tower(mllm), base=source, revision=card.revision)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of its new name, which older releases do not have
        mllm.model.gradient_checkpointing_enable({"use_reentrant": False})


def vision_tower(mllm: Mllm) -> str:
    """The name of the module that turns pixels into states."""
    tower = mllm.model.get_encoder(modality="image")
    return str(next(name for name, module in mllm.model.named_modules() if module is tower))
