"""Methods that end the process that draws, and one whose profile is no plain data; they draw without a model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prefbench.api import Drawing, History, Method, MethodCard, Profile, Request


def paint(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


class Ending(Method):
    """Ends its process where it draws for a seed, or makes the profile of somebody who likes one colour.

    Args:
        marks: a folder in which each start of a drawing or a profile is a file.
        end: `exit`, `kill`, or nothing.
        at: the seeds whose drawing ends the process, and the profiles whose making does, with commas.
        times: how often it ends before it draws.
        seconds: that a batch takes, unless a file `hurry` is among the marks.
    """

    card = MethodCard(name="ending", version="1", summary="ends its process")

    def __init__(self, *, marks: str = "", end: str = "", at: str = "", times: int = 99, seconds: float = 0.0) -> None:
        self.marks, self.end, self.at, self.times, self.seconds = marks, end, at, times, seconds

    def profile(self, history: History) -> Profile:
        self._mark(f"profile-{history.digest[:12]}")
        self._end_at(f"profile-{history.digest[:12]}")
        return Profile(history.user, self.payload(history))

    def payload(self, history: History) -> object:
        return {"liked": len(history.liked)}

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        self._mark("batch")
        for request in requests:
            self._end_at(str(request.seed))
        time.sleep(0 if Path(self.marks, "hurry").exists() else self.seconds)
        return [Drawing(paint(request.seed), request.prompt, 1) for request in requests]

    def _end_at(self, place: str) -> None:
        if place in self.at.split(",") and len(list(Path(self.marks).glob("end-*"))) < self.times:
            self._mark("end")
            if self.end == "exit":
                os._exit(3)
            os.kill(os.getpid(), signal.SIGKILL)

    def _mark(self, what: str) -> None:
        if self.marks:
            Path(self.marks, f"{what}-{os.getpid()}-{time.monotonic_ns()}").touch()


class Liking:
    """No plain data."""

    def __init__(self, count: int) -> None:
        self.count = count


class Odd(Ending):
    """Its profile is an object of its own class, which drawing asks for."""

    card = MethodCard(name="odd", version="1", summary="an object of its own as profile")

    def payload(self, history: History) -> object:
        return Liking(len(history.liked))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        assert all(request.profile.payload.count == 3 for request in requests)
        return super().generate(requests)


class Unready(Ending):
    """Cannot be set up."""

    card = MethodCard(name="unready", version="1", summary="cannot be set up")

    def setup(self, _: object) -> None:
        raise RuntimeError("no weights")
