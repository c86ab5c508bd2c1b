"""The files of a paper as LaTeX sets them: hostile names are text, every table is within its width."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from prefbench.api import ReportContext
from prefbench.reports.paper.folder import INCHES, Width, write_tables
from prefbench.reports.paper.layout import POINTS
from prefbench.reports.paper.report import Paper
from prefbench.reports.paper.typeset import PREAMBLE
from tests.support.latex import all_of, compiled, needs_latex, widths
from tests.support.toy_runs import HISTORIES, build

pytestmark = [needs_latex, pytest.mark.slow]
CONTEXT = ReportContext(lambda: HISTORIES)
HOSTILE = r"50%&_#$ \input{/etc/passwd} ~^ é 猫 [2cm] <b> ``--'' \end{table}"
FONTS = {"Computer Modern": "", "Times": r"\usepackage{times}"}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """The folder of a paper whose method, users, kinds and prompts are hostile."""
    users = {f"{HOSTILE} {i}": 0.1 * i for i in range(3)}
    kinds = {user: f"{HOSTILE} kind {i % 2}" for i, user in enumerate(users)}
    runs = [
        build(
            tmp_path / name, name, {user: value + shift for user, value in users.items()}, present=tuple(users),
            method_name=shown, prompts={one: f"{HOSTILE} {one}" for one in ("a cat", "a dog")},
            description={"kinds": kinds},
        )
        for name, shown, shift in (("ours", HOSTILE, 0.2), ("prompt-only", "prompt-only", 0.0))
    ]  # fmt: skip
    paper = Paper(metrics=("utility", "fid"))
    paper.write(paper.measure(runs, CONTEXT), tmp_path / "paper")
    return tmp_path / "paper"


def test_hostile_names_compile_and_show_as_text(hostile: Path) -> None:
    log = compiled(hostile, all_of(hostile))
    assert "/etc/passwd" not in "".join(re.findall(r"\(([^()\s]+)", log)), "no file of that name is opened"
    assert "Overfull" not in log
    if shutil.which("pdftotext"):
        done = subprocess.run(["pdftotext", "-raw", "test.pdf", "-"], cwd=hostile, capture_output=True, check=True)
        text = re.sub(r"\s+", "", done.stdout.decode())
        assert r"50%&_#$\input{/etc/passwd}" in text
        assert "root:x:" not in text
        assert "[U+732B]" in text


@pytest.mark.parametrize("fonts", FONTS)
@pytest.mark.parametrize("width", ["column", "text"])
def test_every_committed_table_is_within_its_width(tmp_path: Path, width: Width, fonts: str) -> None:
    for metrics in (
        (),
        ("utility",),
        ("gap-closed", "utility", "preference", "prompt-fidelity", "clip-score", "fid", "kid"),
    ):
        folder = tmp_path / str(len(metrics))
        result = Paper(metrics=metrics, width=width).measure([], CONTEXT)
        write_tables(result.material, result.choices, folder)
        for name, text in (("preamble", PREAMBLE), ("macros", "")):
            (folder / f"{name}.tex").write_text(text)
        measured = widths(folder, fonts=FONTS[fonts])
        assert measured.keys() == {path.stem for path in folder.glob("table-*.tex")}
        assert {name for name, points in measured.items() if points > INCHES[width] * POINTS} == set()
        log = compiled(folder, all_of(folder), fonts=FONTS[fonts])
        assert not re.findall(r"Overfull \\hbox.*", log)
        assert "Float too large" not in log


def test_hostile_tables_are_within_their_width(hostile: Path) -> None:
    assert {name for name, points in widths(hostile).items() if points > INCHES["text"] * POINTS} == set()
