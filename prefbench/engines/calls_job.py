"""Calls of one function, handed out; what each returned, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.engines.crew import Crew
from prefbench.engines.hand_out import hand_out
from prefbench.engines.workers import Worker, ask


def call_each(crew: Crew, task: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> list[Any]:
    """What a module's function returns in the workers of a crew, for the arguments of each call.

    Raises:
        PrefbenchError: a call raised it first.
        CallsEndedError: a worker ended on a call, again and again; all others were made.
    """
    job = _Calls(task, calls)
    hand_out(job, range(len(calls)), crew)
    if job.ended:
        raise CallsEndedError(job.ended[0])
    return job.results


class CallsEndedError(PrefbenchError):
    """A call that ends every worker: to make it in this process would end this one."""


class _Calls:
    """See `hand_out.Job`."""

    def __init__(self, task: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> None:
        self._task, self._calls = task, calls
        self.results: list[Any] = [None] * len(calls)
        self.ended: list[str] = []

    def begin(self, worker: Worker) -> None:
        """The crew has set it up."""

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        """Makes one call."""
        self.results[part] = ask(worker, self._task, *self._calls[part])
        return [part]

    def finish(self, worker: Worker) -> Iterable[int]:  # noqa: ARG002
        """Nothing is under way."""
        return ()

    def give_up(self, part: int, reason: str) -> None:  # noqa: ARG002
        """Notes why."""
        self.ended.append(reason)
