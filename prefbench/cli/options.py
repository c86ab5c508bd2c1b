"""Options and small words that several verbs share."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from prefbench.files import json_text


def _reserve(context: click.Context, _: click.Parameter, wanted: bool) -> bool:
    if wanted:
        context.meta[_OUTPUT] = context.with_resource(_reserved_output())
    return wanted


@contextmanager
def _reserved_output() -> Iterator[IO[str]]:
    """Standard output for JSON alone: whatever else this process or C code writes there goes to standard error."""
    stream, own = sys.stdout, None
    stream.flush()
    if stream is sys.__stdout__:  # not a stream in memory, as tests and notebooks have
        own = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115, PTH123
        try:
            os.dup2(2, 1)
        except OSError:  # standard error is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = sys.stderr
    try:
        yield own or stream
    finally:
        # Threads and exit handlers that plug-ins left may still write: a process's own output stays reserved.
        if own is None:
            sys.stdout = stream
        else:
            own.close()


_OUTPUT = "prefbench.output"
as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_reserve, help="Print JSON and nothing else on standard output."
)


def print_json(content: Any, default: Callable[[Any], Any] | None = None) -> None:
    """The one output of a command with `--json`."""
    output: IO[str] = click.get_current_context().meta[_OUTPUT]
    output.write(json_text(content, default) + "\n")
    output.flush()


metrics = click.option(
    "--metrics",
    help="Comma-separated names, also path/to/file.py:Class and torchmetrics:NAME; default: the suite's.",
)

every_column = click.option("--all", "full", is_flag=True, help="Print every column, not the headline metrics alone.")


def command_line() -> str:
    """The command as it was typed, to be copied into a shell."""
    return shlex.join(["prefbench", *sys.argv[1:]])


def command_for_method(place: int) -> str:
    """The command for one of several methods, by its place among them: what repeats that run alone, and whole."""
    words, seen = list[str](), -1
    arguments = iter(sys.argv[1:])
    for word in arguments:
        if word == "--shard" or word.startswith("--shard="):
            _ = next(arguments, "") if word == "--shard" else ""
            continue
        if word != "--method" and not word.startswith("--method="):
            words.append(word)
            continue
        named, seen = [word] if "=" in word else [word, next(arguments, "")], seen + 1
        words += named if seen == place else []
    return shlex.join(["prefbench", *words])


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
