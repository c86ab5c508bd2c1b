"""Commands that draw a run that a table lacks, for what another run was drawn for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from prefbench.api import ScoredRun
from prefbench.api.runs import is_given
from prefbench.parameters import bind
from prefbench.registry import default, load, names


def command_for(run: ScoredRun, method: str, control: str | None = None) -> str:
    """The command that draws a method for what a run was drawn for, with the settings that are not those of a bare
    command; the run's own method with its parameters.
    """
    spec = run.spec
    options = {
        "--suite": None if spec["suite"] == default("suite") else spec["suite"],
        "--split": None if spec["split"] == "test" else spec["split"],
        "--users": spec["users"],
        "--seed": spec["seed"] or None,
        "--samples": None
        if spec["samples_per_case"] == _usual_suite().card.samples_per_case
        else spec["samples_per_case"],
        **({} if is_given(spec) else _drawing(spec)),
        "--method": method,
        "--control": control,
    }
    words = [str(word) for option in options.items() if option[1] is not None for word in option]
    own = spec["parameters"] if method == spec["method"] else {}
    pairs = [*(("-s", *pair) for pair in _data(spec).items()), *(("-p", *pair) for pair in own.items())]
    return shlex.join(
        ["prefbench", "run", *words, *(w for flag, *pair in pairs for w in (flag, "=".join(map(str, pair))))]
    )


def _usual_suite() -> Any:
    return load("suite", default("suite"))


def _data(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the suite that are not its own; of one that is not registered all that have a value."""
    usual = bind(load("suite", spec["suite"]), {}) if spec["suite"] in names("suite") else {}
    return {name: v for name, v in spec["suite_parameters"].items() if v is not None and usual.get(name) != v}


def _drawing(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A registered backbone that is not the usual one, and settings of the sampler that are not those of its card."""
    name = spec["backbone"]
    if name not in names("backbone"):
        return {}
    card = load("backbone", name)
    own = {f"--{key}": spec[key] for key in ("steps", "guidance") if getattr(card, key) != spec[key]}
    return {"--backbone": None if name == _usual_suite().card.backbone else name, **own}
