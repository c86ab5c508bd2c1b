"""`prefbench list`: what is registered."""

from __future__ import annotations

import json
from dataclasses import replace

import click

from prefbench.cli.options import as_json, kinds_in


@click.command(name="list")
@click.argument("kind", required=False)
@click.option("--paths", is_flag=True, help="Where each is defined, as file:line.")
@as_json
def list_(kind: str | None, paths: bool, as_json: bool) -> None:
    """List what is registered: methods, metrics, reports, scorers, suites, backbones, extractors, trainers, ..."""
    from prefbench.cli.screen import print_table
    from prefbench.registry import entry, families, names

    kinds = kinds_in(kind)
    entries = [entry(one, name) for one in kinds for name in names(one)]
    if kind is not None:
        entries += [replace(family, name=f"{name}:NAME") for name, family in families(kinds[0]).items()]
    column = "path" if paths else "object"
    rows = [{"kind": e.kind, "name": e.name, column: e.location() if paths else e.target} for e in entries]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        print_table(["kind", "name", "defined at" if paths else "object"], [list(row.values()) for row in rows])
