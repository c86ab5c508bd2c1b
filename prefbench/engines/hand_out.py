"""Hands out numbered parts of a job to workers as they become free, and again where a worker ends on one."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import pairwise
from typing import Protocol

from prefbench.api import PrefbenchError, counted
from prefbench.engines.crew import AGAIN, Crew
from prefbench.engines.workers import Worker, WorkerEndedError

logger = logging.getLogger(__name__)


class Job(Protocol):
    """Work in numbered parts. Its methods are called from several threads, for one worker from one at a time."""

    def begin(self, worker: Worker) -> None:
        """Makes a worker ready that is new to the job, or was replaced."""

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        """Does a part; returns the parts of this worker that are done by now, which this one need not be among."""

    def finish(self, worker: Worker) -> Iterable[int]:
        """Does what is left to do of a worker's parts; returns those that are done by it."""

    def give_up(self, part: int, reason: str) -> None:
        """Notes that a part is not done: every worker that was given it has ended."""


def hand_out(job: Job, parts: Sequence[int], crew: Crew) -> None:
    """Does all parts of a job with the workers of a crew. Each goes along a stretch of its own, so that neighbours meet
    the same worker; who is through with it takes over half of what is left of the longest.

    A worker that ends is replaced, and its part done again, `AGAIN` times at most; then the job gives it up.

    Raises:
        PrefbenchError: what the job, or setting up a worker, raised first; parts that others had begun are done.
        KeyboardInterrupt: all workers are killed.
    """
    if not parts:
        return
    board = _Board(parts, len(crew.workers))
    with ThreadPoolExecutor(len(crew.workers), thread_name_prefix="worker") as threads:
        serving = [threads.submit(_Service(job, board, crew, place).serve) for place in range(len(crew.workers))]
        try:
            wait(serving)
        except BaseException:
            board.stop()
            crew.kill()
            raise
    for one in serving:
        one.result()
    if board.error is not None:
        raise board.error


class _Board:
    """What is left to do, and by whom."""

    def __init__(self, parts: Sequence[int], workers: int) -> None:
        cuts = [len(parts) * i // workers for i in range(workers + 1)]
        self._stretches = [deque(parts[start:stop]) for start, stop in pairwise(cuts)]
        self._open, self._changed, self._stopped = len(parts), threading.Condition(), False
        self._ends: Counter[int] = Counter()
        self.error: BaseException | None = None
        self.over: Future[None] = Future()
        """Done when no part is left, or nobody takes one any more."""

    def take(self, place: int) -> int | None:
        """The next part of the worker at a place; None where there is none just now."""
        with self._changed:
            if self._stopped:
                return None
            own, longest = self._stretches[place], max(self._stretches, key=len)
            if not own:
                own.extendleft([longest.pop() for _ in range((len(longest) + 1) // 2)])
            return own.popleft() if own else None

    def done(self, parts: Iterable[int]) -> None:
        """Parts that need no more work."""
        with self._changed:
            self._open -= len(list(parts))
            self._note()

    def put_back(self, place: int, parts: Sequence[int]) -> None:
        """Parts that have to be done again; the worker at the place gets them first."""
        with self._changed:
            self._stretches[place].extendleft(reversed(parts))
            self._changed.notify_all()

    def is_over(self) -> bool:
        """Waits until there is a part to take, which is False, or none will be, which is True."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._open or any(self._stretches))
            return self._stopped or not self._open

    def ended_on(self, part: int) -> int:
        """How many workers have ended on a part, this one included."""
        with self._changed:
            self._ends[part] += 1
            return self._ends[part]

    def stop(self, error: BaseException | None = None) -> None:
        """Nobody takes a part any more."""
        with self._changed:
            self._stopped, self.error = True, self.error or error
            self._note()

    @property
    def stopped(self) -> bool:
        """Whether nobody takes a part any more."""
        return self._stopped

    def _note(self) -> None:
        if (self._stopped or not self._open) and not self.over.done():
            self.over.set_result(None)
        self._changed.notify_all()


class _Service:
    """The thread that serves one worker."""

    def __init__(self, job: Job, board: _Board, crew: Crew, place: int) -> None:
        self._job, self._board, self._crew, self._place = job, board, crew, place
        self._worker, self._underway, self._ready = crew.workers[place], list[int](), False

    def serve(self) -> None:
        """Until nothing is left to do."""
        try:
            while self._step():
                pass
        except BaseException as error:
            self._board.stop(error)
            with suppress(WorkerEndedError, PrefbenchError):  # what was drawn before stays
                self._done(self._job.finish(self._worker))

    def _step(self) -> bool:
        try:
            if not self._make_ready():
                return False
            part = self._board.take(self._place)
            if part is not None:
                self._underway.append(part)
                self._done(self._job.do(self._worker, part))
            elif self._underway:
                self._done(self._job.finish(self._worker))
            else:
                return not self._board.is_over()
        except WorkerEndedError as end:
            if self._board.stopped:
                return False
            self._again(end)
        return True

    def _make_ready(self) -> bool:
        """False where the others are through before this worker is ready."""
        if not self._ready:
            if not self._crew.is_ready(self._worker, before=self._board.over):
                return False
            self._job.begin(self._worker)
            self._ready = True
        return True

    def _done(self, parts: Iterable[int]) -> None:
        done = list(parts)
        for part in done:
            self._underway.remove(part)
        self._board.done(done)

    def _again(self, end: WorkerEndedError) -> None:
        """Replaces the worker; what it had not handed in is done again, or given up."""
        lost, self._underway = self._underway, []
        if lost and not end.innocent and (ends := self._board.ended_on(lost[-1])) > AGAIN:
            given_up = lost.pop()
            self._job.give_up(given_up, f"the worker ended {counted(ends, 'time')} on it: {end.reason}")
            self._board.done([given_up])
        logger.warning("worker %s on %s is replaced: %s", self._worker.name, self._worker.device, end.reason)
        self._board.put_back(self._place, lost)
        self._crew.restart(self._worker)
        self._ready = False
