"""`prefbench list`: what is registered."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import click

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.cli.described import described
from prefbench.cli.options import as_json, print_json
from prefbench.registry import Entry, Kind, entry, families, names


@click.command(name="list")
@click.argument("kind", required=False)
@click.option("--paths", is_flag=True, help="Where each is defined, as file:line.")
@as_json
def list_(kind: str | None, paths: bool, as_json: bool) -> None:
    """List what is registered: methods, metrics, reports, scorers, suites, backbones, extractors, trainers, ..."""
    from prefbench.cli.plain import print_table

    kinds = kinds_in(kind)
    entries = [entry(one, name) for one in kinds for name in names(one)]
    if kind is not None:
        entries += [replace(family, name=f"{name}:NAME") for name, family in families(kinds[0]).items()]
    rows = [_row(one, paths=paths) for one in entries]
    if as_json:
        print_json(rows)
    elif paths:
        print_table(["kind", "name", "defined at"], [[row["kind"], row["name"], row["path"]] for row in rows])
    else:
        shown = ("kind", "name", "group", "summary")
        print_table(shown, [[row[column] for column in shown] for row in _grouped(rows)])


def _row(registered: Entry, *, paths: bool) -> dict[str, str]:
    where = {"path": location(registered)} if paths else {"object": registered.target}
    return {"kind": registered.kind, "name": registered.name, **vars(described(registered)), **where}


def _grouped(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The same rows, those of one kind and group together: groups in the order in which they first occur."""
    order = list(dict.fromkeys((row["kind"], row["group"]) for row in rows))
    return sorted(rows, key=lambda row: order.index((row["kind"], row["group"])))


def kinds_in(text: str | None) -> list[Kind]:
    """The kind of a word in either number, all kinds for None. Raises `PrefbenchError` with the nearest match."""
    allowed: tuple[Kind, ...] = get_args(Kind)
    if text is None:
        return list(allowed)
    kinds = [kind for kind in allowed if text in (kind, plural(kind))]
    if not kinds:
        raise PrefbenchError(unknown("kind", text, [plural(kind) for kind in allowed]))
    return kinds


def plural(kind: Kind) -> str:
    """The kind as a heading names it: `metrics`, `metric_families`, `weights`."""
    return kind if kind.endswith("s") else f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def location(registered: Entry) -> str:
    """`file:line` of the class or function, or of the line that assigns the object."""
    target = registered.load()
    if inspect.isclass(target) or inspect.isfunction(target):
        return f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    module_name, _, attribute = registered.target.rpartition(":")
    module = sys.modules[module_name]
    lines = inspect.getsource(module).splitlines()
    assigned = (i for i, line in enumerate(lines, start=1) if re.match(rf"{attribute}\s*[:=]", line))
    return f"{inspect.getsourcefile(module)}:{next(assigned, 1)}"
