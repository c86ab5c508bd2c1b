"""A training's loss over what it has seen, drawn from the `loss.csv` that the loop writes."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure


def draw_curve(table: Path, path: Path, *, title: str) -> None:
    """Draws `table` as a PNG in `path`: the loss, a mean since the row before, over thousands of samples seen."""
    rows = pd.read_csv(table)
    with matplotlib.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.2, 2.4), layout="constrained")
        axes = figure.subplots()
        axes.plot(rows["images"] / 1000, rows["loss"], color="#3b6ea5", linewidth=1.2)
        axes.set(xlabel="thousand samples seen", ylabel="loss", title=title)
        axes.grid(alpha=0.25)
        figure.savefig(path, dpi=200)
