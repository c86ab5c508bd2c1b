"""How well work is handed out to many workers, by a stand-in that sleeps where a denoiser would work.

    python -m benchmarks.simulated --out benchmarks/results/simulated.json

A worker is a thread that sleeps as long as SDXL takes for a batch on an accelerator, then encodes and stores a
different picture per sample while it sleeps for the next, as a worker of a run does; the driver hands out and appends
rows. Set-up, models and the passing of arguments between processes are not in it. Efficiency is what the sleeping alone
would take over what the whole took. `hand_out` is the same of a million samples whose drawing takes no time and whose
rows are not stored.

Exit code 1 where 8 workers are under 0.95 or 64 under 0.9.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from prefbench.api import Sample, colour_spread
from prefbench.engines.crew import Crew
from prefbench.engines.hand_out import hand_out
from prefbench.engines.workers import Reply, Worker, ask
from prefbench.files import write_atomic
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.folder import RunFolder

SECONDS, BATCH, SIDE = 3.0, 8, 256
"""Of a batch, samples of a batch, pixels of a picture's side."""
GOALS = {8: 0.95, 64: 0.9}


class Sleeper:
    """A worker that is a thread; see `Worker`."""

    def __init__(self, name: str) -> None:
        self.name, self.device, self.lives = name, "nothing", 0
        self._thread = ThreadPoolExecutor(1)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Reply]:
        """See `Worker`."""
        return self._thread.submit(lambda: Reply(task(*arguments)))

    def ended(self, error: BaseException) -> None:
        """Never."""

    def replace(self) -> None:
        """Never needed."""

    def stop(self, *, gently: bool = False) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=gently)


@dataclass
class SleepingJob:
    """Batches that take a time and leave pictures and rows; see `hand_out.Job`."""

    folder: RunFolder | None
    """None stores nothing."""
    seconds: float
    writing: threading.Lock = field(default_factory=threading.Lock)
    writers: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    storing: dict[str, tuple[int, Future[list[Sample]]]] = field(default_factory=dict)
    n_drawn: int = 0

    def begin(self, worker: Worker) -> None:
        """A thread of its own stores what the worker draws."""
        self.writers[worker.name] = ThreadPoolExecutor(1)

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        """Draws a batch; the one before is done then."""
        return self._keep(ask(worker, self._draw, worker.name, part))

    def finish(self, worker: Worker) -> Iterable[int]:
        """Waits for the pictures of the last batch."""
        return self._keep(self._before(worker.name))

    def give_up(self, part: int, reason: str) -> None:
        """Nobody ends."""
        raise AssertionError((part, reason))

    def _draw(self, name: str, part: int) -> list[tuple[int, list[Sample]]]:
        time.sleep(self.seconds)
        before = self._before(name)
        self.storing[name] = part, self.writers[name].submit(self._store, part)
        return before

    def _before(self, name: str) -> list[tuple[int, list[Sample]]]:
        if name not in self.storing:
            return []
        part, rows = self.storing.pop(name)
        return [(part, rows.result())]

    def _keep(self, drawn: Iterable[tuple[int, list[Sample]]]) -> list[int]:
        done = []
        for part, rows in drawn:
            with self.writing:
                if self.folder is not None:
                    self.folder.append_samples(rows)
                self.n_drawn += BATCH
            done.append(part)
        return done

    def _store(self, part: int) -> list[Sample]:
        return [] if self.folder is None else [self._sample(part * BATCH + i) for i in range(BATCH)]

    def _sample(self, number: int) -> Sample:
        assert self.folder is not None
        coarse = np.random.default_rng(number).integers(0, 256, (SIDE // 16, SIDE // 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse.repeat(16, 0).repeat(16, 1))
        return Sample(
            f"{number:032x}", "ann", "ann/0", "a cat", number, number, "ok", self.folder.put_image(image),
            "a cat", self.seconds / BATCH, 50, spread=round(colour_spread(image), 6),
        )  # fmt: skip


@click.command()
@click.option("--workers", multiple=True, type=int, default=(1, 8, 64), show_default=True)
@click.option("--turns", default=10, show_default=True, help="Batches of each worker.")
@click.option("--samples", default=1_000_000, show_default=True, help="Of the hand-out alone.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(workers: Sequence[int], turns: int, samples: int, out: Path | None) -> None:
    """Prints the efficiency of each number of workers, and the cost of the hand-out alone."""
    rows = [_efficiency(count, turns) for count in workers]
    alone = [_handed_out(count, samples) for count in workers]
    if out is not None:
        content = {
            "command": portable(shlex.join(["python", *sys.argv])),
            "stand_in": {"seconds": SECONDS, "batch": BATCH, "side": SIDE, "turns": turns},
            "workers": rows,
            "hand_out": alone,
            "goals": GOALS,
            "code": code_state(),
            "hardware": hardware(),
            "versions": versions(),
        }
        write_atomic(out, json.dumps(content, indent=1) + "\n")
    low = [row for row in rows if row["efficiency"] < GOALS.get(int(row["workers"]), 0)]
    sys.exit(1 if low else 0)


def _efficiency(count: int, turns: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        job = SleepingJob(RunFolder(Path(name) / "run"), SECONDS)
        seconds = _timed(job, count, count * turns)
        assert len(job.folder.finished()) == count * turns * BATCH if job.folder else False
    efficiency = turns * SECONDS / seconds
    click.echo(f"{count} workers: {job.n_drawn} samples in {seconds:.1f} s, efficiency {efficiency:.3f}")
    return {"workers": count, "samples": job.n_drawn, "seconds": seconds, "efficiency": efficiency}


def _handed_out(count: int, samples: int) -> dict[str, float]:
    job, began = SleepingJob(None, 0.0), time.process_time()
    seconds = _timed(job, count, samples // BATCH)
    cost = time.process_time() - began
    click.echo(f"{count} workers: {job.n_drawn:,} samples handed out in {cost:.1f} s of the processor")
    return {"workers": count, "samples": job.n_drawn, "seconds": seconds, "processor_seconds": cost}


def _timed(job: SleepingJob, count: int, parts: int) -> float:
    crew = Crew([Sleeper(str(i)) for i in range(count)], int, lambda _: ())
    began = time.monotonic()
    with crew.at_work():
        hand_out(job, range(parts), crew)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
