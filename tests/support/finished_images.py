"""Finished images for a folder of judged pictures, as something else than prefbench drew them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefbench.run.given.coverage import Coverage
from prefbench.run.given.prepare import GivenRun
from prefbench.run.watch import Watch
from prefbench.score.given_images import read_given
from tests.support.judged_folders import picture, write_layout

USERS = ("ann", "ben", "cy")
PROMPTS = ("a red cat", "a blue dog", "a green house")
REDNESS = """
from prefbench.api import ImageMetric, MetricCard

class Redness(ImageMetric):
    card = MetricCard("redness", "1", "share of red", "side", "up", "image", "mean")

    def score(self, drawn):
        return {"redness": [float(s.pixels[..., 0].mean() / 255) for s in drawn.samples]}
"""


def write_drawn(folder: Path, users: Sequence[str] = USERS, *, samples: int = 2, first: int = 0) -> Path:
    """`<user>/<case>-<n>.png` for each user, case and sample, no two of them equal."""
    number = 10**6 + first
    for user in users:
        for case in range(len(PROMPTS)):
            for n in range(samples):
                path = folder / user / f"{case}-{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(number := number + 1).save(path)
    return folder


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], encoding: str = "utf-8") -> Path:
    """A CSV file of rows."""
    content = list(rows)
    columns = list(dict.fromkeys(name for row in content for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(content)
    return path


def all_rows(users: Sequence[str] = USERS) -> list[dict[str, Any]]:
    """A row for each image of `write_drawn`."""
    return [
        {"user": user, "prompt": prompt, "image": f"{user}/{case}-{n}.png", "sample": n}
        for user in users
        for case, prompt in enumerate(PROMPTS)
        for n in range(2)
    ]


def given(root: Path, images: Path, name: str | None = "mine", card: Path | None = None, **settings: Any) -> GivenRun:
    """The images of a path, for the suite in `mine/` of a folder, which is written where it is not there."""
    suite = root / "mine"
    if not suite.exists():
        write_layout(suite, USERS)
    chosen = {"suite": str(suite), "out": root / "runs", "command": "prefbench score --images", **settings}
    return read_given(chosen, images, name, card, Watch())


def counts(coverage: Coverage) -> dict[str, int]:
    """The numbers of a coverage table that are not 0."""
    content = coverage.as_json()
    sizes = {name: value if isinstance(value, int) else len(value) for name, value in content.items()}
    shown = ("expected", "found", "missing", "unreadable", "unused", "duplicate")
    return {name: sizes[name] for name in shown if sizes[name]}
