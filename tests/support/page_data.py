"""A page's folder with made-up data in the format that the page reads: hostile texts, failures, marks, real sheets."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ASSETS = Path(__file__).parents[2] / "reports" / "page" / "assets"
HOSTILE = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(2)</script>"
ARABIC = "\u202e\u0642\u0637\u0629 \u0639\u0644\u0649 \u0633\u062c\u0627\u062f\u0629\u202c"
_METHODS = ("prompt-only", "ours", "ip-adapter", "tally", "inferred")
_KINDS = ("steady", "silent", f"odd {HOSTILE}")
_QUESTIONS = {
    "preference/gain": ("preference", "up", 0.2),
    "preference": ("preference", "up", 0.5),
    "utility/liked": ("preference", "up", 0.4),
    "vqa-score": ("adherence", "up", 0.7),
    "clip-score": ("adherence", "up", 28.0),
    "fid": ("fidelity", "down", 31.0),
    "clip-i": ("preference", "up", 0.6),
    "copy-rate": ("side", "down", 0.05),
    "diversity": ("side", "up", 0.3),
}
_OF_SETS = ("fid", "diversity")


@dataclass(frozen=True)
class Sizes:
    """How much a made-up page holds; `edge` is the side of a thumbnail in pixels."""

    runs: int = 3
    users: int = 48
    prompts: int = 4
    samples: int = 2
    block: int = 150
    edge: int = 32
    live: bool = False
    likes: int = 5

    @property
    def rows(self) -> int:
        """Samples of one run."""
        return self.users * self.prompts * self.samples


def _text(value: object) -> str:
    """ASCII JSON that cannot end a script."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 5) for value in values.tolist()]


def _users(sizes: Sizes) -> list[dict[str, str]]:
    ids = [f"user-{i:03d}" for i in range(sizes.users)]
    for i, name in enumerate((HOSTILE, f"a/b?c=d&e#f {SCRIPT}", ARABIC)):
        ids[i + 1] = name
    return [{"id": name, "kind": _KINDS[i % len(_KINDS)]} for i, name in enumerate(ids)]


def _prompts(sizes: Sizes) -> list[str]:
    things = ("a red boat on a lake", "two owls in the snow", "a clock tower", "an apple beside a blue jug")
    prompts = [f"{things[i % 4]}, picture {i}" for i in range(sizes.prompts)]
    prompts[1] = f"{HOSTILE} {ARABIC}"
    prompts[-1] = "a long prompt of many words " * 71
    return prompts


def _value(run: int, name: str, kind: int, sizes: Sizes) -> dict[str, Any]:
    _, direction, level = _QUESTIONS[name]
    better = (1 if direction == "up" else -1) * abs(level)
    step = (0.0, 0.5, 0.3, 0.1, 0.6)[run % 5] * better - 0.05 * kind * better
    half = abs(level) * 0.12
    gain = None
    if run:
        p = 0.0004 if abs(step) > half and name != "vqa-score" else 0.31
        gain = {
            "value": step,
            "low": step - half,
            "high": step + half,
            "p": p,
            "users": sizes.users,
            "to": "prompt-only",
        }
    return {
        "value": level + step,
        "low": level + step - half,
        "high": level + step + half,
        "n_users": sizes.users,
        "n_samples": sizes.rows,
        "missing": int(run == 2),
        "difference": gain,
        "rank": [1, 2] if run in (1, 2) else [3, 5],
    }


def _metrics() -> list[dict[str, Any]]:
    marks = {
        "clip-i": ["† copy can win this metric without doing what it asks."],
        "fid": [f"§ The references are of the same people. {HOSTILE}"],
    }
    return [
        {
            "name": name,
            "shown": f"{name} (mini-clip)" if name == "fid" else name,
            "question": question,
            "direction": direction,
            "unit": "set" if name in _OF_SETS else "image",
            "scale": "a distance, 0 for equal sets" if name == "fid" else "higher where people like it more",
            "summary": f"What {name} measures, said in one line.",
            "source": "https://arxiv.org/abs/1706.08500" if name == "fid" else "javascript:alert(3)",
            "recipe": "every picture at its own size; no crop",
            "bounds": [0, None] if name == "fid" else None,
            "card": f"What it measures.\n\nWhat can go wrong: much. {SCRIPT}\n\n    {name} = mean(x)\n",
            "marks": marks.get(name, []),
            "notes": ["fid: a note without a mark."] if name == "fid" else [],
            "floor": 12.5 if name == "fid" else None,
        }
        for name, (question, direction, _) in _QUESTIONS.items()
    ]


def _label(run: int) -> str:
    if run == 2:
        return f"ip-adapter {HOSTILE}"
    return _METHODS[run % 5] + (f", other-user {run // 5}" if run >= 5 else "")


def _run(run: int, sizes: Sizes) -> dict[str, Any]:
    cost = {"seconds_per_image": 1.2 * run + 0.4, "seconds_per_user": 30.0 if run == 1 else None, "nfe_per_image": 40}
    audit = None
    if run < 2:
        words = f"Deleting the last sample changed nothing. {HOSTILE if run else ''}"
        findings = [
            {"name": "same picture again", "status": "passed", "text": words},
            {"name": "other people", "status": "failed" if run else "warning", "text": "Two users got equal pictures."},
            {"name": "given seeds", "status": "skipped", "text": "No images were given."},
        ]
        audit = {"failed": run == 1, "warned": True, "findings": findings}
    return {
        "label": _label(run),
        "method": _METHODS[run % 5],
        "control": None,
        "ranked": run != 4,
        "scored": True,
        "folder": f"runs/picturebook-test-{_METHODS[run % 5]}",
        "settings": {"backbone": "mini-sd", "steps": "20", "note": HOSTILE},
        "command": f"prefbench run --method {_METHODS[run % 5]} --split test",
        "versions": "torch 2.14, numpy 2.4",
        "hardware": "2 CPU cores",
        "n": sizes.rows,
        "failed": 3 if run == 2 else 0,
        "undrawn": 4 if run == 2 else 0,
        "blocks": math.ceil(sizes.rows / sizes.block),
        "cost": cost | {"profile_bytes": 512, "trained_parameters": 10_400_000, "peak_memory_bytes": 3 * 2**30},
        "notes": ["12 pictures of different users are equal."] if run == 2 else [],
        "audit": audit,
    }


def overview(sizes: Sizes) -> dict[str, Any]:
    """What the start page reads."""
    kinds = ["all", *_KINDS]
    values = [
        {"run": run, "metric": name, "kind": kind} | _value(run, name, place, sizes)
        for run in range(sizes.runs)
        for name in _QUESTIONS
        for place, kind in enumerate(kinds)
    ]
    row = [["prompt-only", "0.20\n[0.15, 0.25]", "0.60†"], [_label(2), "0.30*\n[0.25, 0.35]", "0.78†"]]
    table = {
        "title": "Headline",
        "columns": ["method", "preference/gain ↑", "clip-i ↑ †"],
        "sections": [row, row[:1]],
        "notes": ["† copy can win this metric without doing what it asks.", "* p below 0.05 after Holm."],
        "words": [0],
    }
    return {
        "format": 1,
        "title": f"picturebook test {HOSTILE}",
        "version": "0.0",
        "live": sizes.live,
        "suite": {
            "name": "picturebook",
            "split": "test",
            "summary": "Made-up people who like pictures by rules that are known.",
            "kinds": {kind: f"people who are {kind}" for kind in _KINDS},
        },
        "size": {"users": sizes.users, "prompts": sizes.prompts, "samples": sizes.runs * sizes.rows}
        | {"block": sizes.block},
        "thumbnail": {"edge": sizes.edge, "columns": 16, "cells": 256, "exact": sizes.edge <= 64},
        "runs": [_run(run, sizes) for run in range(sizes.runs)],
        "tables": [table],
        "metrics": _metrics(),
        "values": values,
        "baseline": "prompt-only",
        "headline": ["preference/gain", "utility/liked", "vqa-score", "fid"],
        "repeat": ["pip install prefbench", "prefbench run --method ours --split test", "prefbench report runs/*"],
        "family": "Holm over the runs of each column",
        "interval": "Intervals are 95 % for other users and other prompts.",
        "p": "p is of a permutation test over users, adjusted after Holm.",
        "order": [run for run in (1, 2, 0, 3, 4) if run < sizes.runs],
    }


def people(sizes: Sizes) -> dict[str, Any]:
    """Who liked what; the pictures of likes and dislikes stand first in the sheets."""
    of_user = np.arange(sizes.users * sizes.likes * 2).reshape(sizes.users, 2, sizes.likes)
    judged = [
        [[[int(place), int(place) % sizes.prompts, None] for place in half] for half in places] for places in of_user
    ]
    return {
        "users": _users(sizes),
        "prompts": _prompts(sizes),
        "liked": [both[0] for both in judged],
        "disliked": [both[1] for both in judged],
        "left_out": [2 if i == 0 else 0 for i in range(sizes.users)],
    }


def _rows(run: int, sizes: Sizes) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Blocks of one run: numbers, and texts of the same rows."""
    rng = np.random.default_rng(run)
    first_place = sizes.users * sizes.likes * 2 + run * sizes.rows
    taste = np.random.default_rng(99).normal(size=sizes.users)
    for first in range(0, sizes.rows, sizes.block):
        row = np.arange(first, min(first + sizes.block, sizes.rows))
        user = row // (sizes.prompts * sizes.samples)
        ok = ~((run == 2) & (row < 3))
        scores = {}
        for name, (_, _, level) in _QUESTIONS.items():
            if name not in _OF_SETS:
                noise = rng.normal(size=len(row)) * 0.2 + taste[user] * 0.2 + 0.1 * run
                scores[name] = _numbers(np.where(ok, level * (1 + noise), np.nan))
        yield (
            {
                "run": run,
                "first": first,
                "user": user.tolist(),
                "prompt": (row // sizes.samples % sizes.prompts).tolist(),
                "index": (row % sizes.samples).tolist(),
                "place": np.where(ok, first_place + row, -1).tolist(),
                "ok": ok.astype(int).tolist(),
                "scores": scores,
            },
            {
                "key": [f"{run:02x}{i:014x}" for i in row.tolist()],
                "seed": [str(2**63 + i) for i in row.tolist()],
                "image": [f"sha256:{i:064x}" if good else None for i, good in zip(row.tolist(), ok, strict=True)],
                "used": [f"{HOSTILE} in oils" if i % 2 else None for i in row.tolist()],
                "error": [None if good else f"out of memory {SCRIPT}" for good in ok],
                "seconds": [0.42 if good else None for good in ok],
                "nfe": [40 if good else None for good in ok],
                "near": (user * sizes.likes * 2).tolist(),
                "size": [[sizes.edge, sizes.edge] if good else None for good in ok],
            },
        )


def _write_sheets(folder: Path, sizes: Sizes) -> None:
    """Every cell is a gradient of its own between two colours."""
    folder.mkdir()
    total = sizes.users * sizes.likes * 2 + sizes.runs * sizes.rows
    ramp = np.linspace(0, 1, sizes.edge)
    slope = (ramp[:, None] + ramp[None]) / 2
    rng = np.random.default_rng(0)
    for number, first in enumerate(range(0, total, 256)):
        ends = rng.integers(20, 235, size=(256, 2, 3))
        cells = ends[:, :1, None] + (ends[:, 1:, None] - ends[:, :1, None]) * slope[None, ..., None]
        rows = math.ceil(min(256, total - first) / 16)
        sheet = cells.reshape(16, 16, sizes.edge, sizes.edge, 3).transpose(0, 2, 1, 3, 4)[:rows]
        pixels = sheet.reshape(rows * sizes.edge, 16 * sizes.edge, 3).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.webp", quality=80, method=0)


def write_page(folder: Path, sizes: Sizes | None = None) -> Path:
    """A page in a new folder; returns the path of its `index.html`."""
    sizes = sizes or Sizes()
    shutil.copytree(ASSETS, folder / "page", ignore=shutil.ignore_patterns("index.html"))
    shutil.copyfile(ASSETS / "index.html", folder / "index.html")
    data = folder / "page" / "data"
    data.mkdir()
    parts: dict[str, object] = {"overview": overview(sizes), "people": people(sizes)}
    for run in range(sizes.runs):
        for block, (rows, about) in enumerate(_rows(run, sizes)):
            parts |= {f"rows-{run}-{block}": rows, f"about-{run}-{block}": about}
    for name, part in parts.items():
        (data / f"{name}.js").write_text(f"window.prefbench_receive({_text(name)}, {_text(part)});\n", "ascii")
    _write_sheets(folder / "page" / "pictures", sizes)
    return folder / "index.html"
