"""`prefbench train NAME`: trains a miniature of picturebook, measures it, and writes its folder with a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from accelerate import PartialState

from prefbench.files import WEIGHTS, write_atomic
from prefbench.models.folders import install_folder
from prefbench.run.environment import hardware, versions
from prefbench.suites.picturebook.data.corpus import (
    CAPTIONED,
    CONTRASTS,
    HELD_OUT_SIZE,
    JUDGED,
    READING,
    Corpus,
    CorpusRecipe,
    load_corpus,
)
from prefbench.suites.picturebook.miniatures import quality
from prefbench.training.figures import QualityFigure, as_card
from prefbench.training.loop import FitConfig, Progress
from prefbench.training.requests import TrainRequest

Card = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """Schedule and training data of a miniature, and how many pictures its quality is measured on."""

    config: FitConfig
    corpora: tuple[CorpusRecipe, ...]
    measured_on: int
    """Held-out pictures, or pictures to draw, that the figures of its card stand on."""


RECIPES: dict[str, Recipe] = {
    "reader": Recipe(FitConfig(images=250_000, batch=96, lr=2e-3, ema=0.999, decay=0.6), (READING,), HELD_OUT_SIZE),
    "mini-clip": Recipe(
        FitConfig(images=600_000, batch=128, lr=1.5e-3, weight_decay=0.02, betas=(0.9, 0.98), ema=0.999, decay=0.5),
        (CAPTIONED, CONTRASTS),
        HELD_OUT_SIZE,
    ),
    "mini-vision": Recipe(
        FitConfig(images=400_000, batch=64, lr=2e-3, betas=(0.9, 0.98), ema=0.999, decay=0.6),
        (CAPTIONED, CONTRASTS),
        HELD_OUT_SIZE,
    ),
    "mini-dino": Recipe(
        FitConfig(images=400_000, batch=64, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.02, ema=0.999, decay=0.5),
        (JUDGED,),
        HELD_OUT_SIZE,
    ),
    "mini-sd": Recipe(
        FitConfig(
            images=560_000, batch=16, lr=2e-3, decay=0.35, ema=0.9995, slow=(("text_encoder", 0.5),), save_every_s=600
        ),
        (CAPTIONED,),
        quality.SAMPLES,
    ),
    "mini-ip-adapter": Recipe(
        FitConfig(images=250_000, batch=32, lr=1e-3, ema=0.999, decay=0.5), (CAPTIONED,), quality.ADAPTED
    ),
}
WORDS = Recipe(FitConfig(images=20_000), (replace(JUDGED, n=20_000, seed=7),), HELD_OUT_SIZE)
"""That of `mini-words`, which looks at every picture once and follows no gradient."""
WorldName = Literal["1", "2"]


def of_world(recipe: Recipe, world: WorldName) -> Recipe:
    """The same recipe on what users of a world judged."""
    corpora = tuple(replace(one, users=world) if one.kind == "judged" else one for one in recipe.corpora)
    return replace(recipe, corpora=corpora)


def world_option(world: WorldName) -> str:
    """What the command line says of a world that is not the default."""
    return "" if world == "2" else f" -p world={world}"


class _Train(Protocol):
    def __call__(self, corpora: Sequence[Corpus], config: FitConfig, folder: Path) -> tuple[Any, Progress]: ...


class _Save(Protocol):
    def __call__(self, model: Any, folder: Path, /) -> None: ...


class _Measure(Protocol):
    def __call__(self, folder: Path, *, n: int) -> Sequence[QualityFigure]: ...


ROBUST_READERS = Recipe(FitConfig(images=700_000, batch=96, lr=2e-3, ema=0.999, decay=0.5), (READING,), HELD_OUT_SIZE)
"""Of each of the two readers that adversarial noise is to mislead as little as can be."""


def reader(request: TrainRequest, *, robust: bool = False) -> Card | None:
    """Trains the reader of attributes on rendered pictures.

    Args:
        robust: two networks that also read defects, trained against adversarial noise.
    """
    from prefbench.suites.picturebook.reader.reader import save_reader, train_reader, train_robust_readers

    if not robust:
        return _run("reader", request, train_reader, save_reader, quality.reader)
    options = " -p robust=true"
    return _run(
        "reader", request, train_robust_readers, save_reader, quality.reader, recipe=ROBUST_READERS, options=options
    )


def mini_clip(request: TrainRequest) -> Card | None:
    """Trains the open_clip miniature."""
    from prefbench.suites.picturebook.miniatures.mini_clip import save_mini_clip, train_mini_clip

    return _run("mini-clip", request, train_mini_clip, save_mini_clip, quality.mini_clip)


def mini_vision(request: TrainRequest) -> Card | None:
    """Trains the transformers image tower on the embedding of the shipped `mini-clip`."""
    from prefbench.suites.picturebook.miniatures.mini_vision import save_mini_vision, train_mini_vision

    return _run("mini-vision", request, train_mini_vision, save_mini_vision, quality.mini_vision)


def mini_dino(request: TrainRequest, *, world: WorldName = "2") -> Card | None:
    """Trains the encoder of the preference scorer on every label of what was judged.

    Args:
        world: whose users judged.
    """
    from prefbench.suites.picturebook.miniatures.mini_dino import save_mini_dino, train_mini_dino

    recipe, options = of_world(RECIPES["mini-dino"], world), world_option(world)
    return _run(
        "mini-dino", request, train_mini_dino, save_mini_dino, quality.mini_dino, recipe=recipe, options=options
    )


def mini_words(request: TrainRequest, *, world: WorldName = "2") -> Card | None:
    """Learns the visual words of the preference scorer from pixels alone.

    Args:
        world: whose users judged the pictures.
    """
    from prefbench.suites.picturebook.miniatures.mini_words import save_mini_words, train_mini_words

    recipe, options = of_world(WORDS, world), world_option(world)
    return _run(
        "mini-words", request, train_mini_words, save_mini_words, quality.mini_words, recipe=recipe, options=options
    )


def mini_sd(request: TrainRequest, *, compile_model: bool = False) -> Card | None:
    """Trains the Stable Diffusion miniature; its text tower starts from the one of `mini-clip`.

    Args:
        compile_model: compiles the denoiser: a slower start and faster steps.
    """
    from prefbench.suites.picturebook.miniatures.mini_sd import save_mini_sd, train_mini_sd

    train = partial(train_mini_sd, compile_model=compile_model)
    return _run("mini-sd", request, train, save_mini_sd, quality.mini_sd)


def mini_ip_adapter(request: TrainRequest) -> Card | None:
    """Trains the IP-Adapter of the shipped `mini-sd` on the embedding of the shipped `mini-vision`."""
    from prefbench.suites.picturebook.miniatures.mini_ip_adapter import save_mini_ip_adapter, train_mini_ip_adapter

    return _run("mini-ip-adapter", request, train_mini_ip_adapter, save_mini_ip_adapter, quality.mini_ip_adapter)


def _run(
    name: str,
    request: TrainRequest,
    train: _Train,
    save: _Save,
    measure: _Measure,
    *,
    recipe: Recipe | None = None,
    options: str = "",
) -> Card | None:
    """Trains, saves, measures and describes the model; the package's weights are replaced only by a whole folder.

    Returns the card, in the main process alone.
    """
    if not torch.cuda.is_available():
        # One thread per process: two collapse as soon as anything else runs; torchrun starts more processes.
        torch.set_num_threads(1)
    recipe = recipe or RECIPES[name]
    config = recipe.config if request.images is None else replace(recipe.config, images=request.images)
    model, progress = train([load_corpus(corpus) for corpus in recipe.corpora], config, request.folder)
    if not PartialState().is_main_process:
        return None
    final = request.folder / "final"
    save(model, final)
    card = make_card(name, config, progress, recipe.corpora, measure(final, n=recipe.measured_on), options=options)
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if request.install:
        install_folder(final, WEIGHTS / name)
    return card


def make_card(
    name: str,
    config: FitConfig,
    progress: Progress,
    corpora: Sequence[CorpusRecipe],
    figures: Sequence[QualityFigure],
    *,
    options: str = "",
) -> Card:
    """The card of a trained model: recipe, data, cost and quality. `options` of the command stand behind its name."""
    return {
        "name": name,
        "licence": "Apache-2.0",
        "command": f"prefbench train {name}{options} --images {config.images} --install",
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
