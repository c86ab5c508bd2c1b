"""`prefbench train preference`: trains the scorer on `scorer` users, calibrates it on others, measures on `test`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from prefbench.api import Extractor, Suite
from prefbench.files import WEIGHTS, write_atomic
from prefbench.models.folders import install_folder
from prefbench.parameters import bind
from prefbench.registry import default, load
from prefbench.run.environment import hardware, versions
from prefbench.score.scorer_figures import measure
from prefbench.training.loop import Batch, BatchSource, FitConfig, Progress, fit
from prefbench.training.requests import TrainRequest

from .data import Pool, as_features, as_histories, draw_episode, draw_prompts, pool_of
from .model import Histories, PreferenceModel
from .scorer import ROLE, PreferenceScorer, save

CONFIG = FitConfig(images=96_000, batch=16, lr=2e-3, warmup_steps=200, decay=1.0, weight_decay=0.05, ema=0.999)
"""`images` counts users, in batches of episodes."""
Options = dict[str, str | int]
_PROMPTS = 64
_HELD_OUT = 5
"""Of so many users of the scorer split one is held out, where calibration is on them."""
_FURTHER = 1_000_000
"""The seed of the first further population."""


class PreferenceTask(nn.Module):
    """Three logistic losses: likes above dislikes, like or dislike, and whether a picture was judged for a prompt."""

    def __init__(self, model: PreferenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        user_vectors = self.model.user_vectors(Histories(batch["seen"], batch["labels"]))
        liked, disliked = (self.model.fit_logits(user_vectors, batch[side]) for side in ("liked", "disliked"))
        order = F.softplus(disliked[:, None, :] - liked[:, :, None]).mean()
        classification = (F.softplus(-liked) + F.softplus(disliked)).mean() / 2
        prompt_logits = self.model.prompt_logits(batch["pictures"], batch["words"])
        return order + 0.5 * classification + F.binary_cross_entropy_with_logits(prompt_logits, batch["same"])


def episodes(pool: Pool) -> BatchSource:
    """Batches of episodes, and of pictures with right and wrong prompts."""

    def draw(rng: np.random.Generator, size: int) -> Batch:
        episode = draw_episode(pool, rng, size)
        pictures, words, same = draw_prompts(pool, rng, _PROMPTS)
        return {
            "seen": episode.histories.features,
            "labels": episode.histories.labels,
            "liked": episode.liked,
            "disliked": episode.disliked,
            "pictures": pictures,
            "words": words,
            "same": same,
        }

    return draw


def build(pool: Pool, seed: int) -> PreferenceModel:
    """An untrained model that standardises features by the pool's mean and deviation."""
    torch.manual_seed(seed)
    model = PreferenceModel(pool.features.shape[1])
    model.mean.copy_(pool.features.mean(0))
    model.scale.copy_((pool.features - model.mean).square().mean().sqrt()[None])
    return model


@torch.no_grad()
def calibrate(model: PreferenceModel, suite: Suite, encoder: Extractor, users: Sequence[str]) -> None:
    """Platt's logistic regression (1999) on users: reads the judgments for scorers, predicts those for methods."""
    logits, labels = [], []
    for user in users:
        context, queries = suite.history(user, "scorer"), suite.history(user, "method")
        if not (queries.liked and queries.disliked):
            continue
        user_vector = model.user_vectors(
            as_histories(context, as_features([*context.liked, *context.disliked], encoder))
        )
        pictures = as_features([*queries.liked, *queries.disliked], encoder)
        logits.append(model.fit_logits(user_vector, pictures[None])[0].numpy())
        labels.append(np.repeat([1, 0], [len(queries.liked), len(queries.disliked)]))
    fitted = LogisticRegression(C=1e6).fit(np.concatenate(logits)[:, None], np.concatenate(labels))
    model.calibration.copy_(torch.tensor([fitted.coef_[0, 0], fitted.intercept_[0]]))


def train(
    request: TrainRequest,
    *,
    suite: Annotated[str, "suite"] = default("suite"),
    world: str = "",
    populations: int = 1,
    encoder: Annotated[str, "extractor"] = "",
    calibrated: Literal["val", "scorer"] = "scorer",
) -> dict[str, Any] | None:
    """Trains, calibrates, saves, measures and describes the scorer; returns the card in the main process alone.

    Args:
        suite: whose users to learn from: a registered name, or path/to/file.py:Class.
        world: of a suite that has several: its setting `world`.
        populations: of a suite whose users follow from a seed: so many seeds, whose scorer users are all learned from.
        encoder: what it looks at pictures through; by default what the suite names.
        calibrated: on all users of val, or on a fifth of the suite's scorer users, which it then does not learn from.
    """
    torch.set_num_threads(1)
    options: Options = {"suite": suite, "world": world, "populations": populations}
    options |= {"encoder": encoder, "calibrated": calibrated}
    source, *further = _suites(suite, world, populations)
    name = encoder or source.card.extractors[ROLE]
    extractor: Extractor = load("extractor", name)()
    config = CONFIG if request.images is None else replace(CONFIG, images=request.images)
    held_out = [user.id for user in source.users(calibrated)][:: _HELD_OUT if calibrated == "scorer" else 1]
    pool = pool_of(source, "scorer", extractor, without=held_out, further=further)
    model = build(pool, config.seed)
    made_of = f"{extractor.id} {source.digest} {len(pool)} users"
    progress = fit(PreferenceTask(model), episodes(pool), config, request.folder, made_of=made_of)
    if not PartialState().is_main_process:
        return None
    calibrate(model.eval(), source, extractor, held_out)
    final = request.folder / "final"
    save(model, final, suite=source.card.name, encoder=name, encoder_id=extractor.id)
    data = {"suite": source.card.name, "trained": "scorer", "users": len(pool), "measured": "test"}
    data["calibrated"] = "val" if calibrated == "val" else f"{len(held_out)} scorer users, held out"
    figures = measure(PreferenceScorer(folder=str(final)), source).to_json()
    card = make_card(config, progress, options, data, figures)
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if request.install:
        install_folder(final, WEIGHTS / "preference")
    return card


def _suites(suite: str, world: str, populations: int) -> list[Suite]:
    """The suite, and the same with the users of further seeds. Raises `PrefbenchError` where it has no such setting."""
    constructor = load("suite", suite)
    settings = {"world": world} if world else {}
    seeds: list[dict[str, str]] = [{}, *({"population": str(_FURTHER + i)} for i in range(populations - 1))]
    return [constructor(**bind(constructor, settings | seed)) for seed in seeds]


def make_card(
    config: FitConfig, progress: Progress, options: Options, data: Mapping[str, Any], figures: Mapping[str, Any]
) -> dict[str, Any]:
    """The card of a trained scorer: data, cost and figures."""
    return {
        "name": "preference",
        "licence": "Apache-2.0",
        "command": f"prefbench train preference{_given(options)} --images {config.images} --install",
        "measured_by": "prefbench check weights preference",
        "data": data,
        "training": {
            **asdict(config),
            "steps": progress.step,
            "users_seen": progress.images,
            "core_hours": round(progress.core_s / 3600, 3),
            "machine": progress.machine,
        },
        "hardware": hardware(),
        "versions": versions(),
        "figures": figures,
    }


def _given(options: Options) -> str:
    """The options that are not the defaults, as the command line takes them."""
    defaults = bind(train, {})
    return "".join(f" -p {name}={value}" for name, value in options.items() if value != defaults[name])
