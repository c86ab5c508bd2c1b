"""A paper of two pages from the committed results: tables, figures and every number of its text.

    make paper        # or: python examples/paper/make.py, then examples/paper/build/paper.pdf

It needs pdflatex (Debian: texlive-latex-recommended, texlive-latex-extra, texlive-science,
texlive-fonts-recommended); `--no-pdf` writes the tables and figures alone.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click

import prefbench
from prefbench.api import PrefbenchError

HERE = Path(__file__).parent
METRICS = ("utility", "preference", "prompt-fidelity", "fid")
"""The columns of its tables."""
WIDTHS = ("text", "column")
_TWICE = 2
"""References are known in the second pass."""


def write_material(build: Path) -> list[Path]:
    """Tables, figures and macros in `build/text` and `build/column`, for both widths of the page."""
    made = []
    for width in WIDTHS:
        report = prefbench.report((), "paper", metrics=METRICS, width=width, label="tab:main")
        made += list(report.write(build / width))
    return made


def compile_paper(build: Path) -> Path:
    """`paper.pdf` in `build`, which holds the material already.

    Raises:
        PrefbenchError: no pdflatex is here, or it stops; the log has its words.
    """
    if shutil.which("pdflatex") is None:
        raise PrefbenchError("pdflatex is not here: install TeX Live, or give --no-pdf")
    shutil.copyfile(HERE / "paper.tex", build / "paper.tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    for _ in range(_TWICE):
        done = subprocess.run(command, cwd=build, capture_output=True, check=False)
        if done.returncode:
            raise PrefbenchError(f"pdflatex stopped: see {build / 'paper.log'}")
    return build / "paper.pdf"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "build", help="Default: build/ here.")
@click.option("--no-pdf", is_flag=True, help="Tables and figures alone.")
def main(out: Path, no_pdf: bool) -> None:
    """Writes the material of the paper, then compiles it."""
    try:
        write_material(out)
        click.echo(out if no_pdf else compile_paper(out))
    except PrefbenchError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
