"""Plug-ins that misbehave, written as files, and the real command that is run on them in this process."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from prefbench.cli.main import main
from prefbench.run.folder import RunFolder

SUITE = f"{Path(__file__).parent / 'tiny_suite.py'}:TinySuite"
HEAD = """
import atexit, builtins, ctypes, logging, os, signal, sys, threading, time, warnings
import numpy as np
import torch
from PIL import Image
from prefbench.api import *

def painted(requests):
    return [Drawing(Image.new("RGB", (8, 8), (r.seed % 251, r.index, 7)), r.prompt) for r in requests]

class Silent(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class Good(Method):
    card = MethodCard("bad", "1", "draws")
    def generate(self, requests):
        return painted(requests)

class Redness(ImageMetric):
    card = MetricCard("redness", "1", "share of red", "side", "up", "image", "mean")
    def score(self, drawn):
        return {"redness": [float(s.pixels[..., 0].mean() / 255) for s in drawn.samples]}
"""


def write(folder: Path, body: str, name: str = "bad.py") -> Path:
    path = folder / name
    path.write_text(HEAD + textwrap.dedent(body))
    return path


def method_of(deed: str, body: str) -> str:
    """A method `Bad`; what it does in `generate` it does from the second batch on."""
    lines = textwrap.indent(textwrap.dedent(body), " " * 8)
    if deed == "generate":
        first = "        if not vars(self).setdefault('batches', []):\n"
        first += "            self.batches.append(requests)\n            return painted(requests)\n"
        return f"class Bad(Good):\n    def generate(self, requests):\n{first}{lines}\n"
    arguments = {"__init__": "self", "setup": "self, context", "profile": "self, history"}[deed]
    return f"class Bad(Good):\n    def {deed}({arguments}):\n{lines}\n"


def arguments_of_run(method: Path | str, backbone: Path, out: Path | str, *more: str) -> list[str]:
    named = method if isinstance(method, str) else f"{method}:Bad"
    options = {"--method": named, "--suite": SUITE, "--backbone": backbone, "--device": "cpu", "--steps": 1}
    given = [str(word) for pair in options.items() for word in pair]
    return ["run", *given, "--samples", "2", "--batch", "2", "--out", str(out), *more]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def check_clean(done: Result) -> None:
    """No traceback, and standard output that is JSON or nothing."""
    assert isinstance(done.exception, SystemExit | None), repr(done.exception)
    assert "Traceback" not in done.output
    if done.stdout.strip():
        json.loads(done.stdout)


def rows_in(out: Path) -> list[dict[str, Any]]:
    """The rows of samples of the one run in a folder."""
    folders = [path.parent for path in out.glob("*/run.json")]
    return [asdict(s) for folder in folders for s in RunFolder(folder).samples().values()]


def statuses(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    states = [row["status"] for row in rows]
    return {state: states.count(state) for state in dict.fromkeys(states)}
