"""Options and small words that several verbs share."""

from __future__ import annotations

import shlex
import sys

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else on standard output.")
metrics = click.option(
    "--metrics",
    help="Comma-separated names, also path/to/file.py:Class and torchmetrics:NAME; default: the suite's.",
)


def command_line() -> str:
    """The command as it was typed, to be copied into a shell."""
    return shlex.join(["prefbench", *sys.argv[1:]])


def names_in(text: str | None) -> list[str]:
    """Names from a comma-separated option; a comma within parentheses belongs to its name.

    Example:
        >>> names_in("fid, family:one(size=7,weights=(0.5,0.5))")
        ['fid', 'family:one(size=7,weights=(0.5,0.5))']
    """
    names, depth = [""], 0
    for letter in text or "":
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    return [name.strip() for name in names if name.strip()]
