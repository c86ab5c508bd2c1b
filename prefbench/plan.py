"""What a run will draw: its spec, the seed and key of every sample, and which samples share a batch.

The plan follows from the spec alone. It is the same on every machine, so a run can be cut anywhere and continued.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prefbench.records import Case, History, Split

KEY_VERSION = 1
"""Raised when keys change meaning; a golden test pins it."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides the pixels of a run, and how it is cut into batches."""

    suite: str
    suite_parameters: Mapping[str, Any]
    suite_digest: str
    split: Split
    method: str
    method_version: str
    parameters: Mapping[str, Any]
    control: str | None
    backbone: str
    backbone_digest: str
    steps: int
    guidance: float
    dtype: str
    seed: int
    samples_per_case: int
    users: int | None
    """Only the first so many users of the split; None for all."""
    batch: int
    """Samples that are drawn together; changes no pixel beyond rounding and is in no key."""

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data."""
        return asdict(self)

    @property
    def pixels(self) -> dict[str, Any]:
        """The part that changes pixels of a given sample."""
        free = ("batch", "users", "samples_per_case", "split", "suite_digest", "suite_parameters")
        return {name: value for name, value in asdict(self).items() if name not in free}

    @property
    def id(self) -> str:
        """A folder name that two different specs never share."""
        content = {name: value for name, value in asdict(self).items() if name != "batch"}
        short = _sha(content)[:8]
        names = [self.suite, self.split, self.method.rpartition(":")[2], self.control]
        return "-".join([name.lower() for name in names if name] + [short])


@dataclass(frozen=True)
class Planned:
    """One sample to draw."""

    key: str
    case: Case
    index: int
    seed: int


def sample_seed(run_seed: int, suite: str, user: str, prompt: str, index: int) -> int:
    """The seed of one sample, 0 to 2**63 - 1: the same for every method, order, shard and batch size."""
    content = {"run": run_seed, "suite": suite, "user": user, "prompt": prompt, "index": index}
    return int(_sha(content)[:16], 16) >> 1


def sample_key(spec: RunSpec, history: History, case: Case, index: int) -> str:
    """Names a sample by all that changes its pixels and nothing else."""
    content = {
        "version": KEY_VERSION,
        "spec": spec.pixels,
        "history": history.digest,
        "user": case.user,
        "prompt": case.prompt,
        "index": index,
    }
    return _sha(content)[:32]


def make_plan(spec: RunSpec, cases: Sequence[Case], histories: Mapping[str, History]) -> Sequence[Sequence[Planned]]:
    """The batches of a run, in order: whole users one after the other, `spec.batch` samples at a time."""
    planned = [
        Planned(
            sample_key(spec, histories[case.user], case, index),
            case,
            index,
            sample_seed(spec.seed, spec.suite, case.user, case.prompt, index),
        )
        for case in cases
        for index in range(spec.samples_per_case)
    ]
    return [planned[i : i + spec.batch] for i in range(0, len(planned), spec.batch)]


def _sha(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
