"""Which files a language model is loaded from, what is missing of them, how to get them, and their digest. No torch."""

from __future__ import annotations

from pathlib import Path

from prefbench.api import WeightFiles
from prefbench.models import hub
from prefbench.models.hub import MissingWeights
from prefbench.models.mllms.cards import MllmCard

ADAPTER_FILE, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_MODEL, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SETTINGS = {".json", ".txt", ".jinja", ".model"}
"""Configurations, vocabularies, chat templates, sentencepiece models."""
_NOT_READ = {"card.json"}
_NEEDED = {
    "the tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json"),
    "the processor": ("processor_config.json", "preprocessor_config.json"),
}
"""Each kind with the files of which one must be there."""


def missing(card: MllmCard) -> str | None:
    """The command that gets the weights, or None when they are all here."""
    folder = find(card)
    return folder.command if isinstance(folder, MissingWeights) else None


def find(card: MllmCard) -> Path | MissingWeights:
    """The folder with every file that loading reads, the adapter's too, or what is missing and how to get it."""
    folder = find_model(card.source, card.revision, card.trainer)
    if isinstance(folder, MissingWeights):
        return folder
    incomplete = _incomplete(folder)
    if incomplete:
        what = f"{folder} has no files of {', '.join(incomplete)}"
        return MissingWeights(what, _command(card.source, card.revision, card.trainer))
    if card.adapter is not None and not (Path(card.adapter) / ADAPTER_WEIGHTS).is_file():
        return MissingWeights(f"{card.adapter} has no {ADAPTER_WEIGHTS}", f"mllm.save({card.adapter!r})")
    return folder


def find_model(source: str, revision: str | None, trainer: str | None = None) -> Path | MissingWeights:
    """The folder with a model's configuration, or what is missing and how to get it."""
    folder = hub.locate(WeightFiles(source, ("config.json",), revision))
    if isinstance(folder, MissingWeights):
        return MissingWeights(folder.what, _command(source, revision, trainer))
    return folder


def _command(source: str, revision: str | None, trainer: str | None) -> str:
    """The command that downloads, trains or saves an absent model."""
    if hub.is_hub_id(source):
        patterns = [f"*{suffix}" for suffix in (*sorted(_SETTINGS), ".safetensors")]
        return hub.download_command(source, revision, patterns)
    return hub.train_command(trainer) if trainer is not None else f"mllm.save({source!r})"


def has_processor(folder: Path) -> bool:
    """Whether a folder holds a tokenizer and an image processor."""
    return all(any((folder / name).is_file() for name in any_of) for any_of in _NEEDED.values())


def digest(folder: Path, adapter: Path | None) -> str:
    """SHA-256 over all files that loading reads, those of the adapter too; other files do not move it."""
    inputs = {folder: files_read(folder)}
    if adapter is not None:
        inputs[adapter] = [*_settings(adapter), adapter / ADAPTER_WEIGHTS]
    return hub.digest(inputs)


def files_read(folder: Path) -> list[Path]:
    """All files of a model that loading reads."""
    return [*_settings(folder), *_shards(folder)]


def _incomplete(folder: Path) -> list[str]:
    """The kinds of files that loading would not find, in words."""
    shards = _shards(folder)
    incomplete = [] if shards and all(path.is_file() for path in shards) else ["the model"]
    return incomplete + [what for what, any_of in _NEEDED.items() if not hub.files(folder, any_of)]


def _shards(folder: Path) -> list[Path]:
    """The model's safetensors: the single file, else all that the index names, whether they are here or not."""
    if (folder / _MODEL).is_file():
        return [folder / _MODEL]
    if not (folder / _INDEX).is_file():
        return []
    shards = hub.read_json(folder / _INDEX, "a language model").get("weight_map", {})
    return [folder / Path(name).name for name in sorted(set(shards.values()))]


def _settings(folder: Path) -> list[Path]:
    present = (path for path in folder.glob("*") if path.is_file() and path.suffix in _SETTINGS)
    return [path for path in present if path.name not in _NOT_READ and ".index." not in path.name]
