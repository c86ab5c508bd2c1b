"""Generated pages: one per metric, the tables of methods and metrics, the help of every verb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import click
import mkdocs_gen_files

from prefbench.api import MethodCard, MetricCard
from prefbench.cli.main import main
from prefbench.registry import load, names

_ARROWS = {"up": "↑ more is better", "down": "↓ less is better"}
_UNITS = {"image": "per image", "set": "set-level", "user": "per user"}


def escaped(text: object) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def write(path: str, lines: Iterator[str] | list[str]) -> None:
    """Writes a generated page."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write("\n".join(lines) + "\n")


def metric_page(name: str, card: MetricCard, docstring: str) -> list[str]:
    """What a metric's card and its class say."""
    rows = {
        "measures": card.summary,
        "question": card.question,
        "unit": _UNITS[card.unit],
        "direction": _ARROWS[card.direction],
        "recipe": f"`{card.recipe}`",
        "version": card.version,
        "bounds": " to ".join("unbounded" if bound is None else f"{bound:g}" for bound in card.bounds),
        "source": card.source or "ours",
        "needs the known truth": "yes" if card.asks_truth else "no",
        "controls that can win it (†)": ", ".join(card.won_by) or "none known",
        "columns without a direction": ", ".join(f"`{column}`" for column in card.undirected) or "none",
    }
    table = [f"| {title} | {escaped(value)} |" for title, value in rows.items()]
    paragraphs = [line.strip() for line in docstring.split("\n")]
    return [f"# {name}", "", *paragraphs, "", "| | |", "| --- | --- |", *table]


def metrics() -> None:
    """A page per registered metric and the table of all of them."""
    rows = []
    for name in names("metric"):
        metric = load("metric", name)
        card = getattr(metric, "card", None)
        if not isinstance(card, MetricCard):
            rows.append(f"| `{name}:NAME` | {escaped((metric.__doc__ or '').splitlines()[0])} | | |")
            continue
        write(f"metrics/{name}.md", metric_page(name, card, metric.__doc__ or ""))
        rows.append(f"| [`{name}`]({name}.md) | {escaped(card.summary)} | {card.question} | {_UNITS[card.unit]} |")
    write("metrics/index.md", ["# Metrics", "", "| metric | measures | question | unit |", "| --- | --- | --- | --- |", *rows])


def method_row(name: str, card: MethodCard) -> str:
    """A method in the table of methods."""
    kind = "attack" if card.attack else "control" if card.control else "method"
    inputs = [f.name.removeprefix("uses_") for f in fields(card) if f.name.startswith("uses_") and getattr(card, f.name)]
    return f"| `{name}` | {kind} | {escaped(card.summary)} | {', '.join(inputs)} | {card.training} | {card.paper or ''} |"


def methods() -> None:
    """Every registered method by its card."""
    rows = [method_row(name, load("method", name).card) for name in names("method")]
    head = ["# Methods and controls", "", "| name | kind | what it does | reads | training | paper |", "| --- " * 6 + "|"]
    controls = [f"- `--control {name}`: {(load('control', name).__doc__ or '').splitlines()[0]}" for name in names("control")]
    write("methods.md", [*head, *rows, "", "Any method can be run under a control:", "", *controls])


def commands() -> None:
    """The help text of every verb."""
    lines = ["# Command line", "", "Generated from the commands themselves; `prefbench VERB --help` prints the same.", ""]
    context = click.Context(main, info_name="prefbench")
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=name, parent=context))
        lines += [f"## {name}", "", "```text", text, "```", ""]
    write("commands.md", lines)


metrics()
methods()
commands()
