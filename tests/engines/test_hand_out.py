"""How parts are handed out, whatever a worker is: to whom, again when one ends, and what is given up."""

from __future__ import annotations

import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from prefbench.api import PrefbenchError
from prefbench.engines.crew import AGAIN, Crew
from prefbench.engines.hand_out import hand_out
from prefbench.engines.inside import perform
from prefbench.engines.workers import Reply, Worker, ask


class Thread:
    """A worker that is a thread; a task that raises `BrokenExecutor` ends it."""

    def __init__(self, name: str) -> None:
        self.name, self.device, self.lives, self.stopped = name, "here", 0, False
        self._executor = ThreadPoolExecutor(1)
        self._is_broken = False

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Reply]:
        if self._is_broken or self.stopped:
            raise BrokenExecutor
        return self._executor.submit(self._run, task, arguments)

    def _run(self, task: Callable[..., Any], arguments: Any) -> Reply:
        if self._is_broken:
            raise BrokenExecutor
        try:
            return Reply(task(*arguments))
        except BrokenExecutor:
            self._is_broken = True
            raise
        except PrefbenchError as error:
            return Reply(refusal=error)

    def ended(self, error: BaseException) -> str | None:
        return "it broke" if isinstance(error, BrokenExecutor) else None

    def replace(self) -> None:
        self._is_broken = False
        self.lives += 1

    def stop(self, *, gently: bool = False) -> None:
        self.stopped = self.stopped or not gently


class Tracing:
    """Notes who does what; a part is done when the next one is, as in drawing."""

    def __init__(self, ends: Callable[[int], bool] = lambda _: False, seconds: float = 0.0) -> None:
        self._ends, self._seconds = ends, seconds
        self._held: dict[tuple[str, int], list[int]] = {}
        self._lock = threading.Lock()
        self.begun: Counter[str] = Counter()
        self.by: dict[int, list[str]] = {}
        self.done: Counter[int] = Counter()
        self.given_up: dict[int, str] = {}

    def begin(self, worker: Worker) -> None:
        self.begun[worker.name] += 1

    def do(self, worker: Worker, part: int) -> Iterable[int]:
        with self._lock:
            self.by.setdefault(part, []).append(worker.name)
        ask(worker, self._work, part)
        held = self._held.setdefault((worker.name, worker.lives), [])
        held.append(part)
        return self._finished([held.pop(0)] if len(held) > 1 else [])

    def finish(self, worker: Worker) -> Iterable[int]:
        return self._finished(self._held.pop((worker.name, worker.lives), []))

    def give_up(self, part: int, reason: str) -> None:
        self.given_up[part] = reason

    def _finished(self, parts: list[int]) -> list[int]:
        self.done.update(parts)
        return parts

    def _work(self, part: int) -> None:
        time.sleep(self._seconds)
        if self._ends(part):
            raise BrokenExecutor


def crew(workers: int, set_up: Callable[[str], Any] = lambda _: None) -> Crew:
    return Crew([Thread(str(i)) for i in range(workers)], set_up, lambda worker: [worker.name])


def handed_out(job: Tracing, parts: int, workers: int = 2) -> Crew:
    with crew(workers).at_work() as working:
        hand_out(job, range(parts), working)
    return working


@pytest.mark.parametrize(("parts", "workers"), [(1, 3), (7, 1), (50, 4)])
def test_every_part_is_done_once(parts: int, workers: int) -> None:
    job = Tracing()
    handed_out(job, parts, workers)
    assert job.done == Counter(range(parts))


def test_neighbours_meet_the_same_worker() -> None:
    job = Tracing(seconds=0.002)
    handed_out(job, 60, 3)
    workers = [job.by[part][0] for part in range(60)]
    changes = sum(one != other for one, other in pairwise(workers))
    assert changes < 20


def test_who_is_through_takes_over_from_others() -> None:
    slow = threading.Event()
    job = Tracing(ends=lambda part: slow.wait(0.5) and False if part == 0 else False)
    handed_out(job, 20)
    assert [job.by[part] for part in range(1, 10)] == [["1"]] * 9


def test_a_worker_that_ends_is_replaced_and_what_it_had_not_handed_in_is_done_again() -> None:
    tries = Counter[int]()

    def ends(part: int) -> bool:
        tries[part] += 1
        return part == 3 and tries[part] == 1

    job = Tracing(ends)
    handed_out(job, 8, 1)
    assert job.done == Counter(range(8))
    assert (tries[2], tries[3], tries[4]) == (2, 2, 1), "2 was done and not handed in"
    assert job.begun == {"0": 2}


def test_a_part_on_which_every_worker_ends_is_given_up() -> None:
    job = Tracing(lambda part: part == 5)
    handed_out(job, 10)
    assert job.done == Counter(set(range(10)) - {5})
    assert list(job.given_up) == [5]
    assert job.given_up[5] == f"the worker ended {AGAIN + 1} times on it: it broke"
    assert len(job.by[5]) == AGAIN + 1


def test_a_refusal_ends_the_work_and_what_was_begun_is_handed_in() -> None:
    class Refusing(Tracing):
        def _work(self, part: int) -> None:
            if part == 4:
                raise PrefbenchError("no such thing")

    job = Refusing()
    with pytest.raises(PrefbenchError, match="no such thing"):
        handed_out(job, 10, 1)
    assert job.done == Counter(range(4))


def test_a_worker_that_cannot_be_set_up_ends_the_work() -> None:
    def refuse(name: str) -> None:
        if name == "1":
            raise PrefbenchError("no weights")

    with pytest.raises(PrefbenchError, match="no weights"), crew(2, refuse).at_work() as working:
        hand_out(Tracing(), range(4), working)


def test_a_worker_that_ends_whenever_it_is_set_up_is_told() -> None:
    def end(_: str) -> None:
        raise BrokenExecutor

    with (
        pytest.raises(PrefbenchError, match=f"ended {AGAIN + 1} times while it was set up"),
        crew(1, end).at_work() as one,
    ):
        one.ready(one.workers[0])


def test_an_interrupt_stops_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prefbench.engines.hand_out.wait", interrupted)
    working = crew(2)
    with pytest.raises(KeyboardInterrupt), working.at_work():
        hand_out(Tracing(seconds=0.05), range(100), working)
    assert all(worker.stopped for worker in working.workers)  # type: ignore[attr-defined]


def test_nobody_waits_for_a_worker_that_is_not_ready_when_the_others_are_through() -> None:
    late = threading.Event()
    job = Tracing()
    with crew(2, lambda name: late.wait(30) if name == "1" else None).at_work() as working:
        hand_out(job, range(5), working)
        assert job.begun == {"0": 1}
        late.set()
    assert job.done == Counter(range(5))


def test_without_a_part_nobody_is_waited_for() -> None:
    late = threading.Event()
    with crew(1, lambda _: late.wait(30)).at_work() as working:
        hand_out(Tracing(), [], working)
        late.set()


class AwkwardError(Exception):
    """Pickles, but cannot be made again: its text alone is kept."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def _raise_awkward() -> None:
    raise AwkwardError("one", "two")


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    with pytest.raises(RuntimeError, match="AwkwardError: one and two"):
        perform(pickle.dumps((_raise_awkward, ())))
    with pytest.raises(ZeroDivisionError):
        perform(pickle.dumps((divmod, (1, 0))))
