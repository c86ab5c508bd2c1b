"""Options and small words that several verbs share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else on standard output.")
run_folders = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
metrics = click.option("--metrics", help="Comma-separated; default: the suite's.")
suite_of_file = click.option(
    "--suite", help="The suite, where it is a file's class: a run folder alone never makes prefbench load code."
)
baseline = click.option("--baseline", help="The method that differences are to; default: the report's.")


def given(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; the others stay at the defaults of what they are handed to."""
    return {name: value for name, value in choices.items() if value is not None}


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
