"""The variants of `prefbench ablate ours`: one for each part of the method, trained or drawn without it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.registry import names
from prefbench.training.diffusion import SHAPES_DECIDED
from prefbench.training.requests import TrainRequest
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

from .. import weights
from ..method import PrefGen
from .injection_recipe import InjectionRecipe
from .job import Job, Sources

T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """A trained variant: fields of the injection's recipe, parameters to draw with, and whether the first stage is left
    out, so that the language model has answered no question.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    drawn: Mapping[str, Any] = field(default_factory=dict)
    untrained: bool = False


TRAINED: Mapping[str, Mapping[str, Change]] = {
    "questions": {"none": Change(untrained=True)},
    "intra-probe": {"random layers": Change({"layers": "random-sem"}), "top four": Change({"layers": "top-four"})},
    "inter-probe": {"random layer": Change({"layers": "random-core"})},
    "probes": {"random layers": Change({"layers": "random"}), "all layers": Change({"layers": "all"})},
    "e_sem": {"at the answer": Change({"layers": "answer"})},
    "parts": {f"without e_{part}": Change({"without": (part,)}) for part in ("sem", "core", "img")},
    "alignment": {
        "none": Change({"alignment": "none"}),
        "weight 0.01": Change({"alignment_weight": 0.01}),
        "weight 0.1": Change({"alignment_weight": 0.1}),
        "weight 1": Change({"alignment_weight": 1.0}),
        "marginal alone": Change({"alignment": "mmd"}),
    },
    "dislikes": {"never shown": Change({"dislikes": False}, {"liked_only": True})},
    "targets": {name: Change({"targets": name}) for name in ("likes", "chosen", "picks")},
    "opposite users": {"none": Change({"flipped": 0.0})},
    "aligned first": {"no": Change({"aligned_first": 0})},
    "first tokens": {"full size": Change({"initial_scale": 1.0})},
    "noise levels": {"those of a denoiser": Change({"noise": SHAPES_DECIDED})},
    "few users": {
        f"{users} users{aligned}": Change({"train_users": users} | changed)
        for users in (50, 200)
        for aligned, changed in (("", {}), (", no alignment", {"alignment": "none"}))
    },
    "keys and values": {
        f"{kind}{aligned}": Change({"attention_rate": rate} | changed)
        for kind, rate in (("frozen", 0.0), ("slow", 0.1))
        for aligned, changed in (("", {}), (", no alignment", {"alignment": "none"}))
    },
}
"""By group and name. A variant that changes nothing of the whole method's recipe is left out."""
DRAWN: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "history": {"likes only": {"liked_only": True}},
    "negative": {"opposite user": {"negative": "disliked"}},
    "words": {"in the prompt": {"words": True}},
    "best of": {f"{n}": {"n": n} for n in (2, 4)},
    "user scale": {f"{scale:g}": {"user_scale": scale} for scale in (0.0, 0.5, 1.0, 1.5, 2.0)},
    "user guidance": {f"{scale:g}": {"user_guidance": scale} for scale in (1.0, 1.5, 2.0, 5.0, 8.0)},
}
"""By group and name, the changed parameters of the method; drawn with the weights of the whole method."""


def ours(request: AblationRequest, progress: Callable[[str], object]) -> Ablation:
    """Trains an adapter per variant and seed on equal terms: the same layers, histories and number of images.

    Raises:
        PrefbenchError: no finished training in `request.folder`; an unknown group; a variant trained on another number
            of images.
    """
    final = request.folder / "final"
    if not (final / "card.json").is_file() or not (final / weights.CONFIG).is_file():
        raise PrefbenchError(f"{final} holds no finished training to leave parts out of; run prefbench train ours")
    config = weights.Config.load(final / weights.CONFIG)
    card = json.loads((final / "card.json").read_text(encoding="utf-8"))
    recipe = InjectionRecipe.of_card(card["recipe"])
    if request.images is not None:
        recipe = replace(recipe, fit=replace(recipe.fit, images=request.images))
    backbone = request.backbone or config.backbone
    if request.backbone is None and backbone not in names("backbone"):
        raise PrefbenchError(f"{final} was trained with {backbone!r}, which is no registered backbone; give --backbone")
    changes = {(WHOLE, WHOLE): Change(), **_changes(recipe, request.only)}
    mllm = _language_model(request.folder / "mllm" / "card.json")
    if mllm is None:
        changes = {key: change for key, change in changes.items() if not change.untrained}
        progress("no variant without questions: the language model is none of `prefbench list mllms`")
    sources = Sources(request.suite or Sources.suite, backbone, mllm or Sources.mllm)
    job = Job(TrainRequest(request.folder), sources)
    if job.accelerator.num_processes > 1:
        raise PrefbenchError("prefbench ablate runs in one process")
    changes = {key: change for key, change in changes.items() if not _same_layers(job, recipe, key, change, progress)}
    for key in changes:
        for seed in range(request.seeds):
            _check_length(_folder(request, key, seed), recipe.fit.images)
    progress(_cost(card, len(changes) * request.seeds, recipe.fit.images))
    variants = []
    for key, change in changes.items():
        folders = [_train(job, request, recipe, key, change, seed, progress) for seed in range(request.seeds)]
        variants.append(Variant(*key, change.drawn, folders[0], tuple(folders[1:])))
    variants += [Variant(*key, changed) for key, changed in _only(DRAWN, request.only).items()]
    defaults = {name: inspect.signature(PrefGen).parameters[name].default for name in ("user_scale", "user_guidance")}
    return Ablation(variants, {"images": recipe.fit.images}, defaults, backbone)


def _language_model(card: Path) -> str | None:
    """The registered name that the first stage started from; None where it was a folder, or is not known."""
    stored = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    name = stored.get("data", {}).get("mllm")
    return name if name in names("mllm") else None


def _changes(recipe: InjectionRecipe, only: tuple[str, ...]) -> dict[tuple[str, str], Change]:
    """The variants that differ from the whole method."""
    if strange := [group for group in only if group not in {*TRAINED, *DRAWN}]:
        raise PrefbenchError(unknown("group of variants", strange[0], [*TRAINED, *DRAWN]))
    return {
        key: change
        for key, change in _only(TRAINED, only).items()
        if change.untrained or replace(recipe, **change.recipe) != recipe
    }


def _same_layers(
    job: Job, recipe: InjectionRecipe, key: tuple[str, str], change: Change, progress: Callable[[str], object]
) -> bool:
    """Whether a variant would be trained on the whole method's own layers, which it then says."""
    if set(change.recipe) != {"layers"} or job.layers_by(change.recipe["layers"]) != job.layers_by(recipe.layers):
        return False
    progress(f"no variant {': '.join(key)}: these are the whole method's own layers")
    return True


def _train(
    job: Job,
    request: AblationRequest,
    recipe: InjectionRecipe,
    key: tuple[str, str],
    change: Change,
    seed: int,
    progress: Callable[[str], object],
) -> Path:
    """Trains one variant with one seed; returns the folder of its weights."""
    progress(f"train {': '.join(key)}" + f", seed {seed + 1} of {request.seeds}" * (request.seeds > 1))
    at = _folder(request, key, seed)
    changed = replace(recipe, fit=replace(recipe.fit, seed=recipe.fit.seed + seed), **change.recipe)
    mllm = job.unasked(request.work / "unasked") if change.untrained else None
    job.inject(changed, at / "training", at / "final", mllm=mllm, reads=request.work / "read")
    return (at / "final").resolve()


def _folder(request: AblationRequest, key: tuple[str, str], seed: int) -> Path:
    name = " ".join(key).replace(",", "").replace(" ", "-")
    return request.work / (f"{name}-seed-{seed}" if seed else name)


def _cost(card: Mapping[str, Any], trainings: int, images: int) -> str:
    """What is ahead, by the cost of the finished training; the reading of histories and the drawing come on top."""
    done = card["training"]["injection"]
    hours = trainings * done["core_hours"] * images / max(1, done["seen"])
    return f"{trainings} trainings of {images} images: about {hours:.1f} core-hours, less what is done"


def _check_length(folder: Path, images: int) -> None:
    """Refuses to extend a finished training: after its learning rate decayed, it would not equal a longer one."""
    card = folder / "final" / "card.json"
    if card.is_file():
        before = json.loads(card.read_text(encoding="utf-8"))["recipe"]["fit"]["images"]
        if before != images:
            raise PrefbenchError(f"{folder} was trained on {before} images, not {images}; remove {folder.parent}")


def _only(groups: Mapping[str, Mapping[str, T]], only: tuple[str, ...]) -> dict[tuple[str, str], T]:
    chosen = {group: variants for group, variants in groups.items() if not only or group in only}
    return {(group, name): value for group, variants in chosen.items() for name, value in variants.items()}
