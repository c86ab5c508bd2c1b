"""Where a backbone's weights are, what is missing of them, how to get them, and their digest. Imports no torch.

Nothing here asks the network: a model of the hub counts as present when its snapshot lies in the local cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefbench.api import BackboneCard
from prefbench.registry import names

NOT_LOADED = frozenset({"safety_checker"})
"""It replaces drawings by black pictures, which would be scored like any other."""
_VARIANTS: Mapping[str, str] = {"float16": "fp16", "bfloat16": "bf16"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_WEIGHTS = re.compile(r"[^.]+?(?:\.(?P<variant>\w+?))?(?:-\d{5}-of-\d{5})?\.safetensors")
_CONFIGURATION = {".json", ".txt"}


@dataclass(frozen=True)
class Absence:
    """What of a backbone's weights is not here, and the command that gets it."""

    what: str
    command: str


def missing(card: BackboneCard) -> str | None:
    """The command that gets the weights, or None when they are all here."""
    found = find(card)
    return found.command if isinstance(found, Absence) else None


def find(card: BackboneCard) -> Path | Absence:
    """The folder with all that loading reads, or what is not here."""
    folder = _locate(card)
    if folder is None:
        absent = "there is no local copy of" if is_hub_id(card.source) else "there are no weights in"
        return Absence(f"{absent} {card.source}", _command(card))
    lacking = [name for name in components(folder) if not files(folder, name, variant(card))]
    if lacking:
        return Absence(f"{folder} has no files of {', '.join(lacking)}", _command(card))
    return folder


def is_hub_id(source: str) -> bool:
    """Whether a card's source names a repository of the hub and not a folder."""
    return _HUB_ID.fullmatch(source) is not None and not Path(source).is_dir()


def variant(card: BackboneCard) -> str | None:
    """Which of a repository's weights to prefer: the card's, on every device, so that the digest is one everywhere."""
    return _VARIANTS.get(card.dtype)


def components(folder: Path) -> dict[str, str]:
    """The components that are loaded: name to the library its class comes from."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    listed = {name: entry[0] for name, entry in index.items() if isinstance(entry, list)}
    return {name: library for name, library in listed.items() if library and name not in NOT_LOADED}


def files(folder: Path, component: str, preferred: str | None) -> list[Path]:
    """What loading a component reads, sorted: its configuration, and for a model the safetensors of one variant.

    Empty where anything is missing: a model is recognised by its `config.json`, as schedulers and tokenizers name
    theirs otherwise.
    """
    present = sorted(path for path in (folder / component).glob("*") if path.is_file())
    settings = [path for path in present if path.suffix in _CONFIGURATION and ".index." not in path.name]
    weights = _chosen(present, preferred)
    is_model = any(path.name == "config.json" for path in settings)
    return settings + weights if weights or not is_model else []


def has_variant(folder: Path, preferred: str | None) -> bool:
    """Whether any component's weights are of the preferred variant; loaders must be told then."""
    chosen = (path for name in components(folder) for path in files(folder, name, preferred))
    return preferred is not None and any(_variant_of(path) == preferred for path in chosen)


def digest(folder: Path, preferred: str | None) -> str:
    """SHA-256 over the names, sorted, and contents of all files that loading reads; other files do not move it."""
    read = [folder / "model_index.json"]
    for name in sorted(components(folder)):
        read += files(folder, name, preferred)
    total = hashlib.sha256()
    for path in sorted(read):
        with path.open("rb") as content:
            total.update(f"{path.relative_to(folder).as_posix()} ".encode())
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _locate(card: BackboneCard) -> Path | None:
    """The folder with `model_index.json`: the source itself, or the hub's snapshot in the local cache."""
    if is_hub_id(card.source):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(card.source, "model_index.json", revision=card.revision)
        return Path(found).parent if isinstance(found, str) else None
    folder = Path(card.source)
    return folder if (folder / "model_index.json").is_file() else None


def _chosen(present: list[Path], preferred: str | None) -> list[Path]:
    """The safetensors of the preferred variant, or without any the plain ones: the rule of diffusers."""
    weights = [path for path in present if _WEIGHTS.fullmatch(path.name)]
    of_variant = [path for path in weights if _variant_of(path) == preferred]
    return of_variant or [path for path in weights if _variant_of(path) is None]


def _variant_of(path: Path) -> str | None:
    match = _WEIGHTS.fullmatch(path.name)
    return match["variant"] if match else None


def _command(card: BackboneCard) -> str:
    if not is_hub_id(card.source):
        if card.name in names("trainer"):
            return f"prefbench train {card.name} --install"
        return f"pipeline.save_pretrained({card.source!r})"
    weights = f"*.{variant(card)}.safetensors" if variant(card) else "*.safetensors"
    # The repositories hold every model several times over; without patterns the command would fetch all of them.
    return (
        f"hf download {card.source} --revision {card.revision or 'main'}"
        f' --include "*.json" --include "*.txt" --include "{weights}" --exclude "safety_checker/*"'
    )
