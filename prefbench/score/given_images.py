"""Given images to a run that can be scored: what is asked before anything is stored, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.api import FailedSamplesError, PrefbenchError, counted
from prefbench.api.near import unknown
from prefbench.run.given.prepare import GivenRun, only_method, open_data, prepare_given
from prefbench.run.given.store import store
from prefbench.run.metric_names import check_metrics
from prefbench.run.prepare import Settings
from prefbench.run.watch import Watch
from prefbench.score.needs import check_needs

SETTINGS = ("suite", "split", "users", "samples", "seed", "suite_parameters", "out", "command")
"""The settings of a run that images can have. None stands for the default."""


def given_settings(choices: Mapping[str, Any]) -> Settings:
    """The settings for given images. Raises `PrefbenchError` for one that only a run that draws has."""
    for name in choices:
        if name not in SETTINGS:
            raise PrefbenchError(unknown("setting for given images", name, list(SETTINGS)))
    return Settings(method="", **{name: value for name, value in choices.items() if value is not None})


def read_given(choices: Mapping[str, Any], images: Path, name: str | None, card: Path | None, watch: Watch) -> GivenRun:
    """Reads the images of the one method of a path, for the settings that `choices` name. Nothing is stored."""
    call = {"command": f"prefbench.score_images({str(images)!r}, ...)"}
    data = open_data(given_settings(call | dict(choices)))
    usual, source = only_method(images, data.folders)
    given = prepare_given(data, source, usual, name, card, watch.progress)
    watch.covered(given)
    return given


def store_given(given: GivenRun, metrics: Sequence[str], watch: Watch, *, allow_missing: bool) -> Path:
    """Stores given images as a run, and returns its folder.

    Raises:
        FailedSamplesError: an image that is expected is missing or cannot be read, and that is not allowed.
        PrefbenchError: none is found, a sample has two, or a metric cannot be scored.
    """
    coverage, suite = given.coverage, given.data.suite
    planned = counted(len(coverage.expected), "image")
    lacking = len(coverage.expected) - len(coverage.of("found"))
    if lacking == len(coverage.expected):
        raise PrefbenchError(f"{coverage.method}: none of {planned} is found{_first_unused(given)}")
    if lacking and not allow_missing:
        what = f"{lacking} of {planned} {'is' if lacking == 1 else 'are'} missing or cannot be read"
        raise FailedSamplesError(f"{coverage.method}: {what}; allow_missing goes on without them")
    check_metrics(metrics)
    check_needs(suite, metrics or suite.card.metrics)
    watch.stored(given, store(given, watch.progress))
    return given.folder.path


def _first_unused(given: GivenRun) -> str:
    """Why the first image counts for nothing."""
    unused = given.coverage.unused
    return f"; {unused[0]}" if unused else ""
