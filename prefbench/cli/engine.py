"""The options that say who works at a run: `--engine` and what belongs to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prefbench.engines.ray_workers import Ray

F = TypeVar("F", bound=Callable[..., Any])
_CLUSTER = {"address": "--address", "gpus_per_worker": "--gpus-per-worker", "collect": "--collect"}


def engine(command: F) -> F:
    """The options on a command."""
    options = (
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
        click.option(
            "--address", help="With --engine ray: the cluster's, or auto; default: RAY_ADDRESS, or one made here."
        ),
        click.option(
            "--gpus-per-worker", type=float, metavar="SHARE", help="With --engine ray; default: 1, with cpu:N 0."
        ),
        click.option("--collect", is_flag=True, help="With --engine ray: nodes do not share the run folder."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def cluster_of(options: dict[str, Any]) -> Ray | None:
    """Takes these options out of a command's; the cluster that they name, None for this machine.

    Raises:
        UsageError: an option of a cluster without one.
    """
    name = options.pop("engine")
    given = {one: value for one in _CLUSTER if (value := options.pop(one)) not in (None, False)}
    if name == "ray":
        from prefbench.engines.ray_workers import Ray

        return Ray(**given)
    if given:
        raise click.UsageError(f"{_CLUSTER[next(iter(given))]} is for --engine ray")
    return None
