"""Whether a row of format 1, which has no sum, is of the user and prompt that it names: its seed and key tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from prefbench.api import Sample
from prefbench.run.plan import RunSpec, key_of, pixels_text, sample_seed
from prefbench.run.row_kinds import ProfileRow


def origin_check(description: Mapping[str, Any], profiles: Iterable[ProfileRow]) -> Callable[[Sample], str]:
    """Gives what is wrong with a sample, empty where nothing is.

    The key is known of users whose history has a profile; under a control the history is the one that was seen.
    """
    spec = RunSpec(**{field.name: description["spec"][field.name] for field in fields(RunSpec)})
    kinds, pixels, noise = description["kinds"], pixels_text(spec), spec.noise
    histories: dict[str, list[str]] = defaultdict(list)
    for row in profiles:
        histories[row.user].append(row.history)

    def fault(sample: Sample) -> str:
        user, prompt, index = sample.user, sample.prompt, sample.index
        if user not in kinds:
            return "run.json names no such user"
        if sample.seed != sample_seed(spec.seed, noise, user, prompt, index):
            return "its seed is of another user, prompt or index"
        keys = [key_of(pixels, history, user, prompt, index) for history in histories[user]]
        return "its key is of another user, prompt or index" if keys and sample.key not in keys else ""

    return fault
