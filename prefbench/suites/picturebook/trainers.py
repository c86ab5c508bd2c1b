"""`prefbench train NAME`: trains a miniature of picturebook, measures it, and writes its folder with a card."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from prefbench.environment import hardware, versions
from prefbench.paths import WEIGHTS, write_atomic
from prefbench.suites.picturebook import quality
from prefbench.suites.picturebook.quality import Figure
from prefbench.training.loop import FitConfig, Progress

logger = logging.getLogger(__name__)

READER = FitConfig(images=250_000, batch=96, lr=2e-3, ema=0.999, decay=0.6)
MINI_CLIP = FitConfig(images=350_000, batch=128, weight_decay=0.02, betas=(0.9, 0.98), ema=0.999, decay=0.5)
MINI_SD = FitConfig(images=1_500_000, batch=16, lr=2e-3, ema=0.9995, slow=(("text_encoder", 0.25),))


def reader(folder: Path, *, images: int | None, install: bool, compile_model: bool) -> None:
    """Trains the reader of attributes on rendered pictures."""
    from prefbench.suites.picturebook.reader import CORPUS, save_reader, train_reader

    _refuse_compiling("reader", compile_model)
    config = _sized(READER, images)
    _one_thread()
    model, progress = train_reader(config, folder)
    _finish(
        "reader", folder, config, progress, asdict(CORPUS), lambda out: save_reader(model, out), quality.reader, install
    )


def mini_clip(folder: Path, *, images: int | None, install: bool, compile_model: bool) -> None:
    """Trains the open_clip miniature."""
    from prefbench.suites.picturebook.corpus import CAPTIONED
    from prefbench.suites.picturebook.mini_clip import save_mini_clip, train_mini_clip

    _refuse_compiling("mini-clip", compile_model)
    config = _sized(MINI_CLIP, images)
    _one_thread()
    model, progress = train_mini_clip(config, folder)
    _finish(
        "mini-clip",
        folder,
        config,
        progress,
        asdict(CAPTIONED),
        lambda out: save_mini_clip(model, out),
        quality.mini_clip,
        install,
    )


def mini_sd(folder: Path, *, images: int | None, install: bool, compile_model: bool) -> None:
    """Trains the Stable Diffusion miniature; its text tower starts from the one of `mini-clip`."""
    from prefbench.suites.picturebook.corpus import CAPTIONED
    from prefbench.suites.picturebook.mini_sd import train_mini_sd

    config = _sized(MINI_SD, images)
    _one_thread()
    pipeline, progress = train_mini_sd(config, folder, compile_model=compile_model)

    def save(out: Path) -> None:
        pipeline.to(torch.float16).save_pretrained(out)

    _finish("mini-sd", folder, config, progress, asdict(CAPTIONED), save, quality.mini_sd, install)


def _refuse_compiling(name: str, compile_model: bool) -> None:
    if compile_model:
        logger.warning("%s is too small to gain from --compile; it is trained without", name)


def _sized(config: FitConfig, images: int | None) -> FitConfig:
    return config if images is None else replace(config, images=images)


def _one_thread() -> None:
    """One thread a process on a CPU: two collapse as soon as anything else runs; use more processes instead."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)


def _finish(
    name: str,
    folder: Path,
    config: FitConfig,
    progress: Progress,
    corpus: dict[str, Any],
    save: Callable[[Path], None],
    measure: Callable[[Path], Sequence[Figure]],
    install: bool,
) -> None:
    """Saves, measures and describes the model; the package's weights are replaced only by a whole folder."""
    if not PartialState().is_main_process:
        return
    final = folder / "final"
    save(final)
    figures = measure(final)
    card = make_card(name, config, progress, corpus, figures)
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if install:
        shutil.rmtree(WEIGHTS / name, ignore_errors=True)
        shutil.copytree(final, WEIGHTS / name)


def make_card(
    name: str, config: FitConfig, progress: Progress, corpus: dict[str, Any], figures: Sequence[Figure]
) -> dict[str, Any]:
    """What a model is, what it saw, how long it took and what it reaches."""
    return {
        "name": name,
        "licence": "Apache-2.0",
        "command": f"prefbench train {name} --images {config.images} --install",
        "measured_by": f"prefbench check weights {name}",
        "data": {"suite": "picturebook", "corpus": corpus},
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
        "figures": {
            figure.name: {"value": round(figure.value, 4), "floor": figure.floor, "goal": figure.goal}
            for figure in figures
        },
    }
