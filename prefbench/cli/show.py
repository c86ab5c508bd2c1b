"""`prefbench show`: a run folder or a card."""

from __future__ import annotations

import inspect
import json
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import click

from prefbench.api import PrefbenchError
from prefbench.cli.list import kinds_in
from prefbench.cli.options import as_json, print_json


@click.command()
@click.argument("what")
@click.argument("name", required=False)
@click.option("--measure", metavar="SUITE", help="Measure a scorer on the suite's test users and keep its figures.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw a scorer's reliability as PNG.")
@as_json
def show(what: str, name: str | None, measure: str | None, plot: Path | None, as_json: bool) -> None:
    """Show a run folder, or a card with its parameters: `show method NAME`, `show weights NAME`, ..."""
    from prefbench.cli.plain import print_table

    if what in ("scorer", "scorers") and name is not None:
        _show_scorer(name, measure, plot, as_json=as_json)
        return
    if measure is not None or plot is not None:
        raise PrefbenchError(f"--measure and --plot are for a scorer: prefbench show scorer NAME, not {what}")
    content = _run(Path(what)) if name is None else _card(what, name)
    if as_json:
        print_json(content, default=str)
        return
    parameters = content.pop("parameters", []) if name is not None else []
    print_table(["field", "value"], [[field, value] for field, value in content.items()])
    if parameters:
        columns = ("name", "type", "default", "meaning")
        print_table(["-p", *columns[1:]], [[row[column] for column in columns] for row in parameters])


def _run(path: Path) -> dict[str, Any]:
    """The description of a run folder, and how far it is."""
    from prefbench.run.folder import RunFolder

    folder = RunFolder(path)
    return {
        **folder.read_description(),
        "drawn": sum(sample.image is not None for sample in folder.samples().values()),
        "scored": folder.scored(),
    }


def _card(what: str, name: str) -> dict[str, Any]:
    from prefbench.api.pictures import RULE
    from prefbench.cli.parameter_rows import parameter_rows
    from prefbench.registry import CONTRACTS, entry, load

    (kind,) = kinds_in(what)
    if kind == "weights":
        return _weights(name)
    loaded = load(kind, name)
    takes = loaded.read if kind == "converter" else loaded if kind in CONTRACTS or kind == "trainer" else None
    parameters = {} if takes is None else {"parameters": parameter_rows(takes)}
    card = getattr(loaded, "card", loaded)
    if not is_dataclass(card) or isinstance(card, type):
        about = {
            "name": name,
            "object": entry(kind, name).target,
            "summary": (inspect.getdoc(loaded) or "").partition("\n\n")[0],
        }
        return about | parameters
    seen = {"pictures": RULE} if kind in ("suite", "method", "metric") else {}
    return asdict(card) | seen | ({"encoder": _encoder(loaded())} if kind == "metric" else {}) | parameters


def _weights(name: str) -> dict[str, Any]:
    """The card that lies beside shipped weights: data, training, figures, and the command that made them."""
    from prefbench.files import WEIGHTS, read_plain
    from prefbench.registry import check_name

    check_name("weights", name)
    if not (WEIGHTS / name / "card.json").is_file():
        raise PrefbenchError(
            f"the weights {name} lie beside no card.json: prefbench check weights {name} measures them"
        )
    card: dict[str, Any] = json.loads(read_plain(WEIGHTS / name / "card.json"))
    return card


def _encoder(metric: Any) -> str:
    """What a metric looks at pictures through: the extractor that each suite names for it, a scorer's encoders."""
    from prefbench.registry import load, names

    scorer, role = getattr(metric, "scorer", None), metric.extractor
    suites = {suite: load("suite", suite).card.extractors.get(role) for suite in names("suite")} if role else {}
    given = [f"{name} on {suite}" for suite, name in suites.items() if name]
    parts = [f"the suite's extractor for {role} ({', '.join(given) or 'no suite names one'})"] if role else []
    parts += [*([metric.mllm] if getattr(metric, "mllm", None) else []), *(scorer.card.encoders if scorer else ())]
    return ", ".join(parts) or "none"


def _show_scorer(name: str, suite: str | None, plot: Path | None, *, as_json: bool) -> None:
    """A scorer's card with its figures; measured first on `suite` where that is named, drawn to `plot`."""
    import prefbench
    from prefbench.cli.screen import Screen

    screen = Screen(quiet=as_json)
    with screen.status(f"measure {name} on {suite}") if suite else nullcontext():
        result = prefbench.report((), "scorer", suite=suite, scorer=name, measure=suite is not None)
    screen.grids(result.tables)
    if plot is not None:
        report: Any = result.report
        screen.written(report.draw(result.result, plot))
    if as_json:
        print_json(result.as_json())
