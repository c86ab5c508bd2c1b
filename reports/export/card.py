"""The page that goes with the rows: what ran, the headline table with its marks, what is worst. As Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import counted

from ..shared.escape import code_block, markdown
from ..shared.grid import to_markdown
from .rows import Export, Plain, RunRows


def page(export: Export) -> str:
    """The whole page; everything from outside is escaped."""
    title = markdown(f"{export.suite} {export.split}: {', '.join(run.label for run in export.runs)}")
    return "\n".join(
        [
            f"# {title}",
            "",
            "Pictures drawn for people by methods that saw what each of them likes and dislikes, scored by prefbench.",
            "",
            "## Results",
            "",
            to_markdown(export.table),
            *worst(export),
            "## What ran",
            "",
            *[line for run in export.runs for line in ran(run)],
        ]
    )


def worst(export: Export) -> list[str]:
    """What somebody should look at before any number, run by run, as Markdown lines."""
    lines = ["## What is worst", ""]
    lines += [f"- {markdown(f'{run.label}: {line}', 600)}" for run in export.runs for line in run.worst]
    lines += [f"- {markdown(line)}" for line in left_out(export)]
    return [*lines, ""]


def left_out(export: Export) -> Sequence[str]:
    """How many pictures of each run are not handed over; empty where all are."""
    return [
        f"{run.label}: {counted(run.left_out, 'picture')} of {run.drawn:,} left out; -p pictures={run.drawn} takes all"
        for run in export.runs
        if run.left_out
    ]


def ran(run: RunRows) -> list[str]:
    """One run's command, settings and versions."""
    settings = [f"| {markdown(name)} | {markdown(_shown(value))} |" for name, value in run.settings.items()]
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return [
        f"### {markdown(run.label)}",
        "",
        code_block(run.command),
        "",
        "| | |",
        "| --- | --- |",
        f"| part | {'control' if run.is_control else 'method'} |",
        f"| samples | {counts(run)} |",
        *settings,
        f"| commit | {markdown(run.commit or 'unknown')} |",
        f"| versions | {markdown(versions)} |",
        "",
    ]


def _shown(value: Plain) -> str:
    return "none" if value is None else str(value)


def counts(run: RunRows) -> str:
    """Samples of a run in words: how many there are, failed, and were not drawn."""
    undrawn = f", {run.undrawn:,} not drawn yet" if run.undrawn else ""
    return f"{counted(run.drawn + run.failed, 'sample')}, {run.failed:,} failed{undrawn}"
