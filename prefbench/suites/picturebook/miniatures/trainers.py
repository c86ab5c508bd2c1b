"""`prefbench train NAME`: trains a miniature of picturebook, measures it, and writes its folder with a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from prefbench.environment import hardware, versions
from prefbench.files import WEIGHTS, install_folder, write_atomic
from prefbench.suites.picturebook.data.corpus import CAPTIONED, CONTRASTS, CorpusRecipe
from prefbench.suites.picturebook.miniatures import quality
from prefbench.training.figures import Figure, as_card
from prefbench.training.loop import FitConfig, Progress
from prefbench.training.requests import TrainRequest

Card = dict[str, Any]

READER = FitConfig(images=250_000, batch=96, lr=2e-3, ema=0.999, decay=0.6)
MINI_CLIP = FitConfig(images=600_000, batch=128, lr=1.5e-3, weight_decay=0.02, betas=(0.9, 0.98), ema=0.999, decay=0.5)
MINI_VISION = FitConfig(images=400_000, batch=64, lr=2e-3, betas=(0.9, 0.98), ema=0.999, decay=0.6)
MINI_DINO = FitConfig(images=400_000, batch=64, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.02, ema=0.999, decay=0.5)
MINI_IP_ADAPTER = FitConfig(images=250_000, batch=32, lr=1e-3, ema=0.999, decay=0.5)
MINI_SD = FitConfig(
    images=560_000, batch=16, lr=2e-3, decay=0.35, ema=0.9995, slow=(("text_encoder", 0.5),), save_every_s=600
)


@dataclass(frozen=True)
class _Job:
    """Everything that differs between the miniatures: what they see, how they learn, how they are kept and measured."""

    name: str
    config: FitConfig
    corpora: Sequence[CorpusRecipe]
    train: Callable[[FitConfig, Path], tuple[Any, Progress]]
    save: Callable[[Any, Path], None]
    measure: Callable[[Path], Sequence[Figure]]


def reader(request: TrainRequest) -> Card | None:
    """Trains the reader of attributes on rendered pictures."""
    from prefbench.suites.picturebook.reader.reader import CORPUS, save_reader, train_reader

    return _run(_Job("reader", READER, [CORPUS], train_reader, save_reader, quality.reader), request)


def mini_clip(request: TrainRequest) -> Card | None:
    """Trains the open_clip miniature."""
    from prefbench.suites.picturebook.miniatures.mini_clip import save_mini_clip, train_mini_clip

    corpora = [CAPTIONED, CONTRASTS]
    job = _Job("mini-clip", MINI_CLIP, corpora, train_mini_clip, save_mini_clip, quality.mini_clip)
    return _run(job, request)


def mini_vision(request: TrainRequest) -> Card | None:
    """Trains the transformers image tower on the embedding of the shipped `mini-clip`."""
    from prefbench.suites.picturebook.miniatures.mini_vision import save_mini_vision, train_mini_vision

    corpora = [CAPTIONED, CONTRASTS]
    job = _Job("mini-vision", MINI_VISION, corpora, train_mini_vision, save_mini_vision, quality.mini_vision)
    return _run(job, request)


def mini_dino(request: TrainRequest) -> Card | None:
    """Trains the encoder of the preference scorer."""
    from prefbench.suites.picturebook.miniatures.mini_dino import CORPUS, save_mini_dino, train_mini_dino

    job = _Job("mini-dino", MINI_DINO, [CORPUS], train_mini_dino, save_mini_dino, quality.mini_dino)
    return _run(job, request)


def mini_sd(request: TrainRequest, *, compile_model: bool = False) -> Card | None:
    """Trains the Stable Diffusion miniature; its text tower starts from the one of `mini-clip`.

    Args:
        compile_model: compiles the denoiser: a slower start and faster steps.
    """
    from prefbench.suites.picturebook.miniatures.mini_sd import save_mini_sd, train_mini_sd

    train = partial(train_mini_sd, compile_model=compile_model)
    return _run(_Job("mini-sd", MINI_SD, [CAPTIONED], train, save_mini_sd, quality.mini_sd), request)


def mini_ip_adapter(request: TrainRequest) -> Card | None:
    """Trains the IP-Adapter of the shipped `mini-sd` on the embedding of the shipped `mini-vision`."""
    from prefbench.suites.picturebook.miniatures.mini_ip_adapter import save_mini_ip_adapter, train_mini_ip_adapter

    job = _Job(
        "mini-ip-adapter",
        MINI_IP_ADAPTER,
        [CAPTIONED],
        train_mini_ip_adapter,
        save_mini_ip_adapter,
        quality.mini_ip_adapter,
    )
    return _run(job, request)


def _run(job: _Job, request: TrainRequest) -> Card | None:
    """Trains, saves, measures and describes the model; the package's weights are replaced only by a whole folder.

    Returns the card, in the main process alone.
    """
    if not torch.cuda.is_available():
        # One thread a process: two collapse as soon as anything else runs; torchrun starts more processes.
        torch.set_num_threads(1)
    config = job.config if request.images is None else replace(job.config, images=request.images)
    model, progress = job.train(config, request.folder)
    if not PartialState().is_main_process:
        return None
    final = request.folder / "final"
    job.save(model, final)
    card = make_card(job.name, config, progress, job.corpora, job.measure(final))
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if request.install:
        install_folder(final, WEIGHTS / job.name)
    return card


def make_card(
    name: str, config: FitConfig, progress: Progress, corpora: Sequence[CorpusRecipe], figures: Sequence[Figure]
) -> Card:
    """What a model is, what it saw, how long it took and what it reaches."""
    return {
        "name": name,
        "licence": "Apache-2.0",
        "command": f"prefbench train {name} --images {config.images} --install",
        "measured_by": f"prefbench check weights {name}",
        "data": {"suite": "picturebook", "corpora": [asdict(recipe) for recipe in corpora]},
        "training": {
            **asdict(config),
            "steps": progress.step,
            "images_seen": progress.images,
            "wall_hours": round(progress.wall_s / 3600, 2),
            "core_hours": round(progress.core_s / 3600, 2),
            "machine": progress.machine,
        },
        "hardware": hardware(),
        "versions": versions(),
        "figures": as_card(figures),
    }
