"""What a scheduler is asked before anything is drawn: whether it is one of diffusion, and takes so many steps."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from prefbench.api import PrefbenchError
from prefbench.models.loading import one_line

_NEEDED = ("set_timesteps", "scale_model_input", "step", "init_noise_sigma")
"""What the pipelines ask of a scheduler; those of flow matching lack some."""
_NEAR = 10
"""How far from the steps asked for others are tried."""


def check_scheduler(backbone: str, scheduler: Any) -> None:
    """Raises `PrefbenchError` for a scheduler that the pipelines of diffusion cannot be drawn with."""
    if [name for name in _NEEDED if not hasattr(scheduler, name)]:
        raise PrefbenchError(
            f"backbone {backbone!r}: its scheduler {type(scheduler).__name__} is none of diffusion, such as those of"
            " flow matching; put one that its model was trained for, such as DDIMScheduler, into scheduler/"
        )


def check_steps(backbone: str, scheduler: Any, steps: int) -> None:
    """Raises `PrefbenchError` where a scheduler does not take so many steps, with the nearest number that it takes."""
    problem = _problem(scheduler, steps)
    if problem is None:
        return
    others = [n for away in range(1, _NEAR + 1) for n in (steps + away, steps - away) if n > 0]
    near = next((n for n in others if _problem(scheduler, n) is None), None)
    hint = "" if near is None else f"; the nearest number that it takes is {near}"
    raise PrefbenchError(
        f"backbone {backbone!r}: {type(scheduler).__name__} cannot take {steps} steps ({problem}){hint}"
    )


def _problem(scheduler: Any, steps: int) -> str | None:
    """What goes wrong in so many steps from nothing to nothing; None where nothing does."""
    trial, sample = fresh(scheduler), torch.zeros(1, 4, 2, 2)
    extra = {"generator": torch.Generator()} if "generator" in inspect.signature(trial.step).parameters else {}
    try:
        with hushed():
            trial.set_timesteps(steps)
            for time in trial.timesteps:
                sample = trial.step(torch.zeros_like(sample), time, trial.scale_model_input(sample, time), **extra)[0]
    except Exception as error:  # each scheduler fails in its own way
        return f"{type(error).__name__}: {one_line(error)}"
    return None


def fresh(scheduler: Any) -> Any:
    """The same scheduler without a past: multistep ones keep the last call's outputs."""
    with hushed():
        return type(scheduler).from_config(scheduler.config)


@contextmanager
def hushed() -> Iterator[None]:
    """Silences what diffusers says about its own code and about settings of a folder that it does not read."""
    logger = logging.getLogger("diffusers")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
