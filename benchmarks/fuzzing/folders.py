"""Links, pipes, devices, sockets, giants and folders in the places of a run folder's files, and every verb on them.

Nothing outside of the run folder may change: beside it stands a folder of somebody's documents, which links lead to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzzing.rows import PARTS, Rows, judged
from benchmarks.fuzzing.trial import Trial, WrongError, copied

NAMES = (".lock", ".owner", "report", "report/report.md", "report/rows.csv", "features", "scores", "images", "samples",
         "profiles", "profiles.jsonl", "representations", "starts.jsonl", "samples.parquet", "run.json", "summary.json",
         "samples/1.jsonl", "scores/kid.jsonl", "samples/0.jsonl", ".prefbench-0123456789abcdef.tmp")  # fmt: skip
"""Files and folders of a run, some of them not there yet."""


class Folders:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows(folder)

    def answer(self, trial: Trial) -> str:
        run = copied(self.rows.run, trial.folder / self.rows.run.name)
        documents = _documents(trial.folder / "documents")
        for _ in range(trial.of((1, 1, 1, 2, 3))):
            name = trial.of(NAMES) if trial.chance(0.6) else str(trial.of(self.rows.files))
            _put(trial, run, name, documents)
        before, verb = _snapshot(documents), trial.of(("load", "score", "report", "show", "audit", "run"))
        if verb == "load":
            ended = judged(self.rows.numbers, run)
        else:
            done = self.rows.said(run, verb)
            ended = f"{verb} ends with {done[0]}"
            if verb in ("run", "score") and done[0] == 0:
                parts = {part: self.rows.numbers[part] for part in PARTS}
                judged(parts, run, heard=done[2])
        if _snapshot(documents) != before:
            raise WrongError(f"{verb} changed files outside of the run folder")
        if strays := {path.name for path in trial.folder.iterdir()} - {run.name, documents.name}:
            raise WrongError(f"{verb} left {strays} beside the run folder")
        return ended


def _documents(folder: Path) -> Path:
    """Files like those that prefbench writes and cleans away."""
    for parent in (folder, folder / "zz"):
        parent.mkdir()
        for name in ("report.md", "rows.csv", "0.jsonl", "fid.jsonl", "run.json", ".prefbench-0123456789abcdef.tmp"):
            (parent / name).write_text("mine\n")
    return folder


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its rights and content."""
    paths = sorted(folder.rglob("*"))
    return {str(p): (p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in [folder, *paths]}


def _put(trial: Trial, run: Path, name: str, documents: Path) -> None:
    """Puts something odd in the place of a file or folder."""
    path = run / name
    if not path.parent.is_dir() or path.parent.resolve() != path.parent.absolute():
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    targets = (documents, documents / "zz", documents / "run.json", documents / "absent", Path("/dev/zero"),
               Path("/dev/full"), Path("/proc/self/mem"), path, run, Path(".."), Path("/dev/stdin"))  # fmt: skip
    deeds: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(trial.of(targets)),
        "second name": lambda: os.link(documents / trial.of(("run.json", "zz/report.md")), path),
        "pipe": lambda: os.mkfifo(path),
        "giant": lambda: _giant(path, trial.of((2**31, 2**36, 2**40))),
        "folder": lambda: (path / trial.of(("x", "a.jsonl", "b.npz"))).mkdir(parents=True),
        "file": lambda: path.write_bytes(trial.rng.bytes(20)),
        "socket": lambda: _socket(path),
        "nothing": lambda: None,
    }
    deeds[trial.of(("link", "link", "link", *deeds))]()


def _giant(path: Path, size: int) -> None:
    """A file without content that says it is large."""
    with path.open("wb") as file:
        file.truncate(size)


def _socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as end:  # the name of a socket is short
        end.bind(path.name)
