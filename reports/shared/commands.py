"""Commands that a note asks for, with the settings and the suite of the run that they are to stand beside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from prefbench.api import PrefbenchError, ScoredRun, agreeing
from prefbench.api.runs import is_given
from prefbench.parameters import bind
from prefbench.registry import default, load, names
from prefbench.run.prepare import suite_name

_SUITE = re.compile(r"\bsuite=('[^']*'|\"[^\"]*\")")
"""The suite in a call from Python, as `run.json` holds it."""


def suite_given(run: ScoredRun) -> str:
    """The suite as the run's own command names it: a folder's spec holds its name alone, and not where it lies.

    For notes on the screen and beside runs; what is published has the name in the spec.
    """
    name = str(run.spec["suite"])
    command = str(run.description.get("command") or "")
    called: list[str] = [match[1][1:-1] for match in _SUITE.finditer(command)]
    return next((given for given in filter(None, [_option(command), *called]) if _names(given, name)), name)


def _names(given: str, name: str) -> bool:
    """Whether what a command has for a suite is the suite of a spec; a path may be one from another folder."""
    if f"{PurePath(given).name}/" == name:
        return True
    with suppress(PrefbenchError, OSError):
        return suite_name(given) == name
    return False


def _option(command: str) -> str:
    """The value of `--suite` in a command as it was typed; empty where it has none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    joined = [word.partition("=")[2] for word in words if word.startswith("--suite=")]
    apart = [after for word, after in pairwise(words) if word == "--suite"]
    return next(iter([*apart, *joined]), "")


def command_for(run: ScoredRun, method: str, control: str | None = None) -> str:
    """The command that draws a method for what a run was drawn for, with the settings that are not those of a bare
    command; the run's own method with its parameters.
    """
    spec = run.spec
    drawing = {} if is_given(spec) else _drawing(spec)
    options = {"--suite": _suite(run), **_size(spec), **drawing, "--method": method, "--control": control}
    own = spec["parameters"] if method == spec["method"] else {}
    return shlex.join(["prefbench", "run", *_said(options), *_data(spec), *_pairs("-p", own)])


def score_command(run: ScoredRun, images: str) -> str:
    """The command that takes images, a word for their folder, as a run beside a run of given images."""
    options = {"--images": images, "--suite": _suite(run), **_size(run.spec)}
    return shlex.join(["prefbench", "score", *_said(options), *_data(run.spec)])


def export_command(run: ScoredRun, control: str) -> str:
    """The command that exports the histories which a control shows of the users of a run."""
    options = _said({**_size(run.spec), "--control": control})
    return shlex.join(["prefbench", "export", "cases", suite_given(run), "FOLDER", *options, *_data(run.spec)])


def measure_command(run: ScoredRun, scorer: str) -> str:
    """The command that measures a scorer on the suite of a run."""
    return shlex.join(["prefbench", "show", "scorer", scorer, "--measure", suite_given(run)])


def too_few(run: ScoredRun, people: int, *, of_all: bool = False) -> str:
    """What to say in place of a command that takes so many people; empty where there may be as many.

    Args:
        of_all: the command takes all users of the split, of whom a run of the first ones says nothing.
    """
    n = len(run.kinds)
    unknown = of_all and run.spec["users"] is not None
    return (
        "" if unknown or n >= people else f"it takes {people} people or more, and here {agreeing(n, 'is', 'are')} {n}"
    )


def _suite(run: ScoredRun) -> str | None:
    suite = suite_given(run)
    return None if suite == default("suite") else suite


def _size(spec: Mapping[str, Any]) -> dict[str, Any]:
    """How much of a suite is drawn, and from which seeds; None where a bare command has the same."""
    samples, usual = spec["samples_per_case"], _usual_suite().card.samples_per_case
    return {
        "--split": None if spec["split"] == "test" else spec["split"],
        "--users": spec["users"],
        "--seed": spec["seed"] or None,
        "--samples": None if samples == usual else samples,
    }


def _usual_suite() -> Any:
    return load("suite", default("suite"))


def turned(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the suite that are not its own; of one that is not registered all that have a value."""
    usual = bind(load("suite", spec["suite"]), {}) if spec["suite"] in names("suite") else {}
    return {name: v for name, v in spec["suite_parameters"].items() if v is not None and usual.get(name) != v}


def _data(spec: Mapping[str, Any]) -> list[str]:
    return _pairs("-s", turned(spec))


def _drawing(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A registered backbone that is not the usual one, and settings of the sampler that are not those of its card."""
    name = spec["backbone"]
    if name not in names("backbone"):
        return {}
    card = load("backbone", name)
    own = {f"--{key}": spec[key] for key in ("steps", "guidance") if getattr(card, key) != spec[key]}
    return {"--backbone": None if name == _usual_suite().card.backbone else name, **own}


def _said(options: Mapping[str, Any]) -> list[str]:
    """Options with their values, without those whose value is None."""
    return [str(word) for option in options.items() if option[1] is not None for word in option]


def _pairs(flag: str, values: Mapping[str, Any]) -> list[str]:
    """Parameters as `-p name=value`."""
    return [word for name, value in values.items() for word in (flag, f"{name}={value}")]
