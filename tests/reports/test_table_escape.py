"""Hostile text in tables and pages."""

from __future__ import annotations

import re

import pytest

from prefbench.api import Grid, plain
from prefbench.cli.grids import show, to_text
from prefbench.reports.shared.escape import code_block, csv_cell, latex, markdown
from prefbench.reports.shared.grid import to_latex, to_markdown
from tests.support.toy_runs import HOSTILE


def test_hostile_text_is_harmless_everywhere() -> None:
    shown = markdown(HOSTILE)
    assert not re.search(r"(?<!\\)[|`*\[\]]|[<>\x1b\n@]|://", shown)
    assert markdown("#1 @a &#64;") == r"\#1 &#64;a &amp;\#64;"
    assert plain("a\u202eb\x1b[0m") == "a�b�[0m"
    assert csv_cell("=cmd()") == "'=cmd()"
    assert csv_cell(" -2+3") == "'-2+3"
    assert csv_cell(-1.5) == -1.5
    assert latex(r"50%_\x{}") == r"50\%\_\textbackslash{}x\{\}"
    assert code_block("a ``` b").splitlines() == ["````", "a ``` b", "````"]


def test_hostile_cells_stay_in_their_cells(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid("t", ("method", "n"), [[(HOSTILE, "1")]], [HOSTILE])
    cells = re.split(r"(?<!\\)\|", to_markdown(grid).splitlines()[2])
    assert len(cells) == 4
    assert "[red]bold[/red]" in to_text(grid)
    assert "\x1b" not in to_text(grid)
    assert to_latex(grid).count("&") == 2
    show([grid])
    assert capsys.readouterr().out == to_text(grid)
