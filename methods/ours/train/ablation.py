"""The variants of `prefbench ablate ours`: parts left out, alignment losses, what is shown, scales of guidance."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.registry import names
from prefbench.training.requests import TrainRequest
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

from .. import weights
from ..method import PrefGen
from .injection_recipe import InjectionRecipe
from .job import Job, Sources

TRAINED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "parts": {f"without e_{part}": {"without": (part,)} for part in ("sem", "core", "img")},
    "alignment": {kind: {"alignment": kind} for kind in ("none", "cosine", "contrastive")},
    "targets": {"own likes": {"picked": 0}},
}
"""By group and name, the changed fields of the injection's recipe."""
DRAWN: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "history": {"likes only": {"liked_only": True}},
    "negative": {"opposite user": {"negative": "disliked"}},
    "user scale": {f"{scale:g}": {"user_scale": scale} for scale in (0.0, 0.5, 1.0, 1.5, 2.0)},
    "user guidance": {f"{scale:g}": {"user_guidance": scale} for scale in (1.0, 1.5, 3.0, 4.5)},
}
"""By group and name, the changed parameters of the method; drawn with the weights of the whole method."""


def ours(request: AblationRequest, progress: Callable[[str], object]) -> Ablation:
    """Trains an adapter per variant on equal terms: the same language model, layers, histories and number of images.

    Raises:
        PrefbenchError: no finished training in `request.folder`; a variant trained on another number of images.
    """
    final = request.folder / "final"
    if not (final / "card.json").is_file() or not (final / weights.CONFIG).is_file():
        raise PrefbenchError(f"{final} holds no finished training to leave parts out of; run prefbench train ours")
    config = weights.Config.load(final / weights.CONFIG)
    recipe = InjectionRecipe.of_card(json.loads((final / "card.json").read_text(encoding="utf-8"))["recipe"])
    if request.images is not None:
        recipe = replace(recipe, fit=replace(recipe.fit, images=request.images))
    backbone = request.backbone or config.backbone
    if request.backbone is None and backbone not in names("backbone"):
        raise PrefbenchError(f"{final} was trained with {backbone!r}, which is no registered backbone; give --backbone")
    job = Job(TrainRequest(request.folder), Sources(request.suite or Sources.suite, backbone))
    if job.accelerator.num_processes > 1:
        raise PrefbenchError("prefbench ablate runs in one process")
    changes = {(WHOLE, WHOLE): {}, **_flat(TRAINED)}
    folders = {key: request.work / " ".join(key).replace(" ", "-") for key in changes}
    for at in folders.values():
        _check_length(at, recipe.fit.images)
    variants = []
    for (group, name), change in changes.items():
        progress(f"train {group}: {name}")
        at = folders[group, name]
        job.inject(replace(recipe, **change), at / "training", at / "final")
        variants.append(Variant(group, name, {}, (at / "final").resolve()))
    variants += [Variant(group, name, change) for (group, name), change in _flat(DRAWN).items()]
    defaults = {name: inspect.signature(PrefGen).parameters[name].default for name in ("user_scale", "user_guidance")}
    return Ablation(variants, {"images": recipe.fit.images}, defaults, backbone)


def _check_length(folder: Path, images: int) -> None:
    """Refuses to extend a finished training: after its learning rate decayed, it would not equal a longer one."""
    card = folder / "final" / "card.json"
    if card.is_file():
        before = json.loads(card.read_text(encoding="utf-8"))["recipe"]["fit"]["images"]
        if before != images:
            raise PrefbenchError(f"{folder} was trained on {before} images, not {images}; remove {folder.parent}")


def _flat(groups: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(group, name): change for group, variants in groups.items() for name, change in variants.items()}
