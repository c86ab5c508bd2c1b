"""Figures of a scorer: what they are, and where those that were measured on this machine are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefbench.api import Estimate, PrefbenchError, Split
from prefbench.api.stored import STRICT, Count, Name, Number
from prefbench.files import cache_folder, read_plain
from prefbench.run.lines import fault
from prefbench.run.stamps import unstamped

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_BYTES = 2**24


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval over users; all None where it cannot be measured."""

    __pydantic_config__ = STRICT

    value: Number | None
    low: Number | None
    high: Number | None

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        """The interval of an estimate over users and prompts."""
        return cls(estimate.value, estimate.low, estimate.high)


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability plot."""

    __pydantic_config__ = STRICT

    said: Number
    """The mean P(liked) that the scorer gave."""
    true: Number
    """The share that was liked."""
    n: Count
    """Judgments."""


@dataclass(frozen=True)
class Known:
    """Accuracy where less is known of a user."""

    __pydantic_config__ = STRICT

    judgments: Count
    """Of the history: pairs, or judgments where it has no pairs."""
    accuracy: Interval


_NOT_MEASURED = Interval(None, None, None)


@dataclass(frozen=True)
class ScorerFigures:
    """What `scorer_figures.measure` returns.

    Accuracies and AUC: 0 to 1, chance 0.5. Brier score and calibration error (ECE): 0 best.
    What begins with `above` are personal points: accuracy with the own history minus another accuracy on the same
    pairs. Both `above_population` (the same scorer without a user: what it says of everybody) and `above_permuted`
    (with other users' histories) must be above 0 with their whole intervals for a scorer to be admitted to rankings.
    """

    __pydantic_config__ = STRICT

    scorer: Name
    suite: Name
    split: Split
    n_users: Count
    n_pairs: Count
    within_user_accuracy: Interval
    within_user_auc: Interval
    population: Interval
    mismatched: Interval
    permuted: Interval
    best_possible: Interval
    above_population: Interval
    above_permuted: Interval
    brier: Interval
    ece: Interval
    reliability: tuple[Bin, ...]
    vote: Interval = _NOT_MEASURED
    """What most others who judged the same two pictures chose."""
    above_vote: Interval = _NOT_MEASURED
    crowd_scorer: str = ""
    """The best of the scorers of the crowd that were asked too."""
    crowd: Interval = _NOT_MEASURED
    above_crowd: Interval = _NOT_MEASURED
    again: Interval = _NOT_MEASURED
    """The same user, asked another time: no scorer can do much better."""
    by_size: tuple[Known, ...] = ()
    """Accuracy with shorter histories."""
    position_bias: Interval = _NOT_MEASURED
    """Of a pairwise judge: P(the picture in the first place) minus 0.5, over both orders."""
    disagreement: Interval = _NOT_MEASURED
    """Of a pairwise judge: share of pairs where its answers in the two orders name different pictures."""
    digest: Name = ""
    """Of the suite: folders may have one name and other judgments. Empty in cards of older versions."""

    @property
    def admitted(self) -> bool:
        """Whether the scorer may rank methods: it knows more with the user's history than without, or with others'."""
        ends = (self.above_population.low, self.above_permuted.low)
        return all(end is not None and end > 0 for end in ends)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with `admitted` beside the fields."""
        return {**asdict(self), "admitted": self.admitted}


def kept_figures(scorer: str, suite: str) -> Path:
    """The file that keeps the figures of a scorer on a suite; for the suite `*` a pattern of all its files."""
    names = (re.sub(r"[^\w.-]+", "_", name) if name != "*" else name for name in (scorer, suite))
    return cache_folder() / "scorers" / f"{'-'.join(names)}.json"


def read_kept(path: Path) -> dict[str, Any]:
    """The figures in such a file.

    Raises:
        FileNotFoundError: there is none.
        PrefbenchError: it is not as it was written, holds something else, or is of another version.
    """
    try:
        content = unstamped(path, read_plain(path, _BYTES))
        if content["format"] == 1:
            raise ValueError("it is of an older version")
        return checked_figures(content.get("figures"))
    except ValueError as error:
        raise PrefbenchError(f"{path} holds no figures that can be relied on ({error})") from None


def checked_figures(content: Any) -> dict[str, Any]:
    """Figures as `ScorerFigures.to_json` gave them. Raises `ValueError`, with the reason in one line, for others."""
    from pydantic import ValidationError

    if not isinstance(content, Mapping):
        raise ValueError("there are none")
    stated = {name: value for name, value in content.items() if name != "admitted"}
    try:
        figures = _adapter().validate_json(json.dumps(stated))
    except ValidationError as error:
        raise ValueError(fault(error)) from None
    if content.get("admitted") is not figures.admitted:
        raise ValueError("admitted: is not what its figures say")
    return dict(content)


@cache
def _adapter() -> TypeAdapter[ScorerFigures]:
    from pydantic import TypeAdapter

    return TypeAdapter(ScorerFigures)
