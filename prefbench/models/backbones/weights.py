"""Which files a backbone is loaded from, what is missing of them, how to get them, and their digest. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from prefbench.api import BackboneCard, PrefbenchError, WeightFiles
from prefbench.models import hub
from prefbench.models.hub import MissingWeights
from prefbench.registry import names

NOT_LOADED = frozenset({"safety_checker"})
"""It replaces drawings by black pictures, which would be scored like any other."""
_INDEX = "model_index.json"
_VARIANTS: Mapping[str, str] = {"float16": "fp16", "bfloat16": "bf16"}
_WEIGHTS = re.compile(r"[^.]+?(?:\.(?P<variant>\w+?))?(?:-\d{5}-of-\d{5})?\.safetensors")
_PICKLED = (".bin", ".ckpt", ".pt", ".pth")
_CONFIGURATION = {".json", ".txt"}
_MOVED = (b"prefbench.models.backbones.", b"prefbench.backbones.")
"""The package of our own autoencoder in `model_index.json`, and its name when digests were first recorded.

A class that moves changes no pixel, so digests are over the first name, and keys of samples stay what they were.
"""


def missing(card: BackboneCard) -> str | None:
    """The command that gets the weights, or None when they are all here."""
    folder = find(card)
    return folder.command if isinstance(folder, MissingWeights) else None


def find(card: BackboneCard) -> Path | MissingWeights:
    """The folder with all that loading reads, or what is not here."""
    folder = hub.locate(WeightFiles(card.source, (_INDEX,), card.revision))
    if isinstance(folder, MissingWeights):
        return MissingWeights(folder.what, _command(card))
    incomplete = [name for name in components(folder) if not files(folder, name, variant(card))]
    if incomplete:
        found = [line for name in incomplete if (line := _found_instead(folder, name))]
        absent = [name for name in incomplete if not _found_instead(folder, name)]
        what = [*found, *([f"no files of {', '.join(absent)}"] if absent else [])]
        return MissingWeights(f"{folder} has {'; '.join(what)}", _command(card))
    return folder


def _found_instead(folder: Path, component: str) -> str:
    """In which form a component is there that is not read; empty where it is not there at all."""
    names = sorted(path.name for path in (folder / component).glob("*") if path.is_file())
    variants = {match["variant"] for name in names if (match := _WEIGHTS.fullmatch(name))} - {None}
    if variants:
        return f"{component} as the variant {', '.join(sorted(map(str, variants)))} only, the plain weights are read"
    pickled = sorted({Path(name).suffix for name in names if name.endswith(_PICKLED)})
    return f"{component} as {', '.join(pickled)} only, safetensors are read" if pickled else ""


def variant(card: BackboneCard) -> str | None:
    """Which of a repository's weights to prefer: the card's on every device, so that digests agree everywhere."""
    return _VARIANTS.get(card.dtype)


def components(folder: Path) -> dict[str, str]:
    """The components that are loaded: name to the library its class comes from."""
    index = hub.read_json(folder / _INDEX, "a backbone")
    entries = {name: entry for name, entry in index.items() if isinstance(entry, list)}
    for name, entry in entries.items():
        if len(entry) != 2 or not all(isinstance(part, str | None) for part in entry):
            raise PrefbenchError(f"{folder / _INDEX}: {name} is {str(entry)[:60]}, not a library and a class")
    libraries = {name: library for name, (library, _) in entries.items()}
    return {name: library for name, library in libraries.items() if library and name not in NOT_LOADED}


def files(folder: Path, component: str, preferred: str | None) -> list[Path]:
    """The files of a component, sorted: its configuration, and for a model the safetensors of one variant.

    Empty where anything is missing: a model is recognised by its `config.json`, as schedulers and tokenizers name
    theirs otherwise.
    """
    present = sorted(path for path in (folder / component).glob("*") if path.is_file())
    settings = [path for path in present if path.suffix in _CONFIGURATION and ".index." not in path.name]
    weights = _chosen(present, preferred)
    is_model = any(path.name == "config.json" for path in settings)
    return settings + weights if weights or not is_model else []


def has_variant(folder: Path, preferred: str | None) -> bool:
    """Whether any component's weights are of the preferred variant, which loaders then need as an argument."""
    paths = (path for name in components(folder) for path in files(folder, name, preferred))
    return preferred is not None and any(_variant_of(path) == preferred for path in paths)


def digest(folder: Path, preferred: str | None) -> str:
    """SHA-256 over all files that loading reads; other files do not move it."""
    index = folder / _INDEX
    return hub.digest({folder: files_read(folder, preferred)}, contents={index: index.read_bytes().replace(*_MOVED)})


def files_read(folder: Path, preferred: str | None) -> list[Path]:
    """All files that loading reads."""
    return [folder / _INDEX, *(path for name in components(folder) for path in files(folder, name, preferred))]


def _chosen(present: list[Path], preferred: str | None) -> list[Path]:
    """The safetensors of the preferred variant, or without any the plain ones: the rule of diffusers."""
    weights = [path for path in present if _WEIGHTS.fullmatch(path.name)]
    of_variant = [path for path in weights if _variant_of(path) == preferred]
    return of_variant or [path for path in weights if _variant_of(path) is None]


def _variant_of(path: Path) -> str | None:
    match = _WEIGHTS.fullmatch(path.name)
    return match["variant"] if match else None


def _command(card: BackboneCard) -> str:
    if not hub.is_hub_id(card.source):
        trained = card.name in names("trainer")
        return hub.train_command(card.name) if trained else f"pipeline.save_pretrained({card.source!r})"
    weights = f"*.{variant(card)}.safetensors" if variant(card) else "*.safetensors"
    return hub.download_command(card.source, card.revision, ["*.json", "*.txt", weights], ["safety_checker/*"])
