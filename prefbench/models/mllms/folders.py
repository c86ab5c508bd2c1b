"""The card of a saved language model, read from its folder. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from prefbench.api import PrefbenchError
from prefbench.models import hub
from prefbench.models.mllms.cards import Dtype, Layout, MllmCard, Tuning
from prefbench.models.mllms.weights import ADAPTER_FILE, find_model
from prefbench.registry import load, names

CARD_FILE = "mllm.json"
_WHAT = "a language model"


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _are_phrases(value: Any) -> bool:
    """Groups of phrases, none twice, none empty."""
    if not isinstance(value, list) or not all(isinstance(group, list) and group for group in value):
        return False
    phrases = [phrase for group in value for phrase in group]
    return all(isinstance(phrase, str) and phrase.strip() for phrase in phrases) and len({*phrases}) == len(phrases)


_SETTINGS: Mapping[str, Callable[[Any], bool]] = {
    "dtype": lambda value: value in get_args(Dtype),
    "licence": lambda value: isinstance(value, str),
    "context": _is_count,
    "image_side": lambda value: value is None or _is_count(value),
    "tuning": lambda value: value in get_args(Tuning),
    "history": lambda value: value in get_args(Layout),
    "pooled": lambda value: isinstance(value, bool),
    "phrases": _are_phrases,
}
"""Settings that the configurations of transformers and peft lack, or store elsewhere, and checks of their values."""
_SHOWN = ("history", "pooled", "phrases")
"""Those that say what a model is shown."""


def settings_of(card: MllmCard) -> dict[str, Any]:
    """The content of `CARD_FILE`."""
    return {name: value for name, value in asdict(card).items() if name in _SETTINGS}


def is_saved(folder: Path) -> bool:
    """Whether a folder is empty or holds a model or an adapter, so that another may replace it."""
    marks = (CARD_FILE, "config.json", ADAPTER_FILE)
    return not any(folder.iterdir()) or any((folder / mark).is_file() for mark in marks)


def card_of_folder(folder: Path) -> MllmCard:
    """The card of a `save_pretrained` folder: of a model, of a model with an adapter in `adapter/`, or of an adapter.

    An adapter alone belongs to the base model that it names. Settings are those saved in `CARD_FILE`; else the base
    model's; else what its `config.json` says.

    Raises:
        PrefbenchError: none of these folders, or the base model of an adapter is not here.
    """
    adapter = next(
        (candidate for candidate in (folder, folder / "adapter") if (candidate / ADAPTER_FILE).is_file()), None
    )
    if adapter == folder and (folder / "config.json").is_file():
        raise PrefbenchError(f"{folder} holds a model and an adapter; move the adapter's files to {folder}/adapter")
    base = _card_of_base(folder) if adapter == folder else _card_of_model(folder)
    return replace(base, name=folder.resolve().name, adapter=str(adapter) if adapter else None, **_saved(folder))


def with_stored_layout(card: MllmCard, folder: Path) -> MllmCard:
    """The card with the layout of histories and pictures that weights of the same name were stored with."""
    saved = {} if card.adapter is not None else _saved(folder)
    return replace(card, **{name: value for name, value in saved.items() if name in _SHOWN})


def _saved(folder: Path) -> dict[str, Any]:
    """The settings in `CARD_FILE`, where there is one."""
    path = folder / CARD_FILE
    content = hub.read_json(path, _WHAT) if path.is_file() else {}
    settings = {name: content[name] for name in _SETTINGS if name in content}
    wrong = [f"{name} cannot be {value!r}" for name, value in settings.items() if not _SETTINGS[name](value)]
    if wrong:
        raise PrefbenchError(f"{path}: {', '.join(wrong)}")
    return settings | ({"phrases": tuple(map(tuple, settings["phrases"]))} if "phrases" in settings else {})


def _card_of_model(folder: Path) -> MllmCard:
    config = hub.read_json(folder / "config.json", _WHAT)
    text = config.get("text_config", config)  # public configurations of Qwen2.5-VL are flat
    context: Any = text.get("max_position_embeddings") if isinstance(text, dict) else None
    dtype: Any = config.get("dtype", config.get("torch_dtype"))
    if dtype not in get_args(Dtype) or not _is_count(context):
        raise PrefbenchError(f"{folder}/config.json needs dtype, and max_position_embeddings of the language model")
    return MllmCard(folder.resolve().name, str(folder), None, dtype, "as its folder says", context)


def _card_of_base(adapter: Path) -> MllmCard:
    """The card of the model that an adapter was trained on."""
    config = hub.read_json(adapter / ADAPTER_FILE, "an adapter")
    source, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(source, str):
        raise PrefbenchError(f"{adapter}/{ADAPTER_FILE} names no base model")
    cards: list[MllmCard] = [load("mllm", name) for name in names("mllm")]
    for card in cards:
        if card.source == source:
            return replace(card, revision=revision or card.revision, untrained=None)
    folder = find_model(source, revision)
    if isinstance(folder, hub.MissingWeights):
        raise PrefbenchError(f"the base model of {adapter}: {folder}")
    return replace(_card_of_model(folder), source=source, revision=revision)
