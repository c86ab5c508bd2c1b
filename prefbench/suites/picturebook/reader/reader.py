"""The reader on disk, and its training: networks that read every attribute off a picture.

It is the suite's measuring instrument: trained on rendered pictures alone, never on anything a method drew, and no
method or scorer may import it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from prefbench.api import PrefbenchError, WeightFiles
from prefbench.files import WEIGHTS, atomic_file, write_atomic
from prefbench.models import hub
from prefbench.suites.picturebook.data.corpus import HELD_OUT_SIZE, Corpus, held_out, load_corpus
from prefbench.suites.picturebook.reader.networks import NETWORKS, NetworkName, Reader
from prefbench.suites.picturebook.reader.panel import UNMOVED, Panel, View
from prefbench.suites.picturebook.reader.reading import ReadingTask, reading_batches
from prefbench.suites.picturebook.reader.robust import RobustReadingTask, robust_batches
from prefbench.suites.picturebook.world.axes import AXES
from prefbench.suites.picturebook.world.defects import DEFECTS, spoil
from prefbench.training.loop import FitConfig, Progress, fit

_CONFIG = "config.json"
_PLAIN = "model.safetensors"
ROBUST: tuple[NetworkName, ...] = ("fine", "coarse")
"""The networks of the robust instrument, each trained from a seed of its own."""
VIEWS: tuple[View, ...] = (UNMOVED,)


def load_reader(folder: Path = WEIGHTS / "reader") -> Panel:
    """The trained readers in float32. Raises `PrefbenchError` where weights are absent or do not fit."""
    if not (folder / _CONFIG).is_file():
        return Panel([_loaded("plain", folder, _PLAIN)])
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        names: list[NetworkName] = [name for name in NETWORKS if name in config["networks"]]
        views = [(int(down), int(right)) for down, right in config["views"]]
        if len(names) != len(config["networks"]) or not names or not views:
            raise ValueError(f"networks are {', '.join(NETWORKS)}")
    except (ValueError, KeyError, TypeError) as error:
        raise PrefbenchError(
            f"{folder / _CONFIG} does not describe readers ({error}): prefbench train reader"
        ) from None
    return Panel([_loaded(name, folder, f"{name}.safetensors") for name in names], views=views)


def reader_files(folder: Path = WEIGHTS / "reader") -> list[Path]:
    """The files that readings depend on, sorted."""
    return hub.files(folder, ("*.safetensors", _CONFIG))


def _loaded(network: NetworkName, folder: Path, name: str) -> Reader:
    weights = WeightFiles(str(folder), (name,), licence="Apache-2.0", trainer="reader")
    reader = Reader(network)
    stored = load_file(hub.require("the reader", weights) / name)
    reader.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in stored.items()})
    return reader.eval()


def save_reader(panel: Panel, folder: Path) -> None:
    """Writes the weights in float16, and beside several readers which they are."""
    readers = [reader for reader in panel.readers if isinstance(reader, Reader)]
    for reader in readers:
        state = {k: (t.half() if t.is_floating_point() else t).contiguous() for k, t in reader.state_dict().items()}
        name = _PLAIN if reader.network == "plain" else f"{reader.network}.safetensors"
        with atomic_file(folder / name) as temporary:
            save_file(state, temporary)
    if readers[0].network != "plain":
        config = {"networks": [reader.network for reader in readers], "views": panel.views}
        write_atomic(folder / _CONFIG, json.dumps(config, indent=2) + "\n")


class Trained(NamedTuple):
    """What a training gave, and its cost."""

    panel: Panel
    progress: Progress


def train_reader(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> Trained:
    """Trains the plain reader on one corpus of rendered pictures, all contents and all axes uniform."""
    (corpus,) = corpora
    torch.manual_seed(config.seed)
    reader = Reader()
    progress = fit(ReadingTask(reader), reading_batches(corpus), config, folder)
    return Trained(Panel([reader]), progress)


def train_robust_readers(corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> Trained:
    """Trains the readers of `ROBUST` one after the other, in folders of their own, each on `config.images` pictures."""
    (corpus,) = corpora
    readers, total = [], Progress()
    for seed, network in enumerate(ROBUST, start=config.seed + 1):
        torch.manual_seed(seed)
        reader = Reader(network).to(memory_format=torch.channels_last)
        task = RobustReadingTask(reader, images=config.images)
        progress = fit(task, robust_batches(corpus), replace(config, seed=seed), folder / network)
        readers.append(reader)
        total = _sum(total, progress)
    return Trained(Panel(readers, views=VIEWS), total)


def _sum(one: Progress, other: Progress) -> Progress:
    return Progress(
        one.step + other.step,
        one.images + other.images,
        one.wall_s + other.wall_s,
        one.core_s + other.core_s,
        sorted({*one.machine, *other.machine}),
    )


def reading_accuracy(panel: Panel, *, n: int = HELD_OUT_SIZE) -> Mapping[str, float]:
    """Accuracy for each axis on held-out rendered pictures."""
    corpus = load_corpus(held_out(n))
    probabilities = panel.read(corpus.pictures)
    return {
        axis.name: float((probabilities[axis.name].argmax(1) == corpus.scenes[:, a]).mean())
        for a, axis in enumerate(AXES)
    }


def defect_accuracy(panel: Panel, *, n: int = HELD_OUT_SIZE) -> Mapping[str, float]:
    """How often each defect's level is read rightly off held-out pictures that have that defect alone, or none.

    Levels are uniform. Empty for readers of axes alone.
    """
    corpus, known = load_corpus(held_out(n)), {axis.name for axis in panel.axes}
    levels = np.random.default_rng(0).integers(3, size=len(corpus))
    accuracy = {}
    for d, defect in enumerate(DEFECTS):
        if defect.name in known:
            alone = [[int(level) * (d == other) for other in range(len(DEFECTS))] for level in levels]
            pictures = [spoil(p, of, i) for i, (p, of) in enumerate(zip(corpus.pictures, alone, strict=True))]
            accuracy[defect.name] = float((panel.read(np.stack(pictures))[defect.name].argmax(1) == levels).mean())
    return accuracy
