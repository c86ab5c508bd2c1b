"""Generated pages: one per metric, the tables of methods and metrics, the help of every verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import click
import mkdocs_gen_files

from prefbench.api import MethodCard, Metric, MetricCard
from prefbench.cli.main import main
from prefbench.registry import default, load, names

_ARROWS = {"up": "↑ more is better", "down": "↓ less is better"}
_UNITS = {"image": "per image", "set": "set-level", "user": "per user"}


def cell(text: object) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [headings, ["---"] * len(headings), *([cell(value) for value in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def write(path: str, lines: Sequence[str]) -> None:
    """Writes a generated page."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write("\n".join(lines) + "\n")


def first_line(documented: object) -> str:
    """The first line of an object's docstring."""
    return (documented.__doc__ or "").strip().partition("\n")[0]


def features_of(metric: type[Metric]) -> str:
    """The role of the extractor that a metric reads, and who fills it on the default suite."""
    role = metric.extractor
    if role is None:
        return "none: it reads pixels, prompts or the truth"
    filled = load("suite", default("suite")).card.extractors.get(role)
    return f"role `{role}`: " + (f"`{filled}` on {default('suite')}" if filled else f"none on {default('suite')}")


def metric_page(name: str, metric: type[Metric]) -> list[str]:
    """What a metric's class and card say."""
    card = metric.card
    facts = {
        "measures": card.summary,
        "question": card.question,
        "unit": _UNITS[card.unit],
        "direction": _ARROWS[card.direction],
        "features": features_of(metric),
        "recipe": f"`{card.recipe}`",
        "version": card.version,
        "bounds": " to ".join("unbounded" if bound is None else f"{bound:g}" for bound in card.bounds),
        "source": card.source or "ours",
        "needs the known truth": "yes" if card.asks_truth else "no",
        "controls that can win it (†)": ", ".join(card.won_by) or "none known",
        "columns without a direction": ", ".join(f"`{column}`" for column in card.undirected) or "none",
    }
    paragraphs = [line.strip() for line in (metric.__doc__ or "").split("\n")]
    return [f"# {name}", "", *paragraphs, "", *table(["field", "value"], list(facts.items()))]


def metrics() -> None:
    """A page per registered metric and the table of all of them."""
    rows = []
    for name in names("metric"):
        metric = load("metric", name)
        card: MetricCard = metric.card
        write(f"metrics/{name}.md", metric_page(name, metric))
        rows.append([f"[`{name}`]({name}.md)", card.summary, card.question, _UNITS[card.unit]])
    rows.append(["[`torchmetrics:NAME`](../torchmetrics.md)", "what torchmetrics' image metrics measure", "", ""])
    write("metrics/index.md", ["# Metrics", "", *table(["metric", "measures", "question", "unit"], rows)])


def method_row(name: str, card: MethodCard) -> list[str]:
    """A method in the table of methods."""
    kind = "attack" if card.attack else "control" if card.control else "method"
    used = [field.name for field in fields(card) if field.name.startswith("uses_") and getattr(card, field.name)]
    reads = ", ".join(name.removeprefix("uses_") for name in used)
    return [f"`{name}`", kind, card.summary, reads, card.training, card.paper or ""]


def methods() -> None:
    """Every registered method by its card, and the controls that wrap any of them."""
    rows = [method_row(name, load("method", name).card) for name in names("method")]
    controls = [f"- `--control {name}`: {first_line(load('control', name))}" for name in names("control")]
    lines = table(["name", "kind", "what it does", "reads", "training", "paper"], rows)
    write("methods.md", ["# Methods and controls", "", *lines, "", "Any method runs under a control:", "", *controls])


def commands() -> None:
    """The help text of every verb."""
    lines = ["# Command line", "", "What `prefbench VERB --help` prints.", ""]
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
