"""What reports read: the rows of a run's summary, its cost, and a scored run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from prefbench.api.drawn import DrawnCounts
from prefbench.api.records import Sample
from prefbench.api.scores import Column, ScoreHeader
from prefbench.api.stored import OPEN, Number

ALL = "all"
"""The kind of a row that speaks of all users."""
NO_BACKBONE, NO_DIGEST = "none (images given)", "0" * 64
"""The backbone, and the digest in its place, of a run whose images were given: nothing here drew them."""


def is_given(spec: Mapping[str, Any]) -> bool:
    """Whether the images of a run were given, by its spec."""
    return bool(spec["backbone_digest"] == NO_DIGEST)


@dataclass(frozen=True)
class SummaryRow:
    """One number of a run. `kind` is a kind of user, or `all`; `floor` is what two halves of the reference score, and
    `crowd` what the same prompts do in the style that most users like."""

    __pydantic_config__ = OPEN

    method: str
    control: str | None
    metric: str
    kind: str
    value: Number | None
    low: Number | None
    high: Number | None
    n_users: int
    n_prompts: int
    n_samples: int
    missing: int
    direction: str
    """`up`, `down`, or empty where neither more nor less is better."""
    question: str
    won_by: tuple[str, ...] = ()
    floor: float | None = None
    unranked: str = ""
    """Why the scorer or encoder behind the number must not rank this method; empty where it may, or without one."""
    scorer: str = ""
    """Measured accuracy of the scorer behind the number."""
    extractor: str = ""
    """The name of the encoder that the number rests on: tables show `fid (mini-clip)`, keys stay `fid`."""
    foreign: str = ""
    """Why that encoder is not to be trusted with this suite's pictures; empty where it is."""
    few: int = 0
    """The number of images that the metric's card asks for, where the value stands on fewer; 0 where it has enough."""
    n_pairs: int = 0
    """As in `Estimate`, like the two below; 0 in rows that were stored without it."""
    unpaired: int = 0
    users_only: bool = False
    shared: int | None = None
    """As in `Estimate`, like the next; None and False in rows that were stored without them."""
    alike: bool = False
    crowd: float | None = None


@dataclass(frozen=True)
class Cost:
    """Cost of a run; None where nothing was recorded."""

    __pydantic_config__ = OPEN

    seconds_per_user: float | None
    """Mean time that the method took per history, in seconds."""
    profile_bytes: float | None
    """Mean size of what it made of one history."""
    trained_parameters: float | None
    """Mean number of parameters that it trained per history."""
    seconds_per_image: float | None
    nfe_per_image: float | None
    """Mean number of function evaluations (denoiser passes) per image."""
    peak_memory_bytes: int | None


class ScoredRun(Protocol):
    """A run folder that was scored, as `prefbench.load` opens it and reports read it."""

    @property
    def path(self) -> Path:
        """The run folder."""

    @property
    def description(self) -> Mapping[str, Any]:
        """The content of `run.json`."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """All that decides which images are drawn: method, parameters, backbone, suite, split, seeds."""

    @property
    def method(self) -> str:
        """The method's name as tables show it."""

    @property
    def control(self) -> str | None:
        """The control that the method was drawn under."""

    @property
    def samples(self) -> Sequence[Sample]:
        """The stored samples by user, case and index."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """User to kind of user."""

    @property
    def undrawn(self) -> int:
        """How many planned samples have no row yet: the run was stopped before its end."""

    @property
    def headers(self) -> Mapping[str, ScoreHeader]:
        """The header of every scored metric, by the metric's name."""

    def columns(self) -> Mapping[str, Column]:
        """Every column of every per-image and per-user metric, in the order they were scored."""

    def set_metrics(self) -> Mapping[str, ScoreHeader]:
        """The headers of the set-level metrics alone."""

    def set_values(self, metric: str) -> Mapping[str, float | None]:
        """A set-level metric's value, its floor, and its leave-one-out values, by their keys."""

    def recipes(self) -> Mapping[str, str]:
        """The recipe of each metric's numbers, by the metric's name."""

    def summary(self) -> Sequence[SummaryRow]:
        """The stored rows: one per column over all users, then one per kind of user; computed once, when scored."""

    def cost(self) -> Cost:
        """The run's cost, as it was stored when it was scored."""

    def drawn(self) -> DrawnCounts:
        """Equal pictures, pictures of one colour and texts that were cut, as counted when the run was scored."""

    def image(self, digest: str) -> Image.Image:
        """A drawn image by the digest in its sample."""
