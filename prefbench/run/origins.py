"""Whether a row is of a user of the run, and of format 1, which has no sum, of the prompt that it names: its seed and
key tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from prefbench.api import Sample, plain
from prefbench.run.plan import RunSpec, key_of, pixels_text, sample_seed
from prefbench.run.row_kinds import ProfileRow

_OTHER = "of another user, prompt or index"


def place_check(description: Mapping[str, Any]) -> Callable[[Sample], str]:
    """Gives what is wrong with the place of a sample among the run's, empty where nothing is: a user that the run does
    not name, or a sample that an earlier row has by another key, as of a history that has changed since.
    """
    kinds, keys = description["kinds"], dict[tuple[str, str, int], str]()

    def fault(sample: Sample) -> str:
        if sample.user not in kinds:
            return f"is of no user that run.json names ({plain(sample.user)})"
        if keys.setdefault((sample.user, sample.prompt, sample.index), sample.key) != sample.key:
            return "is of a user, prompt and index that a row before it has by another key"
        return ""

    return fault


def origin_check(description: Mapping[str, Any], profiles: Iterable[ProfileRow]) -> Callable[[Sample], str]:
    """Gives what is wrong with a sample, empty where nothing is.

    The key is known of users whose history has a profile; under a control the history is the one that was seen.
    """
    spec = RunSpec(**{field.name: description["spec"][field.name] for field in fields(RunSpec)})
    displaced, pixels, noise = place_check(description), pixels_text(spec), spec.noise
    histories: dict[str, list[str]] = defaultdict(list)
    for row in profiles:
        histories[row.user].append(row.history)

    def fault(sample: Sample) -> str:
        user, prompt, index = sample.user, sample.prompt, sample.index
        if fault := displaced(sample):
            return fault
        if sample.seed != sample_seed(spec.seed, noise, user, prompt, index):
            return f"was edited (its seed is {_OTHER})"
        keys = [key_of(pixels, history, user, prompt, index) for history in histories[user]]
        return f"was edited (its key is {_OTHER})" if keys and sample.key not in keys else ""

    return fault
