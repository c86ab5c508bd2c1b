"""Which runs belong into one table, and what each is called there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefbench.api import PrefbenchError, ScoredRun
from prefbench.api.runs import is_given

from .frame import stated_role

SAMPLER = ("steps", "guidance", "dtype")
"""Settings that a comparison shows in the label of every run where they are not the same for all."""
MUST_AGREE = {
    "suite_digest": "the data (suite digest)",
    "split": "the split",
    "seed": "the run seed",
    "backbone_digest": "the backbone's weights (digest)",
}
_NOT_IN_LABELS = ("batch", "suite_digest", "backbone_digest")


def check_mix(runs: Sequence[ScoredRun]) -> None:
    """Raises `PrefbenchError` for no runs, and for runs of other data, seeds, backbones or recipes than the first."""
    if not runs:
        raise PrefbenchError("there is no run to compare")
    for field, meaning in MUST_AGREE.items():
        telling = [run for run in runs if must_agree(field, run)]
        first = telling[0] if telling else runs[0]
        for other in telling[1:]:
            if first.spec[field] != other.spec[field]:
                values = f"{str(first.spec[field])[:12]} and {str(other.spec[field])[:12]}"
                where = f"{first.path.name} and {other.path.name}"
                raise PrefbenchError(f"these runs differ in {meaning}, {values}: {where}; report them apart")
    check_recipes(runs)


def must_agree(field: str, run: ScoredRun) -> bool:
    """Whether a run must share a setting with the others: of given images nobody knows the backbone."""
    return field not in ("backbone_digest", *SAMPLER) or not is_given(run.spec)


def check_recipes(runs: Sequence[ScoredRun]) -> None:
    """One column holds numbers of one recipe. Raises `PrefbenchError` for two."""
    recipes: dict[str, tuple[str, ScoredRun]] = {}
    for run in runs:
        for name, recipe in run.recipes().items():
            first, other = recipes.setdefault(name, (recipe, run))
            if recipe != first:
                paths = f"{other.path} {run.path}"
                raise PrefbenchError(f"{name} was scored by two recipes, {first} and {recipe}: prefbench score {paths}")


def label_runs(runs: Sequence[ScoredRun]) -> list[str]:
    """A name for each run: method and control, and where these are equal the settings in which the runs differ.

    The sampler's settings are named wherever they differ between any two runs, since they change every picture.

    Raises `PrefbenchError` for two runs of one spec.
    """
    names = [shown_name(run.method, run.control, part_of_frame(run)) for run in runs]
    drawn = [run for run in runs if not is_given(run.spec)]
    uneven = [key for key in SAMPLER if len({run.spec[key] for run in drawn}) > 1]
    labels = []
    for name, run in zip(names, runs, strict=True):
        twins = [settings_of(other) for other_name, other in zip(names, runs, strict=True) if other_name == name]
        own = settings_of(run)
        if twins.count(own) > 1:
            raise PrefbenchError(f"{name} is given twice with the same settings ({run.path})")
        apart = [key for key in uneven if must_agree(key, run)]
        differing = [key for key in own if key in apart or any(twin.get(key) != own[key] for twin in twins)]
        labels.append(f"{name} ({', '.join(f'{key}={own[key]}' for key in differing)})" if differing else name)
    return labels


def shown_name(method: str, control: str | None, part: str) -> str:
    """A run as tables name it; what it is by its card alone is marked so."""
    name = f"{method} + {control}" if control else method
    return f"{name} (stated {part})" if part else name


def part_of_frame(run: ScoredRun) -> str:
    """What given images are by their card: `baseline`, `crowd`, `control`, or empty."""
    return stated_role(run) or ("control" if is_given(run.spec) and run.control else "")


def settings_of(run: ScoredRun) -> dict[str, Any]:
    """Settings that may tell two runs of one method apart, as flat data; a parameter named like one as `-p name`."""
    spec = dict(run.spec)
    parameters = spec.pop("parameters")
    own = {f"-p {name}" if name in spec else name: value for name, value in parameters.items()}
    return {**own, **{key: value for key, value in spec.items() if key not in _NOT_IN_LABELS}}
