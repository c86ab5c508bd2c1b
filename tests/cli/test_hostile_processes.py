"""Plug-ins that only a process of its own can be tried on: descriptors, forks, threads, Ctrl-C, exit handlers."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forked import Done, Server
from tests.support.hostile import arguments_of_run, method_of, rows_in, statuses, write

pytestmark = pytest.mark.slow
PRINTING = {
    "a descriptor": "os.write(1, b'spoilt')",
    "C code": "ctypes.CDLL(None).puts(b'spoilt')\nctypes.CDLL(None).fflush(None)",
    "another program": "os.system('echo spoilt')",
    "the first stream": "sys.__stdout__.write('spoilt'); sys.__stdout__.flush()",
    "an exit handler": "atexit.register(print, 'spoilt')",
    "a thread": "threading.Thread(target=lambda: [time.sleep(.01) or print('spoilt') for _ in range(200)]).start()",
    "a buffer": "sys.__stdout__.write('spoilt')",
}
LEAVING = {
    "a closed output": "sys.stdout.close()",
    "a closed descriptor": "os.close(1)",
    "a descriptor that leads elsewhere": "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
    "closed errors": "sys.stderr.close()",
    "no output": "sys.stdout = sys.__stdout__ = None",
    "another folder": "os.chdir('/')",
    "a child that comes back": "os.fork()",
    "a child that fails": "if not os.fork(): raise ValueError('no')",
    "an endless thread": "threading.Thread(target=lambda: time.sleep(10 ** 6)).start()",
    "a failing thread": "threading.Thread(target=lambda: 1 / 0).start()",
    "a failing end": "class D:\n    def __del__(self): raise ValueError('no')\nD()",
    "no device": "os.environ['CUDA_VISIBLE_DEVICES'] = ''",
    "an alarm": "signal.alarm(1)",
    "no Ctrl-C": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
}
OPTIONS = ("--no-score", "--json")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Where the processes come from."""
    made = Server()
    yield made
    made.close()


def run(server: Server, folder: Path, body: str, backbone: Path) -> Done:
    path = write(folder, method_of("generate", f"{body}\nreturn painted(requests)"))
    with server.started(arguments_of_run(path, backbone, "runs", *OPTIONS), folder) as command:
        return command.finish()


@pytest.mark.parametrize("body", PRINTING.values(), ids=PRINTING)
def test_json_stays_clean_whoever_writes(body: str, server: Server, tmp_path: Path, tiny_sd: Path) -> None:
    done = run(server, tmp_path, body, tiny_sd)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("body", LEAVING.values(), ids=LEAVING)
def test_what_a_method_leaves_behind_harms_nothing(body: str, server: Server, tmp_path: Path, tiny_sd: Path) -> None:
    done = run(server, tmp_path, body, tiny_sd)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert "Traceback" not in done.stderr
    lines = [line for path in tmp_path.glob("runs/*/samples/*.jsonl") for line in path.read_text().splitlines()]
    assert len([line for line in lines if '"status"' in line]) == 6, "no row twice, none elsewhere"
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 6}


def test_what_was_drawn_is_kept_and_continued_where_a_plug_in_ends_the_process(
    server: Server, tmp_path: Path, tiny_sd: Path
) -> None:
    flag = tmp_path / "once"
    body = f"if not os.path.exists({str(flag)!r}):\n    open({str(flag)!r}, 'w').close(); time.sleep(1); os._exit(0)"
    run(server, tmp_path, body, tiny_sd)
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 2}
    done = run(server, tmp_path, body, tiny_sd)
    assert done.returncode == 0, done.stderr
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 6}


STUBBORN = {
    "swallowed once": ("try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass", 1),
    "swallowed for ever": (
        "while True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        print('no', flush=True)", 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "presses"), STUBBORN.values(), ids=STUBBORN)
def test_a_method_that_swallows_ctrl_c_is_stopped(
    body: str, presses: int, server: Server, tmp_path: Path, tiny_sd: Path
) -> None:
    here = tmp_path / "here"
    path = write(tmp_path, method_of("generate", f"open({str(here)!r}, 'w').close()\n{body}\nreturn painted(requests)"))
    with server.started(arguments_of_run(path, tiny_sd, "runs", "--no-score"), tmp_path) as command:
        while not here.exists():
            os.kill(command.pid, 0)
            time.sleep(0.05)
        time.sleep(0.5)
        for _ in range(presses):
            os.kill(command.pid, signal.SIGINT)
            time.sleep(1.3)
        done = command.finish()
    assert done.returncode == 130, done.stderr
    assert "the same command continues where it stopped" in done.stderr
    assert "Traceback" not in done.stderr
    assert statuses(rows_in(tmp_path / "runs")) == {"ok": 2}
