"""What methods cost beside `prompt-only`: seconds per user, seconds per image as a ratio, parameters, memory.

    python benchmarks/cost.py --methods ours,ip-adapter,attribute-rewrite --out benchmarks/results/cost.json

All read the same histories and draw the same prompts in one process on one machine, in turns, so that the ratios hold
even where the machine is shared. Each method has a backbone of its own, as adapters change it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from prefbench.api import PrefbenchError, Request
from prefbench.files import write_atomic
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.prepare import Prepared, Settings, prepare

BASELINE = "prompt-only"


@click.command()
@click.option("--methods", default="ours,ip-adapter,attribute-rewrite", show_default=True)
@click.option("--users", default=10, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(methods: str, users: int, rounds: int, threads: int, out: Path | None) -> None:
    """Prints medians over rounds."""
    torch.set_num_threads(threads)
    names = [BASELINE, *methods.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        prepared = {name: prepare(Settings(name, users=users, out=Path(folder))) for name in names}
    reading: dict[str, list[float]] = defaultdict(list)
    drawing: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds + 1):
        for name, one in prepared.items():
            profiles: dict[str, Any] = {}
            histories = one.histories
            reading[name].append(
                _seconds(lambda: profiles.update({u: one.method.profile(h) for u, h in histories.items()}))  # noqa: B023
                / users
            )
            requests = [
                Request(planned.case, planned.index, planned.seed, profiles[planned.case.user])
                for batch in one.plan
                for planned in batch
            ]
            drawing[name].append(_seconds(lambda: one.method.generate(requests)) / len(requests))  # noqa: B023
    rows = []
    for name, one in prepared.items():
        drawn = statistics.median(drawing[name][1:])  # the first round warms up
        row = {
            "method": name,
            "seconds_per_user": statistics.median(reading[name][1:]),
            "seconds_per_image": drawn,
            "ratio_per_image": statistics.median(
                own / base for own, base in zip(drawing[name][1:], drawing[BASELINE][1:], strict=True)
            ),
            "parameters": _parameters(one),
        }
        rows.append(row)
        click.echo(
            f"{name:18s} {row['seconds_per_user']:8.4f} s/user  {drawn:8.4f} s/image"
            f"  {row['ratio_per_image']:5.2f} x {BASELINE}  {row['parameters']:12,d} parameters"
        )
    if out is not None:
        content = {"rounds": rounds, "threads": threads, "rows": rows}
        content |= {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(out, json.dumps(content, indent=1) + "\n")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _parameters(prepared: Prepared) -> int:
    """Of the backbone with what the method put on it, and of every model that the method holds; each counted once."""
    assert isinstance(prepared.backbone, DiffusersBackbone)
    modules: list[torch.nn.Module] = [
        part for part in prepared.backbone.pipeline.components.values() if isinstance(part, torch.nn.Module)
    ]
    for held in vars(prepared.method).values():
        modules += (
            [m for m in (held, *vars(held).values()) if isinstance(m, torch.nn.Module)]
            if hasattr(held, "__dict__")
            else []
        )
    return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"cost: {error}") from error
