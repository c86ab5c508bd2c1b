"""Small runs by methods that leave marks where they work: what the tests of all engines draw and compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefbench.run.folder import RunFolder

HERE = Path(__file__).parent
SUITE = f"{HERE / 'tiny_suite.py'}:TinySuite"
METHODS = HERE / "ending.py"
SCORED = ("utility", "clip-score", "preference", "fid")
SAMPLES = 12
"""Of three users, four each: batches of three cross users."""


def marked(folder: Path, **others: object) -> dict[str, Any]:
    """Parameters of a method that leaves marks in a folder, which is made."""
    folder.mkdir()
    return {"parameters": {"marks": str(folder), **others}}


def rows(path: Path) -> Mapping[tuple[str, int], Any]:
    """Who was drawn what, without keys, which hold where marks are left, and without costs."""
    samples = RunFolder(path).samples().values()
    return {(s.case, s.index): {n: v for n, v in asdict(s).items() if n not in ("key", "seconds")} for s in samples}
