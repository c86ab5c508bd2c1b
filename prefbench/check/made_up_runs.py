"""Three small scored runs that no method drew: what reports are checked on. No weights, no suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prefbench.api import Sample, ScoredRun
from prefbench.check.made_up import PROMPTS
from prefbench.registry import default
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import samples_digest
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary

_USERS, _INDICES = 6, 2
_PROMPTS = PROMPTS[:2]
METHOD = "made-up"
_BASELINE, _CEILING = default("method.baseline"), default("method.ceiling")
KINDS = ("noisy", "plain")
"""Kinds of the made-up users, in turn."""


def made_up_runs(folder: Path) -> Sequence[ScoredRun]:
    """A baseline, a ceiling and a method between them, scored by one per-image and one set-level metric.

    One sample of the method failed and one has no value: a report must count both and show neither as a number.
    """
    return [_run(folder / name, name, level) for level, name in enumerate((_BASELINE, METHOD, _CEILING))]


def _run(folder: Path, method: str, level: int) -> ScoredFolder:
    store, rng = RunFolder(folder), np.random.default_rng(level)
    users = [f"test-{i:04d}" for i in range(_USERS)]
    store.write_description(_description(method, users))
    keys = [(user, prompt, index) for user in users for prompt in _PROMPTS for index in range(_INDICES)]
    samples = [_sample(store, method, rng, *key, failed=method == METHOD and i == 3) for i, key in enumerate(keys)]
    store.append_samples(samples)
    scored = [sample for sample in samples if sample.status == "ok"]
    values: list[float | None] = [level + float(rng.normal()) for _ in scored]
    if method == METHOD:
        values[0] = None
    rows = [{"key": s.key, "column": "made-up-score", "value": v} for s, v in zip(scored, values, strict=True)]
    store.write_scores("made-up-score", _header("made-up-score", "up", "image", samples), rows)
    sets = {"set": 10.0 - level, "floor": 2.0, **{f"without/user/{i}": 10.0 - level + i / 10 for i in range(_USERS)}}
    set_rows = [{"key": key, "column": "made-up-distance", "value": v, "n": len(scored)} for key, v in sets.items()]
    store.write_scores("made-up-distance", _header("made-up-distance", "down", "set", samples), set_rows)
    store_summary(ScoredFolder.open(folder))
    return ScoredFolder.open(folder)


def _description(method: str, users: Sequence[str]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "suite": "made-up", "suite_parameters": {}, "suite_digest": "d" * 64, "split": "test", "method": method,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "made-up", "backbone_digest": "b" * 64,
        "steps": 2, "guidance": 1.0, "dtype": "float32", "seed": 0, "samples_per_case": _INDICES, "users": None,
        "batch": 4,
    }  # fmt: skip
    return {
        "spec": spec,
        "method": {"name": method, "version": "1", "control": method == _CEILING},
        "kinds": {user: KINDS[i % len(KINDS)] for i, user in enumerate(users)},
        "planned": len(users) * len(_PROMPTS) * _INDICES,
        "command": f"prefbench run --method {method}",
        "environment": {"versions": {}, "hardware": {}, "code": {"commit": "0" * 40, "dirty": False}},
    }


def _sample(
    store: RunFolder, method: str, rng: np.random.Generator, user: str, prompt: str, index: int, *, failed: bool
) -> Sample:
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Sample(
        key=f"{method}/{user}/{prompt}/{index}",
        user=user,
        case=f"{user}/{prompt}",
        prompt=prompt,
        index=index,
        seed=index,
        status="failed" if failed else "ok",
        image=None if failed else store.put_image(Image.fromarray(pixels)),
        seconds=0.5,
        nfe=4,
        error="RuntimeError: made up" if failed else None,
    )


def _header(metric: str, direction: str, unit: str, samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "metric": f"{metric}@1[made-up]",
        "direction": direction,
        "question": "preference" if unit == "image" else "fidelity",
        "unit": unit,
        "won_by": [],
        "extractor": None if unit == "image" else "made-up",
        "samples": samples_digest(samples),
    }
