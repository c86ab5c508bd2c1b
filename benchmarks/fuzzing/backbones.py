"""Backbone folders with mutated indices, configurations, tokenizers and safetensors.

A folder is refused in one line, or loaded: then its digest is its own, and it draws pictures or failed samples.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

from benchmarks.fuzzing import damage
from benchmarks.fuzzing.trial import Trial, WrongError, arguments_of_run, command, refused, tiny_backbone
from prefbench.models.backbones import weights
from prefbench.models.backbones.loader import load_backbone


class Backbones:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.whole = tiny_backbone(folder)
        self.files = [path.relative_to(self.whole) for path in sorted(self.whole.rglob("*")) if path.is_file()]
        self.digest = load_backbone(self.whole, device="cpu").digest

    def answer(self, trial: Trial) -> str:
        folder = trial.folder / "mine"
        shutil.copytree(self.whole, folder)
        name = trial.of([*self.files, *(name for name in self.files if name.suffix == ".json")])
        data = (self.whole / name).read_bytes()
        changed = _changed(trial, data, name, (self.whole / trial.of(self.files)).read_bytes())
        (folder / name).unlink()
        if changed is not None:
            (folder / name).write_bytes(changed)
        if trial.chance(0.08):
            return self._drawn(folder, trial)
        backbone, refusal = refused(lambda: load_backbone(folder, device="cpu", steps=trial.of((None, 1, 2, 50))))
        if backbone is None:
            return "refused" if refusal else ""
        is_read = folder / name in weights.files_read(folder, None)
        if is_read and changed != data and backbone.digest == self.digest:
            raise WrongError(f"{name} was changed and the digest was not")
        return "loaded"

    def _drawn(self, folder: Path, trial: Trial) -> str:
        """A run of the shipped baseline on it."""
        arguments = arguments_of_run(folder, trial.folder / "runs", method="prompt-only")
        done = command(*arguments, "--no-score", "--json")
        return {0: "drawn", 1: "drawn with failed samples", 2: "refused by run"}[done.code]


def _changed(trial: Trial, data: bytes, name: Path, foreign: bytes) -> bytes | None:
    """The content of a file after a mutation; None where it is lost."""
    if trial.chance(0.05):
        return None
    if name.suffix == ".safetensors" and trial.chance(0.7):
        return _other_header(trial, data)
    if name.suffix == ".json" and len(data) < 100_000 and trial.chance(0.75):
        text = data.decode()
        for _ in range(trial.of((1, 1, 2, 4))):
            text = damage.edited(trial, text)
        return text.encode(errors="surrogatepass")
    return damage.on_bytes(trial, data, foreign)


def _other_header(trial: Trial, data: bytes) -> bytes:
    """Weights whose header says something else: length, types, shapes, places, names."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = data[8 : 8 + length].decode(), data[8 + length :]
    deed = trial.of(("length", "edit", "edit", "edit", "huge", "type", "body"))
    if deed == "length":
        return struct.pack("<Q", trial.of((0, 1, 2**32, 2**63, length + 1, length - 1))) + data[8:]
    if deed == "body":
        return data[: 8 + length] + damage.on_bytes(trial, body, b"")
    if deed == "edit":
        header = damage.edited(trial, header)
    else:
        content = json.loads(header)
        entry = content[trial.of([key for key in content if key != "__metadata__"])]
        if deed == "huge":
            entry["shape"] = [trial.of((2**31, 2**62, 10**6)), *entry["shape"]]
        else:
            entry["dtype"] = trial.of(("F64", "BF16", "I8", "BOOL", "F8_E4M3", "X", ""))
        header = json.dumps(content)
    return struct.pack("<Q", len(header.encode(errors="surrogatepass"))) + header.encode(errors="surrogatepass") + body
