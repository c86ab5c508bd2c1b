"""`prefbench show`: a run folder or a card."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import click

from prefbench.api import PrefbenchError, Scorer
from prefbench.cli.options import as_json, kinds_in


@click.command()
@click.argument("what")
@click.argument("name", required=False)
@click.option("--measure", metavar="SUITE", help="Measure a scorer on the suite's test users and keep its figures.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw a scorer's reliability as PNG.")
@as_json
def show(what: str, name: str | None, measure: str | None, plot: Path | None, as_json: bool) -> None:
    """Show a run folder, or the card of a method, metric, scorer, suite or backbone: `show method NAME`."""
    from prefbench.cli.screen import print_table

    if what in ("scorer", "scorers") and name is not None:
        _show_scorer(name, measure, plot, as_json=as_json)
        return
    if measure is not None or plot is not None:
        raise PrefbenchError(f"--measure and --plot are for a scorer: prefbench show scorer NAME, not {what}")
    content = _run(Path(what)) if name is None else _card(what, name)
    if as_json:
        click.echo(json.dumps(content, indent=1, default=str))
    else:
        print_table(["field", "value"], [[field, value] for field, value in content.items()])


def _run(path: Path) -> dict[str, Any]:
    """What a run folder says of itself, and how far it is."""
    from prefbench.run.folder import RunFolder

    folder = RunFolder(path)
    return {**folder.read_description(), "drawn": len(folder.finished()), "scored": folder.scored()}


def _card(what: str, name: str) -> dict[str, Any]:
    from prefbench.registry import entry, load

    (kind,) = kinds_in(what)
    loaded = load(kind, name)
    card = getattr(loaded, "card", loaded)
    if not is_dataclass(card) or isinstance(card, type):
        return {"name": name, "object": entry(kind, name).target, "summary": (loaded.__doc__ or "").strip()}
    return asdict(card)


def _show_scorer(name: str, suite: str | None, plot: Path | None, *, as_json: bool) -> None:
    """A scorer's card with its figures; measured first on `suite` where that is named, drawn to `plot`."""
    from prefbench.cli.screen import Screen
    from prefbench.registry import load
    from prefbench.reports.scorer.card import FIGURES, draw_reliability, scorer_grid
    from prefbench.score import scorer_figures, standing

    screen = Screen(quiet=as_json)
    scorer: Scorer = load("scorer", name)()
    if suite is not None:
        with screen.status(f"measure {name} on {suite}"):
            standing.keep(scorer, scorer_figures.measure(scorer, load("suite", suite)()))
    figures, note = None, ""
    try:
        figures = standing.latest(scorer)
    except PrefbenchError as error:  # without weights there is still a card
        note = str(error)
    if figures is None and not note:
        note = f"not measured here: prefbench show scorer {name} --measure SUITE"
    content = {**asdict(scorer.card), **dict.fromkeys(FIGURES), "admitted": False, **(figures or {})}
    screen.grids([scorer_grid(content, note)])
    if plot is not None:
        screen.written(draw_reliability(content, plot))
    if as_json:
        click.echo(json.dumps(content, indent=1))
