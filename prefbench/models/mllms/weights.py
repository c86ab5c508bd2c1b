"""Which files a language model is loaded from, what is missing of them, how to get them, and their digest. No torch."""

from __future__ import annotations

from pathlib import Path

from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.hub import Absence
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
    found = find(card)
    return found.command if isinstance(found, Absence) else None


def find(card: MllmCard) -> Path | Absence:
    """The folder with all that loading reads of the model, or what is not here; the adapter is looked for too."""
    folder = hub.locate(card.source, card.revision, "config.json")
    if folder is None:
        return hub.absent(card.source, command(card.source, card.revision))
    lacking = _lacking(folder)
    if lacking:
        what = f"{folder} has no files of {', '.join(lacking)}"
        return Absence(what, command(card.source, card.revision))
    if card.adapter is not None and not (Path(card.adapter) / ADAPTER_WEIGHTS).is_file():
        return Absence(f"{card.adapter} has no {ADAPTER_WEIGHTS}", f"mllm.save({card.adapter!r})")
    return folder


def command(source: str, revision: str | None) -> str:
    """What gets a model that is not here."""
    if hub.is_hub_id(source):
        return hub.download(source, revision, [f"*{suffix}" for suffix in (*sorted(_SETTINGS), ".safetensors")])
    if Path(source).parent == WEIGHTS:
        return "prefbench train ours --install"
    return f"mllm.save({source!r})"


def has_processor(folder: Path) -> bool:
    """Whether a folder holds a tokenizer and an image processor."""
    return all(any((folder / name).is_file() for name in any_of) for any_of in _NEEDED.values())


def digest(folder: Path, adapter: Path | None) -> str:
    """SHA-256 over all files that loading reads, those of the adapter too; other files do not move it."""
    read = {folder: [*_settings(folder), *_shards(folder)]}
    if adapter is not None:
        read[adapter] = [*_settings(adapter), adapter / ADAPTER_WEIGHTS]
    return hub.digest(read)


def _lacking(folder: Path) -> list[str]:
    """In words, what loading would not find."""
    shards = _shards(folder)
    lacking = [] if shards and all(path.is_file() for path in shards) else ["the model"]
    return lacking + [what for what, any_of in _NEEDED.items() if not any((folder / name).is_file() for name in any_of)]


def _shards(folder: Path) -> list[Path]:
    """The model's safetensors: the single file, else all that the index names, whether they are here or not."""
    if (folder / _MODEL).is_file():
        return [folder / _MODEL]
    if not (folder / _INDEX).is_file():
        return []
    named = hub.read_json(folder / _INDEX, "a language model").get("weight_map", {})
    return [folder / Path(name).name for name in sorted(set(named.values()))]


def _settings(folder: Path) -> list[Path]:
    present = (path for path in folder.glob("*") if path.is_file() and path.suffix in _SETTINGS)
    return [path for path in present if path.name not in _NOT_READ and ".index." not in path.name]
