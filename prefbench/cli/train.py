"""`prefbench train`: methods, scorers and miniatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prefbench.cli.options import as_json, print_json


@click.command()
@click.argument("name")
@click.option("--images", type=click.IntRange(min=1), help="Samples to see in all; default: the trainer's.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/train"), show_default=True)
@click.option("--install", is_flag=True, help="Copy the result into the package's weights.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the trainer.")
@as_json
def train(name: str, out: Path, parameters: tuple[str, ...], as_json: bool, **choices: Any) -> None:
    """Train a method or a miniature; the same command again continues. `prefbench list trainers` names them."""
    from prefbench.api.guard import guarded, module_of
    from prefbench.parameters import bind, parse_pairs
    from prefbench.registry import load
    from prefbench.run.identity import portable_name
    from prefbench.training.requests import TrainRequest, trained_card

    trainer = load("trainer", name)
    bound = bind(trainer, parse_pairs(parameters))
    with guarded(f"trainer {name!r}", "training", module=module_of(trainer)):
        card = trained_card(trainer(TrainRequest((out / portable_name(name)).absolute(), **choices), **bound))
    if as_json and card is not None:  # one process of several has it
        print_json(card)
