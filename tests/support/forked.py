"""The command `prefbench` in processes forked from one that has imported everything: no child imports torch again.

A child is a process of its own from then on: it has the descriptors, folder and environment that it is given, runs
`main` at the top level of its program, and ends as Python ends, with its exit handlers, threads and finalizers.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple


class Done(NamedTuple):
    """How a command ended and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


class Command:
    """A command that has been started."""

    def __init__(self, out: IO[str], err: IO[str], told: IO[str]) -> None:
        self._streams, self._told = (out, err), told
        self.pid = int(told.readline())
        self.done: Done | None = None

    def finish(self) -> Done:
        """Waits until the command and all that it left behind have closed their output."""
        with ThreadPoolExecutor(2) as readers:
            out, err = readers.map(lambda stream: stream.read(), self._streams)
        self.done = Done(int(self._told.readline()), out, err)
        return self.done


class Server:
    """The process that children are forked from, one at a time."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair()
        # Standard streams are pipes, as a child's will be: Python asks them at its start whether they can seek.
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        theirs.close()

    @contextmanager
    def started(self, arguments: Sequence[str], folder: Path) -> Iterator[Command]:
        """Starts `prefbench ARGUMENTS` in a folder. What is not finished in the end is killed."""
        pipes = [os.pipe() for _ in ("out", "err", "told")]
        socket.send_fds(self._link, [json.dumps([str(folder), [*arguments]]).encode()], [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        out, err, told = (os.fdopen(read, errors="replace") for read, _ in pipes)
        with out, err, told:
            command = Command(out, err, told)
            try:
                yield command
            finally:
                if command.done is None:
                    os.kill(command.pid, signal.SIGKILL)

    def close(self) -> None:
        self._link.close()
        self._process.communicate(timeout=60)


def _serve(link: socket.socket) -> None:
    """Forks a child for each request, tells its number and, once it has ended, its exit code. Returns in the child."""
    while True:
        request, fds, _, _ = socket.recv_fds(link, 1 << 16, 3)
        if not request:
            os._exit(0)
        child = os.fork()
        if not child:
            link.close()
            folder, arguments = json.loads(request)
            return _become(folder, arguments, fds)
        *streams, told = fds
        for fd in streams:
            os.close(fd)
        # A test that failed no longer listens; the next one is served all the same.
        with suppress(BrokenPipeError), os.fdopen(told, "w", buffering=1) as teller:
            print(child, file=teller)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=teller)


def _become(folder: str, arguments: list[str], fds: list[int]) -> None:
    """Makes this process the one that was asked for."""
    for number, fd in enumerate(fds[:2], start=1):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    os.chdir(folder)
    sys.argv[1:] = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    import prefbench.cli.outcome
    import prefbench.run.execute
    import prefbench.suites.picturebook.miniatures.mini_sd  # noqa: F401
    from prefbench.cli.main import main

    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
