"""What a run will draw: its spec, the seed and key of every sample, and which samples share a batch.

The plan follows from the spec alone. It is the same on every machine, so a run can be cut anywhere and continued.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from json.encoder import encode_basestring_ascii as _text
from typing import Any, NamedTuple

from prefbench.api import Case, History, Picture, Split
from prefbench.api.stored import OPEN, Count, Name, Number
from prefbench.run.collection import seldom_collected

KEY_VERSION = 1
"""Raised when keys change meaning; a golden test pins it."""
_SLUG = 40
"""Letters of a name that a folder's name takes; most file systems allow 255 in all."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides the pixels of a run, and how it is cut into batches: what `run.json` must hold.

    What comes from a file is named `file.py:Name`, never with its folder; a suite and a control also by a hash of the
    file, `file.py:Name+0123456789ab`, which for a method stands in its version.
    """

    __pydantic_config__ = OPEN

    suite: Name
    suite_parameters: Mapping[str, Any]
    suite_digest: Name
    split: Split
    method: Name
    method_version: Name
    parameters: Mapping[str, Any]
    control: Name | None
    backbone: Name
    backbone_digest: Name
    steps: int
    guidance: Number
    dtype: Name
    seed: int
    samples_per_case: Count
    users: Count | None
    """Only the first so many users of the split; None for all."""
    batch: Count
    """Samples that are drawn together when the run begins; changes no pixel beyond rounding and is in no key."""

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data."""
        return asdict(self)

    @property
    def pixels(self) -> dict[str, Any]:
        """The fields that change the pixels of a given sample."""
        free = ("batch", "users", "samples_per_case", "split", "suite_digest", "suite_parameters")
        return {name: value for name, value in asdict(self).items() if name not in free}

    @property
    def noise(self) -> str:
        """What seeds take from the suite. An edit of its file keeps them: runs before and after stay paired."""
        return self.suite.partition("+")[0]

    @property
    def id(self) -> str:
        """A folder name that two different specs never share: letters, digits, dashes, dots and underscores."""
        content = {name: value for name, value in asdict(self).items() if name != "batch"}
        short = _sha(json.dumps(content, sort_keys=True))[:8]
        names = [_slug(name) for name in (self.suite, self.split, self.method, self.control or "")]
        return "-".join([name for name in names if name] + [short])


class Planned(NamedTuple):
    """One sample to draw."""

    key: str
    case: Case
    index: int  # type: ignore[assignment]  # not the place of a value in a tuple
    seed: int


def sample_seed(run_seed: int, suite: str, user: str, prompt: str, index: int) -> int:
    """The seed of one sample, 0 to 2**63 - 1: the same for every method, order, shard and batch size."""
    return _seed(_seeds_of(run_seed, suite, user, prompt), index)


def sample_key(spec: RunSpec, history: History, case: Case, index: int) -> str:
    """Names a sample by all that changes its pixels and nothing else."""
    return _key(_keys_of(pixels_text(spec), history.digest, case.user, case.prompt, case.content), index)


def pixels_text(spec: RunSpec) -> str:
    """What all keys of a run share: made once for them."""
    return json.dumps(spec.pixels, sort_keys=True)


def key_of(pixels: str, history: str, user: str, prompt: str, index: int) -> str:
    """`sample_key` of a case without content, from `pixels_text`, the history's digest, the user and the prompt."""
    return _key(_keys_of(pixels, history, user, prompt), index)


@seldom_collected()
def make_plan(spec: RunSpec, cases: Sequence[Case], histories: Mapping[str, History]) -> Sequence[Sequence[Planned]]:
    """The batches of a run, in order: whole users one after the other, `spec.batch` samples at a time."""
    pixels, noise, planned = pixels_text(spec), spec.noise, list[Planned]()
    for case in cases:
        keys = _keys_of(pixels, histories[case.user].digest, case.user, case.prompt, case.content)
        seeds = _seeds_of(spec.seed, noise, case.user, case.prompt)
        planned += [Planned(_key(keys, i), case, i, _seed(seeds, i)) for i in range(spec.samples_per_case)]
    return [planned[i : i + spec.batch] for i in range(0, len(planned), spec.batch)]


class _Hashed(NamedTuple):
    """What is hashed for each sample of a case: a JSON object, in alphabetical order as `json.dumps` sorts it, but put
    together from what stands before and after the index, since there can be 200,000 of them.
    """

    before: bytes
    after: bytes


def _keys_of(pixels: str, history: str, user: str, prompt: str, content: Picture | None = None) -> _Hashed:
    redrawn = "" if content is None else f'"content": {_text(content.digest)}, '
    names = f', "prompt": {_text(prompt)}, "spec": {pixels}, "user": {_text(user)}, "version": {KEY_VERSION}}}'
    return _Hashed(f'{{{redrawn}"history": {_text(history)}, "index": '.encode(), names.encode())


def _seeds_of(run_seed: int, suite: str, user: str, prompt: str) -> _Hashed:
    names = f', "prompt": {_text(prompt)}, "run": {run_seed}, "suite": {_text(suite)}, "user": {_text(user)}}}'
    return _Hashed(b'{"index": ', names.encode())


def _key(hashed: _Hashed, index: int) -> str:
    return hashlib.sha256(b"%b%d%b" % (hashed.before, index, hashed.after)).hexdigest()[:32]


def _seed(hashed: _Hashed, index: int) -> int:
    digest = hashlib.sha256(b"%b%d%b" % (hashed.before, index, hashed.after)).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _slug(name: str) -> str:
    """A name as used in a folder's name: of `file.py:Name+hash` only `name`."""
    plain = name.rpartition(":")[2].partition("+")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:_SLUG]


def _sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
