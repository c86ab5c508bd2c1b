"""Runs by the world that they were drawn in: the suite with its parameters, and the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prefbench.api import PrefbenchError, ScoredRun, counted

from ..shared.commands import command_for, turned
from ..shared.frame import UTILITY
from ..shared.labels import check_mix, check_recipes, label_runs
from ..shared.versions import comparable_version

FEWEST_METHODS = 3
"""Methods below which a rank correlation is 1 or -1 and says nothing."""
_USUAL_SPLIT = "test"
_SAME: Mapping[str, str] = {
    "seed": "the run seed",
    "backbone_digest": "the backbone's weights (digest)",
    "samples_per_case": "samples per case",
    "method_version": "the method's version",
    "parameters": "the method's parameters",
    "steps": "solver steps",
    "guidance": "the guidance scale",
    "dtype": "the dtype",
}
"""What one method must share over all worlds, so that nothing but the world differs."""


@dataclass(frozen=True)
class World:
    """The runs of one world by their labels, which are the same in every world and in the same order: that of the first
    world, its best method first."""

    name: str
    dials: Mapping[str, Any]
    """Parameters of the suite that are not its own."""
    split: str
    runs: Mapping[str, ScoredRun]


def worlds_of(runs: Sequence[ScoredRun]) -> list[World]:
    """Runs by worlds, the plain world first. A name holds the parameters and the split in which worlds differ.

    Raises:
        PrefbenchError: fewer than two worlds or three methods; a world that lacks a method of another; runs of several
            suites; runs that are unfinished or without the truth, or that differ in more than their world.
    """
    _check_each(runs)
    groups: dict[tuple[str, str], list[ScoredRun]] = {}
    for run in runs:
        groups.setdefault((run.spec["suite_digest"], run.spec["split"]), []).append(run)
    dials = [turned(group[0].spec) for group in groups.values()]
    splits = {split for _, split in groups}
    shared = shared_dials(dials)
    worlds = []
    for (_, split), group, own in zip(groups, groups.values(), dials, strict=True):
        parts = {name: value for name, value in own.items() if name not in shared}
        named = split if len(splits) > 1 and split != _USUAL_SPLIT else ""
        worlds.append((_place(parts, named), World(_name(parts, named), own, split, _labelled(group))))
    ordered = [world for _, world in sorted(worlds, key=lambda one: one[0])]
    _check_together(ordered)
    best_first = sorted(ordered[0].runs, key=lambda label: -_mean(ordered[0].runs[label]))
    return [replace(world, runs={label: world.runs[label] for label in best_first}) for world in ordered]


def shared_dials(dials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters that all worlds have at the same value."""
    return {name: v for name, v in dials[0].items() if all(name in own and own[name] == v for own in dials)}


def _name(parts: Mapping[str, Any], split: str) -> str:
    words = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in parts.items()]
    return " ".join([*words, *filter(None, [split])]) or "default"


def _place(parts: Mapping[str, Any], split: str) -> tuple[object, ...]:
    """Sorts worlds: by how much is turned, by the names of what is, and by its values as numbers."""
    values = [(name, value if _is_number(value) else 0, str(value)) for name, value in sorted(parts.items())]
    return len(parts) + bool(split), bool(split), values, split


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _labelled(group: Sequence[ScoredRun]) -> dict[str, ScoredRun]:
    check_mix(group)
    return dict(zip(label_runs(group), group, strict=True))


def _mean(run: ScoredRun) -> float:
    """For the order of columns alone: the mean over samples."""
    values = run.columns()[UTILITY].scores.values
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("-inf")


def _check_each(runs: Sequence[ScoredRun]) -> None:
    if not runs:
        raise PrefbenchError("there is no run to compare")
    for run in runs:
        if run.undrawn:
            raise PrefbenchError(f"{run.path} is unfinished ({counted(run.undrawn, 'sample')}); run its command again")
        if UTILITY not in run.columns():
            hint = f"prefbench score {run.path} --metrics {UTILITY}"
            raise PrefbenchError(f"{run.path} has no {UTILITY}, which worlds are compared by; {hint}")
        if run.spec["suite"] != runs[0].spec["suite"]:
            both = f"{runs[0].spec['suite']} and {run.spec['suite']}"
            raise PrefbenchError(
                f"{run.path} is of another suite than {runs[0].path} ({both}); worlds are of one suite"
            )
    check_recipes(runs)


def _check_together(worlds: Sequence[World]) -> None:
    if len(worlds) < 2:
        only = f"{counted(len(worlds[0].runs), 'run')} of the world {worlds[0].name}"
        raise PrefbenchError(f"worlds are compared with each other, got {only}; draw with -s or --split for another")
    seen: dict[str, World] = {}
    for world in worlds:
        if (twin := seen.setdefault(world.name, world)) is not world:
            paths = f"{_first(twin).path} and {_first(world).path}"
            raise PrefbenchError(f"{paths} differ in their data though both are {world.name}: draw one of them again")
    every = dict.fromkeys(label for world in worlds for label in world.runs)
    for label in every:
        _check_label(label, worlds)
    if len(every) < FEWEST_METHODS:
        raise PrefbenchError(f"an order needs {FEWEST_METHODS} methods or more, got {', '.join(every)}")
    for world in worlds:
        _check_samples(world)


def _check_label(label: str, worlds: Sequence[World]) -> None:
    """The method is in every world, and is the same there."""
    there = next(world.runs[label] for world in worlds if label in world.runs)
    for world in worlds:
        if label not in world.runs:
            command = command_for(_first(world), there.spec["method"], there.control)
            raise PrefbenchError(f"the world {world.name} has no run of {label}: {command}")
        run = world.runs[label]
        differing = [name for name in _SAME if _recorded(run, name) != _recorded(there, name)]
        if differing:
            paths = f"{there.path} and {run.path}"
            raise PrefbenchError(f"{paths} differ in {_SAME[differing[0]]}: only the world may differ")


def _recorded(run: ScoredRun, name: str) -> Any:
    value = run.spec.get(name)
    return comparable_version(run, str(value)) if name == "method_version" else value


def _check_samples(world: World) -> None:
    """All runs of a world hold the same samples, drawn or failed."""
    first, *others = world.runs.values()
    for run in others:
        if {(s.user, s.case, s.index) for s in run.samples} != {(s.user, s.case, s.index) for s in first.samples}:
            both = f"{first.path} and {run.path}"
            raise PrefbenchError(f"{both} hold other samples; the runs of a world are compared on the same ones")


def _first(world: World) -> ScoredRun:
    return next(iter(world.runs.values()))
