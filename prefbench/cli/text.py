"""Lines for standard error that a terminal shows and does not obey, whatever they quote."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import click

from prefbench.api import printable

_LIMIT = 8000
"""Characters of one message at most."""


def tell(text: object) -> None:
    """One line on standard error."""
    click.echo(line_of(text), err=True)


def line_of(text: object) -> str:
    """A text in one printable line of bounded length."""
    line = printable(str(text).strip())
    return line if len(line) <= _LIMIT else f"{line[: _LIMIT - 1]}…"


def harmless_messages(*, debug: bool) -> None:
    """Log lines and warnings, which quote texts from outside, reach the terminal printable; tracebacks keep lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    warnings.formatwarning = _printable_warning


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), kept="\n")


_format_warning = warnings.formatwarning


def _printable_warning(*about: Any, **more: Any) -> str:
    return printable(_format_warning(*about, **more), kept="\n")
