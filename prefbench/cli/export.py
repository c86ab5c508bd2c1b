"""`prefbench export`: what to draw, for methods that run elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from prefbench.api import PrefbenchError
from prefbench.registry import default

_WHAT = ("cases",)


@click.command()
@click.argument("what")
@click.argument("suite", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="train, scorer, val, test or shifted.")
@click.option("--users", type=int, help="Only the first so many users.")
@click.option("--samples", type=click.IntRange(1), help="Images of each case; default: the suite's.")
@click.option("--seed", type=int, default=0, show_default=True, help="The run seed, which seeds follow from.")
@click.option("--control", metavar="NAME", help="Export the histories that a control shows, such as other-user.")
@click.option("--jsonl", is_flag=True, help="Write cases.jsonl in place of cases.csv.")
@click.option("-s", "--suite-parameter", "suite_parameters", multiple=True, metavar="NAME=VALUE")
def export(
    what: str,
    suite: str | None,
    folder: Path | None,
    split: str,
    users: int | None,
    samples: int | None,
    seed: int,
    control: str | None,
    jsonl: bool,
    suite_parameters: tuple[str, ...],
) -> None:
    """Write what to draw: `prefbench export cases SUITE FOLDER`.

    FOLDER gets cases.csv (user, case, prompt, sample, seed, image), the likes and dislikes that methods may see as
    histories/USER/liked and disliked, the pictures to redraw where cases have some (contents/, named in the column
    content), and how to hand the images back; under a control also the card.toml of what is drawn.
    """
    from prefbench.api import counted
    from prefbench.api.near import unknown
    from prefbench.cli.screen import Screen
    from prefbench.run.given.export import command_again, export_cases
    from prefbench.run.given.layout import CARD
    from prefbench.run.given.prepare import open_data
    from prefbench.run.prepare import Settings

    if what not in _WHAT:
        raise PrefbenchError(unknown("export", what, list(_WHAT)))
    if suite is None or folder is None:
        usual = suite or default("suite")
        raise PrefbenchError(f"name a suite and a new folder: prefbench export cases {usual} FOLDER")
    screen = Screen()
    data = open_data(
        Settings("", suite, split, users=users, samples=samples, seed=seed, suite_parameters=suite_parameters)
    )
    written = export_cases(data, folder, screen.progress, form="jsonl" if jsonl else "csv", control=control)
    screen.line(f"wrote     {counted(written.images, 'image')} to draw for {counted(written.users, 'user')}: {folder}")
    shown = f", as the control {control} shows them" if control else ""
    screen.line(f"histories {counted(written.pictures, 'picture')} that these users judged{shown}")
    card = folder / CARD if control else None
    if card is not None:
        screen.line(f"card      {card}: write the backbone into it, and the method's name")
    screen.next(command_again(data, "DRAWN", suite, card))
