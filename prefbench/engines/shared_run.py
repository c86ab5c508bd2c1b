"""A run that several workers draw: this process, the driver, holds the folder, hands out batches and writes rows."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from prefbench.api import BackboneCard, History, StyleCard, Suite
from prefbench.api.reports import Bar, no_bar
from prefbench.engines import drawing
from prefbench.engines.crew import Crew
from prefbench.engines.devices import inside, shown
from prefbench.engines.draw_job import DrawJob, RepresentJob, parts_of
from prefbench.engines.hand_out import hand_out
from prefbench.engines.shared_profiles import SharedProfiles
from prefbench.engines.workers import Worker
from prefbench.probing.plan import probe_plans
from prefbench.registry import load_class
from prefbench.run.draw import RunResult
from prefbench.run.environment import code_state, hardware
from prefbench.run.execute import continued, note_places, settled, start_row
from prefbench.run.folder import RunFolder
from prefbench.run.identity import identify
from prefbench.run.opaque import OpaqueNames
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.prepare import Settings, check_names, data_of
from prefbench.run.states import CollectedStates, is_stored


@dataclass(frozen=True)
class SharedBackbone:
    """What is shown of the backbone that each worker has loaded."""

    device: str
    card: BackboneCard | StyleCard


@dataclass(frozen=True)
class SharedRun:
    """A run whose workers are set up."""

    spec: RunSpec
    shown: str
    suite: Suite
    backbone: SharedBackbone
    kinds: Mapping[str, str]
    histories: Mapping[str, History] = field(repr=False)
    plan: Sequence[Sequence[Planned]] = field(repr=False)
    folder: RunFolder = field(repr=False)
    description: Mapping[str, Any] = field(repr=False)
    crew: Crew = field(repr=False)
    names: OpaqueNames = field(repr=False)
    n_whole: int | None = None
    """Samples of the whole run, where the plan is a part of it."""
    collects: bool = False
    """Whether workers hand their images over, since they cannot write into the folder."""

    @property
    def n_samples(self) -> int:
        """Planned samples."""
        return sum(len(batch) for batch in self.plan)

    def execute(self, *, bar: Bar = no_bar) -> RunResult:
        """Draws what the folder lacks, as `prefbench.run.execute.execute` does, whoever drew what is there.

        Raises:
            PrefbenchError: another process holds the folder, the disk is full, the method broke its contract, or a
                worker could not be set up.
        """
        started, code = time.monotonic(), code_state()
        folder, keys = self.folder.absolute(), [planned.key for batch in self.plan for planned in batch]
        kinds, only = self.description["kinds"], set(keys)
        with continued(folder, self.spec, kinds, lambda: self.description, bar, only) as finished:
            if any(key not in finished for key in keys):
                folder.append_start(start_row(code, self.spec.batch))
            secret = settled(self.names, folder).secret
            with bar("draw", len(keys), "img") as advance:
                advance(sum(key in finished for key in keys))
                job = self._draw(folder, set(finished), secret, advance)
            note_places(folder, job.reached)
            rows = folder.samples()
            failed = sum(rows[key].status == "failed" for key in keys if key in rows)
            return RunResult(len(keys), job.n_drawn, failed, time.monotonic() - started)

    def _draw(self, folder: RunFolder, finished: set[str], secret: str, advance: Callable[[int], object]) -> DrawJob:
        writing = threading.Lock()
        profiles = SharedProfiles(self.histories, folder, writing, collects=self.collects)
        parts = parts_of(self.plan, finished, profiles.is_lost)
        job = DrawJob(parts, finished, folder, profiles, self.crew, self.spec, secret, writing, advance)
        hand_out(job, range(len(parts)), self.crew)
        return job

    def wants_representations(self, metrics: Sequence[str]) -> bool:
        """Whether some metric asks for representations that the method has."""
        asked = any(load_class("metric", name).card.asks_representations for name in metrics)
        return asked and bool(self.description["represents"])

    def represent(self, *, advance: Callable[[int], object] = lambda _: None) -> CollectedStates:
        """Stores what the method knows of each user, where the folder lacks it, as `execute_represent` does."""
        started = time.monotonic()
        unseen = {user: self.suite.history(user, "scorer") for user in self.histories}
        plans = probe_plans(self.histories, unseen)
        folder = RunFolder(self.folder.path.absolute())  # of all, where a shard has drawn the last part
        with folder.locked():
            secret, stored = settled(self.names, folder).secret, folder.representations()
            lacking = [plan for plan in plans if not is_stored(folder, plan, stored.get(plan.user))]
            advance(len(plans) - len(lacking))
            job = RepresentJob(lacking, folder, secret, threading.Lock(), advance)
            hand_out(job, range(len(lacking)), self.crew)
        collected = len(lacking) - len(job.failed)
        return CollectedStates(len(plans), collected, job.failed, time.monotonic() - started)


@contextmanager
def shared_run(settings: Settings, workers: Sequence[Worker], *, collect: bool = False) -> Iterator[SharedRun]:
    """Prepares a run on each of several workers at once; when it ends, no worker is left.

    With `collect` they hand their images over and write nothing.

    Raises:
        PrefbenchError: any mistake, in one line, as `prefbench.run.prepare.prepare` raises.
    """
    check_names(settings)
    identify(settings.method, settings.parameters)  # a mistake is answered before processes start
    data = data_of(settings)
    histories, names = data.histories(settings.control), OpaqueNames(secrets.token_hex(16))

    def arguments(worker: Worker) -> tuple[Any, ...]:
        return replace(settings, device=inside(worker.device)), names.secret, collect

    crew = Crew(workers, drawing.set_up, arguments)
    with crew.at_work():
        ready: drawing.Ready = crew.first()
        plan = make_plan(ready.spec, data.cases, histories)
        planned = sum(len(batch) for batch in plan)
        environment = {**ready.description["environment"], "hardware": hardware()}
        yield SharedRun(
            spec=ready.spec,
            shown=ready.shown,
            suite=data.suite,
            backbone=SharedBackbone(shown([worker.device for worker in workers]), ready.card),
            kinds=data.kinds,
            histories=histories,
            plan=plan,
            folder=RunFolder(settings.out / ready.spec.id),
            description={**ready.description, "planned": planned, "environment": environment},
            crew=crew,
            names=names,
            collects=collect,
        )
