"""`prefbench convert`: data sets of people's judgments to folders that are suites."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the converter.")
@click.option("--accept-licence", is_flag=True, help="You have read the data set's licence and terms and keep to them.")
def convert(name: str, source: Path, folder: Path, parameters: tuple[str, ...], accept_licence: bool) -> None:
    """Convert a local copy of a data set, SOURCE, to a folder that is a suite. `prefbench list converters`."""
    from prefbench.api import counted
    from prefbench.api.guard import guarded, module_of
    from prefbench.cli.screen import Screen
    from prefbench.registry import load

    converter = load("converter", name)
    card, screen = converter.card, Screen()
    converter.check(source, licence_accepted=accept_licence)
    for field in ("name", "source", "licence", "terms", "people", "keeps", "drops"):
        if text := getattr(card, field):
            screen.line(f"{field:<10}{text}")
    with guarded(f"converter {name!r}", "reading", module=module_of(converter.read)):
        written = converter.convert(source, folder, parameters, licence_accepted=accept_licence)
    for why, n in written.left_out.items():
        screen.line(f"left out  {counted(n, 'judgment')}: {why}, such as {written.examples[why]}")
    screen.line(
        f"wrote     {counted(written.judgments, 'judgment')} of {counted(written.pictures, 'picture')} to {folder}"
    )
    if not written.prompts:
        screen.line(f"prompts   none: write what to draw for into {folder}/prompts.txt, one prompt a line")
    screen.line(f"next      prefbench check suite {folder}")
