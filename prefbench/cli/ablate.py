"""`prefbench ablate`: what each component of a method is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, command_line, print_json
from prefbench.cli.runs import given


@click.command()
@click.argument("name")
@click.option("--images", type=click.IntRange(min=1), help="What every variant is trained on; default: the trainer's.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/train"), show_default=True)
@click.option("--suite", help="Default: the method's.")
@click.option("--backbone", help="A registered backbone or a folder; default: the suite's.")
@click.option("--split", default="val", show_default=True, help="Whose users are drawn for.")
@click.option("--users", type=click.IntRange(1), help="Only the first so many users.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Samples per case.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings of every variant.")
@click.option("--only", metavar="GROUPS", help="Only these groups of variants, separated by commas.")
@click.option("--publish", is_flag=True, help="Write the result into results/ablation too.")
@as_json
def ablate(name: str, out: Path, publish: bool, as_json: bool, **choices: Any) -> None:
    """Train and draw a method with one component left out at a time. The same command again continues.

    Starts from the training in --out, whose last stage it repeats for every variant.
    """
    import prefbench
    from prefbench.cli.screen import Screen

    screen, log = Screen(quiet=as_json), Screen(quiet=True)
    context: dict[str, Any] = {"work": out, "command": command_line(), "log": log.line}
    result = prefbench.report((), "ablation", method=name, **context, **given(choices))
    screen.grids(result.tables)
    for path in [*result.write(out / name / "ablation"), *(result.publish() if publish else [])]:
        log.written(path)
    if as_json:
        print_json(result.as_json())
