"""`prefbench train preference`: trains the scorer on `scorer` users, calibrates on `val` users, measures on `test`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from prefbench.api import Extractor, Suite
from prefbench.files import WEIGHTS, write_atomic
from prefbench.models.folders import install_folder
from prefbench.registry import default, load
from prefbench.run.environment import hardware, versions
from prefbench.score.scorer_figures import measure
from prefbench.training.loop import Batch, BatchSource, FitConfig, fit
from prefbench.training.requests import TrainRequest

from .data import Pool, as_features, as_histories, draw_episode, draw_prompts, pool_of
from .model import Histories, PreferenceModel
from .scorer import ROLE, PreferenceScorer, save

CONFIG = FitConfig(images=96_000, batch=16, lr=2e-3, warmup_steps=200, decay=1.0, weight_decay=0.05, ema=0.999)
"""`images` counts users, in batches of episodes."""
_PROMPTS = 64


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
def calibrate(model: PreferenceModel, suite: Suite, encoder: Extractor) -> None:
    """Platt's logistic regression (1999) on val users: reads the judgments for scorers, predicts those for methods."""
    logits, labels = [], []
    for user in suite.users("val"):
        context, queries = suite.history(user.id, "scorer"), suite.history(user.id, "method")
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


def train(request: TrainRequest, *, suite: Annotated[str, "suite"] = default("suite")) -> dict[str, Any] | None:
    """Trains, calibrates, saves, measures and describes the scorer; returns the card in the main process alone.

    Args:
        suite: whose users to learn from: a registered name, or path/to/file.py:Class.
    """
    torch.set_num_threads(1)
    source: Suite = load("suite", suite)()
    encoder: Extractor = load("extractor", source.card.extractors[ROLE])()
    config = CONFIG if request.images is None else replace(CONFIG, images=request.images)
    pool = pool_of(source, "scorer", encoder)
    model = build(pool, config.seed)
    progress = fit(PreferenceTask(model), episodes(pool), config, request.folder, made_of=encoder.id)
    if not PartialState().is_main_process:
        return None
    calibrate(model.eval(), source, encoder)
    final = request.folder / "final"
    save(model, final, suite=source.card.name, encoder=source.card.extractors[ROLE], encoder_id=encoder.id)
    card = {
        "name": "preference",
        "licence": "Apache-2.0",
        "command": f"prefbench train preference{_options(suite)} --images {config.images} --install",
        "measured_by": "prefbench check weights preference",
        "data": {"suite": source.card.name, "trained": "scorer", "calibrated": "val", "measured": "test"},
        "training": {
            **asdict(config),
            "steps": progress.step,
            "users_seen": progress.images,
            "core_hours": round(progress.core_s / 3600, 3),
            "machine": progress.machine,
        },
        "hardware": hardware(),
        "versions": versions(),
        "figures": measure(PreferenceScorer(folder=str(final)), source).to_json(),
    }
    write_atomic(final / "card.json", json.dumps(card, indent=2) + "\n")
    if request.install:
        install_folder(final, WEIGHTS / "preference")
    return card


def _options(suite: str) -> str:
    return "" if suite == default("suite") else f" -p suite={suite}"
