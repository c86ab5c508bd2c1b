"""The drawing of a run as a job that is handed out, and the job of representing its users."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from prefbench.api import PrefbenchError, Sample
from prefbench.engines import drawing
from prefbench.engines.crew import Crew
from prefbench.engines.shared_profiles import SharedProfiles
from prefbench.engines.workers import Worker, ask
from prefbench.probing.plan import ProbePlan
from prefbench.run.folder import RunFolder
from prefbench.run.plan import Planned, RunSpec
from prefbench.run.reach import Reach
from prefbench.run.row_kinds import RepresentationRow
from prefbench.run.states import keep_states

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Part:
    """A batch that lacks some samples; without any, users whose profiles are made for their rows alone."""

    users: Sequence[str]
    batch: Sequence[Planned] = ()


def parts_of(
    plan: Iterable[Sequence[Planned]], finished: Collection[str], is_lost: Callable[[str], bool]
) -> list[Part]:
    """What is left of a plan: users who were drawn for and whose profiles' rows are lost, then batches to draw."""
    drawn = sorted({planned.case.user for batch in plan for planned in batch if planned.key in finished})
    batches = [batch for batch in plan if any(planned.key not in finished for planned in batch)]
    users = [list(dict.fromkeys(planned.case.user for planned in batch)) for batch in batches]
    return [*(Part([user]) for user in drawn if is_lost(user)), *map(Part, users, batches)]


@dataclass
class DrawJob:
    """Draws parts; see `hand_out.Job`. Every row is written here."""

    parts: Sequence[Part]
    finished: Collection[str]
    folder: RunFolder
    profiles: SharedProfiles
    crew: Crew
    spec: RunSpec
    secret: str
    writing: threading.Lock
    advance: Advance

    def __post_init__(self) -> None:
        self.n_drawn = 0
        self.reached: list[Reach] = []

    def begin(self, worker: Worker) -> None:
        """Checks that the worker has prepared this run, and names users as the folder does."""
        spec, own = self.crew.ready(worker).spec, self.spec
        if spec.id != own.id:
            odd = next(name for name, value in spec.to_json().items() if value != own.to_json()[name])
            raise PrefbenchError(f"{worker.device} prepared another run than the others: its {odd} differs")
        ask(worker, drawing.begin, self.secret)

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        """Draws a batch, after its users' profiles."""
        for user in self.parts[part].users:
            self.profiles.tell(worker, user)
        if not self.parts[part].batch:
            return [part]
        tickets = [drawing.Ticket.of(planned) for planned in self.parts[part].batch]
        stored = [ticket.key for ticket in tickets if ticket.key in self.finished]
        return self._keep(ask(worker, drawing.draw, part, tickets, stored))

    def finish(self, worker: Worker) -> Iterable[int]:
        """Waits for the images of the worker's last batch; asks what its method holds now."""
        done = self._keep(ask(worker, drawing.flush))
        self.reached += [place for place in ask(worker, drawing.reach) if place not in self.reached]
        return done

    def give_up(self, part: int, reason: str) -> None:
        """Stores the samples as failed."""
        new = [planned for planned in self.parts[part].batch if planned.key not in self.finished]
        self._store([_failed(planned, reason) for planned in new])

    def _keep(self, drawn: Iterable[drawing.Drawn]) -> list[int]:
        done = []
        for part, rows, images in drawn:
            for digest, data in images.items():
                self.folder.put_encoded(digest, data)
            self._store(rows)
            done.append(part)
        return done

    def _store(self, rows: Sequence[Sample]) -> None:
        with self.writing:
            self.folder.append_samples(rows)
            self.n_drawn += len(rows)
            self.advance(len(rows))


def _failed(planned: Planned, reason: str) -> Sample:
    case = planned.case
    return Sample(
        key=planned.key,
        user=case.user,
        case=case.id,
        prompt=case.prompt,
        index=planned.index,
        seed=planned.seed,
        status="failed",
        seconds=0.0,
        error=reason,
    )


@dataclass
class RepresentJob:
    """Collects what the method knows of users; see `hand_out.Job`."""

    plans: Sequence[ProbePlan]
    folder: RunFolder
    secret: str
    writing: threading.Lock
    advance: Advance

    def __post_init__(self) -> None:
        self.failed: dict[str, str] = {}

    def begin(self, worker: Worker) -> None:
        """Names users as the folder does."""
        ask(worker, drawing.begin, self.secret)

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        """Represents one user."""
        self._keep(*ask(worker, drawing.represent, self.plans[part].user))
        return [part]

    def finish(self, worker: Worker) -> Iterable[int]:  # noqa: ARG002
        """Nothing is under way."""
        return ()

    def give_up(self, part: int, reason: str) -> None:
        """Stores the failure."""
        plan = self.plans[part]
        self._keep(RepresentationRow(plan.user, plan.key, 0.0, "failed", reason), None)

    def _keep(self, row: RepresentationRow, data: bytes | None) -> None:
        with self.writing:
            keep_states(self.folder, row, data)
            self.failed.update({} if row.error is None else {row.user: row.error})
            self.advance(1)
