"""Probing over layers: the table that stands beside trained weights, as curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.files import WEIGHTS, read_plain

from .material import Curve, Curves, Panel, Point

FILE = "probing.csv"
_BYTES = 2**20
_TASKS = {
    "verification": "same user, or another",
    "retrieval@10": "the user among ten",
    "liking-accuracy": "liked, or not",
}
"""What is shown of the table, with what the probe is asked."""


def probing_curves(weights: Mapping[str, Sequence[str]]) -> tuple[list[Curves], list[str]]:
    """The curves of the first weights that a table of probing stands beside, or one line that there is none.

    Args:
        weights: by the label of a run, its folders of weights; a name is one of the shipped ones.

    Raises:
        PrefbenchError: a table that cannot be read.
    """
    for label, folders in weights.items():
        for folder in folders:
            shipped = "/" not in folder and (WEIGHTS / folder).is_dir()
            path = (WEIGHTS / folder if shipped else Path(folder)) / FILE
            if path.is_file():
                return [curves_of(path, label)], []
    return [], [f"probing: no {FILE} stands beside the weights of these methods"]


def curves_of(path: Path, label: str) -> Curves:
    """One panel for each task, one curve for each pooling, and what content alone says.

    Raises:
        PrefbenchError: a table that cannot be read.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_plain(path, _BYTES).decode())))
        panels = [_panel(title, [row for row in rows if row["task"] == task]) for task, title in _TASKS.items()]
        users = max(int(row["n"]) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise PrefbenchError(f"{path} is no table of probing ({type(error).__name__}: {error})") from None
    caption = (
        f"Linear probes of the states behind {label}, layer by layer, over {users} held-out users; bars are 95 % "
        "intervals, dashed is the same probe on the content of the pictures alone."
    )
    return Curves("probing", "layer", "value", [panel for panel in panels if panel.curves], caption)


def _panel(title: str, rows: Sequence[Mapping[str, str]]) -> Panel:
    poolings = dict.fromkeys(row["pooling"] for row in rows)
    curves = [
        Curve(f"{pooling} state", [_point(row) for row in rows if row["pooling"] == pooling]) for pooling in poolings
    ]
    floors = {float(row["floor"]) for row in rows if row.get("floor")}
    return Panel(title, curves, level=floors.pop() if len(floors) == 1 else None)


def _point(row: Mapping[str, str]) -> Point:
    low, high = (float(row[end]) if row[end] else None for end in ("low", "high"))
    return Point(float(row["layer"]), float(row["value"]), low, high)
