"""Samples a second of the harness, of a bare diffusers loop, and of one image a call with everything recomputed.

Drawing alone: the harness (profiles, images encoded and written, rows) against the bare pipeline at the same batch
size, and against the pipeline called for one image. Drawing and scoring: the harness against scripts that take one
image through everything, where each metric makes the features of image and prompt for itself.

All draw the same prompts with the same steps in one process on one machine, in turns, so that the ratios hold even
where the machine is shared: a ratio is the median of those of the rounds, and who is first changes with each.
Seconds of the processor, of all threads, hold where it is too busy for that:

    python benchmarks/throughput.py --users 20 --rounds 3
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch

from prefbench.api import Request, to_pixels
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.execute import execute
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import Prepared, Settings, prepare
from prefbench.score.score_run import score_run


@click.command()
@click.option("--users", default=20, show_default=True)
@click.option("--batch", default=100, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--single", default=20, show_default=True, help="Images drawn one a call, a round.")
@click.option("--threads", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(users: int, batch: int, rounds: int, single: int, threads: int, out: Path | None) -> None:
    """Prints medians over rounds and their ratios."""
    torch.set_num_threads(threads)
    names = ("harness", "bare loop", "one a call", "harness, scored", "one a call, scored")
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {"bare loop": [], "harness": []}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings("prompt-only", users=users, batch=batch, out=Path(folder), seed=number)
            prepared = prepare(settings)
            prompts = [planned.case.prompt for part in prepared.plan for planned in part]
            seeds = [planned.seed for part in prepared.plan for planned in part]
            backbone = prepared.backbone
            if not isinstance(backbone, DiffusersBackbone):
                raise TypeError("the bare loops need a diffusers pipeline")
            pair: dict[str, Callable[[], None]] = {
                "bare loop": lambda: _bare(backbone, prompts, seeds, batch),  # noqa: B023
                "harness": lambda: _harness(prepared),  # noqa: B023
            }
            for name in sorted(pair, reverse=number % 2 == 1):
                began = time.process_time()
                rates[name].append(_rate(len(prompts), pair[name]))
                costs[name].append((time.process_time() - began) / len(prompts))
            rates["one a call"].append(_rate(single, lambda: _bare(backbone, prompts[:single], seeds, 1)))  # noqa: B023
            scored = replace(prepared, folder=RunFolder(Path(folder) / "scored"))
            rates["harness, scored"].append(_rate(len(prompts), lambda: _score(scored)))  # noqa: B023
            rates["one a call, scored"].append(_rate(single, lambda: _one_by_one(prepared, single)))  # noqa: B023
    medians = {name: statistics.median(values) for name, values in rates.items()}
    result = {
        "samples_per_second": {name: round(value, 3) for name, value in medians.items()},
        "harness_over_bare_loop": _ratio(rates["harness"], rates["bare loop"]),
        "harness_over_bare_loop_by_processor_seconds": _ratio(costs["bare loop"], costs["harness"]),
        "harness_over_one_a_call": _ratio(rates["harness"], rates["one a call"]),
        "scored_harness_over_scored_one_a_call": _ratio(rates["harness, scored"], rates["one a call, scored"]),
        "all": {name: [round(value, 3) for value in values] for name, values in rates.items()},
        "processor_seconds": {name: [round(value, 5) for value in values] for name, values in costs.items()},
        "settings": {"users": users, "batch": batch, "rounds": rounds, "threads": threads},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    text = json.dumps(result, indent=2)
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n")


def _ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(rates, others, strict=True)), 3)


def _rate(n: int, work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return n / (time.perf_counter() - started)


def _harness(prepared: Prepared) -> None:
    """Everything a run does: profiles, batches, images encoded and written, rows."""
    result = execute(prepared)
    if result.failed or result.drawn != prepared.n_samples:
        raise RuntimeError(f"the run was not clean: {result}")


def _score(prepared: Prepared) -> None:
    """A whole run: drawn, scored with the suite's metrics, summarised."""
    _harness(prepared)
    metrics = list(prepared.suite.card.metrics)
    score_run(prepared.folder, metrics, prepared.suite)


def _one_by_one(prepared: Prepared, n: int) -> None:
    """One image at a time: the profile made again, one call of the pipeline, every metric with features of its own."""
    suite, method, planned = prepared.suite, prepared.method, [p for batch in prepared.plan for p in batch][:n]
    extract = load("extractor", suite.card.extractors["fidelity"])()
    truth = suite.truth
    assert truth is not None
    for one in planned:
        profile = method.profile(suite.history(one.case.user))
        (drawing,) = method.generate([Request(one.case, one.index, one.seed, profile)])
        pixels = [to_pixels(drawing.image)]
        for _ in ("fid", "kid", "clip-score"):
            extract.images(pixels)
        extract.texts([one.case.prompt])
        truth.utility(one.case.user, [one.case.prompt], pixels)
        truth.fidelity([one.case.prompt], pixels)


def _bare(backbone: DiffusersBackbone, prompts: Sequence[str], seeds: Sequence[int], batch: int) -> None:
    """What a script with diffusers does: the pipeline called on prompts, images dropped."""
    pipeline = backbone.pipeline
    pipeline.set_progress_bar_config(disable=True)
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[part]][: len(prompts[part])]
        pipeline(
            list(prompts[part]),
            num_inference_steps=backbone.card.steps,
            guidance_scale=backbone.card.guidance,
            generator=generators,
        )


if __name__ == "__main__":
    main()
