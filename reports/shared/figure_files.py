"""Figures as files: PNG and PDF, the same numbers giving the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from prefbench.files import atomic_file


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Writes `<stem>.png` and `<stem>.pdf` without dates, so that the same numbers give the same file.

    By the canvases themselves: `savefig` draws everything once more for each.
    """
    png, pdf = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf"))
    as_png: Any = FigureCanvasAgg(figure)
    with atomic_file(png) as temporary:
        as_png.print_png(temporary, metadata={"Software": None})
    as_pdf: Any = FigureCanvasPdf(figure)
    with atomic_file(pdf) as temporary:
        as_pdf.print_pdf(temporary, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return [png, pdf]
