"""The variants of `prefbench ablate ours`: parts left out, ways of alignment, what is shown, how strongly it draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from prefbench.training.requests import TrainRequest
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

from .method import PrefGen
from .training import Job

TRAINED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "parts": {f"without e_{part}": {"without": (part,)} for part in ("sem", "core", "img")},
    "alignment": {kind: {"alignment": kind} for kind in ("none", "cosine", "contrastive")},
    "targets": {"own likes": {"picked": 0}},
}
"""By group and name, what of the recipe of the injection is another."""
DRAWN: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "history": {"likes only": {"liked_only": True}},
    "negative": {"average user": {"negative": "average"}},
    "user scale": {f"{scale:g}": {"user_scale": scale} for scale in (0.0, 0.5, 1.5, 2.0)},
    "user guidance": {f"{scale:g}": {"user_guidance": scale} for scale in (1.0, 2.0, 4.0, 5.0, 7.0)},
}
"""By group and name, what of the method's parameters is another; drawn with the weights of the whole method."""


def ours(request: AblationRequest, said: Callable[[str], object]) -> Ablation:
    """Trains an adapter a variant on equal terms: the same language model, layers, histories and number of images.

    Raises:
        PrefbenchError: the stages before the injection have not run in `request.folder`.
    """
    job = Job(TrainRequest(request.folder, suite=request.suite, backbone=request.backbone))
    recipe = job.injection_recipe()
    if request.images is not None:
        recipe = replace(recipe, fit=replace(recipe.fit, images=request.images))
    variants, changes = [], {(WHOLE, WHOLE): {}, **_flat(TRAINED)}
    for (group, name), change in changes.items():
        said(f"train {group}: {name}")
        at = request.work / f"{group} {name}".replace(" ", "-")
        job.inject(replace(recipe, **change), at / "training", at / "final")
        variants.append(Variant(group, name, {}, (at / "final").resolve()))
    variants += [Variant(group, name, change) for (group, name), change in _flat(DRAWN).items()]
    defaults = {name: inspect.signature(PrefGen).parameters[name].default for name in ("user_scale", "user_guidance")}
    return Ablation(variants, {"images": recipe.fit.images}, defaults)


def _flat(groups: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(group, name): change for group, variants in groups.items() for name, change in variants.items()}
