"""A table of plain values: what is registered, a card, the state of an installation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefbench.api import printable


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of plain values; tab-separated lines without headings where nobody looks on."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(printable(_as_text(cell)) for cell in row))
        return
    table = Table(*headings)
    for row in rows:
        table.add_row(*(Text(printable(_as_text(cell))) for cell in row))
    console.print(table)


def _as_text(cell: Any) -> str:
    return json.dumps(cell, default=str) if isinstance(cell, dict | list | tuple) else str(cell)
