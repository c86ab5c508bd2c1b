"""Seeded hostile inputs by the thousand: each is answered rightly or refused in one line, within ten seconds.

    python benchmarks/fuzz.py --inputs 10000 --out benchmarks/results/fuzz.json

Six campaigns: pictures through the one door; damaged files of a run folder; links, pipes and giants in one; names and
values; backbone folders; plug-ins. A traceback, a hang, a process that ends, more than 4 GiB, and a number or picture
that is silently another are failures; each is printed with the command that repeats it alone. Exit code 1 where there
is one.

Inputs are tried in forked processes, so that what one does to its process is gone with the next.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import torch

from benchmarks.fuzzing.backbones import Backbones
from benchmarks.fuzzing.folders import Folders
from benchmarks.fuzzing.names import Names
from benchmarks.fuzzing.pictures import Pictures
from benchmarks.fuzzing.plugins import Plugins
from benchmarks.fuzzing.rows import Rows
from benchmarks.fuzzing.trial import Trial, WrongError
from prefbench.files import json_text, write_atomic
from prefbench.run.environment import code_state, hardware, versions

LIMIT = 10.0
"""Seconds within which every input is answered; those in which others have the processor do not count."""
MEMORY = 4 * 2**30
"""Bytes that a process has at most after any input."""


class Campaign(Protocol):
    """One kind of input."""

    def answer(self, trial: Trial) -> str:
        """Tries one input and says in a word how it ended. Raises `WrongError` where the answer is wrong."""


@dataclass(frozen=True)
class Kind:
    """A campaign, its share of all inputs, and how many of them one process tries."""

    campaign: type[Any]
    share: float
    in_process: int


KINDS: Mapping[str, Kind] = {
    "pictures": Kind(Pictures, 0.5, 100),
    "rows": Kind(Rows, 0.2, 20),
    "names": Kind(Names, 0.2, 50),
    "folders": Kind(Folders, 0.04, 5),
    "backbones": Kind(Backbones, 0.03, 5),
    "plug-ins": Kind(Plugins, 0.03, 1),
}


@dataclass
class Process:
    """One forked process with the cases that it has still to answer."""

    name: str
    waiting: deque[int]
    process: Any
    connection: Connection
    since: float
    """Its `clock` when it was last heard."""


def clock(process: int | str | None = "self") -> float:
    """Seconds of a process that go on while it runs or sleeps, and not while it waits for a processor."""
    try:
        starved = int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # another system, or it has ended
        starved = 0.0
    return time.monotonic() - starved


def try_cases(
    campaign: Campaign, name: str, seed: int, cases: Sequence[int], folder: Path, answers: Connection
) -> None:
    """What a process does: it sends an answer and a failure, one of them empty, for each case."""
    resource.setrlimit(resource.RLIMIT_AS, (6 * MEMORY, 6 * MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    for case in cases:
        place = folder / f"{name}-{case}"
        place.mkdir()
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), case])
        answers.send(try_case(campaign, Trial(rng, place)))
        shutil.rmtree(place, ignore_errors=True)
    answers.close()
    os._exit(0)


def try_case(campaign: Campaign, trial: Trial) -> tuple[str, str]:
    """How an input ended, and what is wrong with that."""
    started, home = clock(), Path.cwd()
    try:
        outcome = campaign.answer(trial)
    except WrongError as error:
        return "", str(error)
    except BaseException as error:
        return "", f"{type(error).__name__}: {error}\n{traceback.format_exc()[-3000:]}"
    finally:
        os.chdir(home)
    took, peak = clock() - started, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if took < LIMIT and peak < MEMORY:
        return outcome, ""
    return "", f"it took {took:.0f} seconds and {peak / 2**30:.1f} GiB"


def answers(
    campaigns: Mapping[str, Campaign], seed: int, cases: Mapping[str, int], folder: Path, n: int
) -> Iterator[Any]:
    """Campaign, case, outcome and failure of every input, in the order of their ends; `n` processes at a time."""
    tasks = deque(
        (name, range(first, min(first + KINDS[name].in_process, count)))
        for name, count in cases.items()
        for first in range(0, count, KINDS[name].in_process)
    )
    context, running = multiprocessing.get_context("fork"), list[Process]()
    while tasks or running:
        while tasks and len(running) < n:
            name, some = tasks.popleft()
            ours, theirs = context.Pipe(duplex=False)
            arguments = (campaigns[name], name, seed, some, folder, theirs)
            process = context.Process(target=try_cases, args=arguments)
            process.start()
            theirs.close()
            running.append(Process(name, deque(some), process, ours, clock(process.pid)))
        wait([one.connection for one in running], timeout=0.5)
        for one in list(running):
            yield from _heard(one)
            if one.waiting and one.process.is_alive() and clock(one.process.pid) - one.since < 1.5 * LIMIT:
                continue
            running.remove(one)
            if one.waiting:
                hung = one.process.is_alive()
                one.process.kill()
                yield one.name, one.waiting.popleft(), "", "it hangs" if hung else "it ended its process"
                tasks.appendleft((one.name, one.waiting)) if one.waiting else None  # type: ignore[arg-type]
            one.process.join(LIMIT)
            one.process.kill()


def _heard(process: Process) -> Iterator[tuple[str, int, str, str]]:
    """The answers that a process has sent."""
    try:
        while process.waiting and process.connection.poll():
            outcome, failure = process.connection.recv()
            process.since = clock(process.process.pid)
            yield process.name, process.waiting.popleft(), outcome, failure
    except EOFError:
        process.process.join(LIMIT)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for everything, with a cache and a home of its own."""
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"PREFBENCH_CACHE": f"{name}/cache", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        yield Path(name).resolve()


@click.command()
@click.option("--inputs", default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--only", type=click.Choice(list(KINDS)), help="One campaign, with all the inputs.")
@click.option("--case", type=int, help="One input of --only, in this process, with its traceback.")
@click.option("--processes", default=2, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(inputs: int, seed: int, only: str | None, case: int | None, processes: int, out: Path | None) -> None:
    """Prints one line per campaign, and one per failure."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background ignores
    if case is not None and only is None:
        raise click.UsageError("--case names an input of --only")
    shares = {name: kind.share for name, kind in KINDS.items()} if only is None else {only: 1.0}
    counts = {name: max(1, round(share * inputs)) for name, share in shares.items()}
    started = time.monotonic()
    with workplace() as folder:
        campaigns = {name: KINDS[name].campaign(folder / "material") for name in counts}
        if only is not None and case is not None:
            _repeat(campaigns[only], only, seed, case, folder)
            return
        tried = answers(campaigns, seed, counts, folder, processes)
        outcomes, failed = _collected(tried, seed)
    seconds = time.monotonic() - started
    for name, words in outcomes.items():
        told = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        click.echo(f"{name:10s} {counts[name]:6d} inputs: {told}")
    click.echo(f"{sum(counts.values())} inputs in {seconds:.0f} seconds, {len(failed)} failed")
    if out is not None:
        record = {"seed": seed, "seconds": round(seconds, 1), "inputs": counts, "failed": failed}
        record |= {"outcomes": {name: dict(sorted(words.items())) for name, words in outcomes.items()}}
        record |= {"code": code_state(), "hardware": hardware(), "versions": versions()}
        write_atomic(out, json_text(record) + "\n")
    sys.exit(1 if failed else 0)


def _collected(tried: Iterator[Any], seed: int) -> tuple[dict[str, Counter[str]], list[dict[str, Any]]]:
    outcomes: dict[str, Counter[str]] = {}
    failed = []
    for name, case, outcome, failure in tried:
        outcomes.setdefault(name, Counter())[outcome or "failed"] += 1
        if failure:
            command = f"python benchmarks/fuzz.py --seed {seed} --only {name} --case {case}"
            click.echo(f"{command}\n  {failure}", err=True)
            failed.append({"campaign": name, "case": case, "command": command, "failure": failure})
    return outcomes, failed


def _repeat(campaign: Campaign, name: str, seed: int, case: int, folder: Path) -> None:
    place = folder / f"{name}-{case}"
    place.mkdir()
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), case])
    click.echo(campaign.answer(Trial(rng, place)))


if __name__ == "__main__":
    main()
