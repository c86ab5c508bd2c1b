"""Damaged, edited, lost, repeated, moved and foreign content of a run folder, and the verbs that read it.

Every number that is read must equal that of the whole run bit by bit, or be refused, or come with a line that says what
is left out. Edits whose digests somebody made fit again are another run's numbers; those may only be refused or read.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing import damage
from benchmarks.fuzzing.trial import (
    METRICS,
    SUITE,
    Trial,
    WrongError,
    arguments_of_run,
    command,
    copied,
    exact,
    last_line,
    refused,
    tiny_backbone,
)
from prefbench.run.folder import RunFolder
from prefbench.run.journal import Journal, _chained
from prefbench.run.lines import sha256, unsealed
from prefbench.run.row_kinds import PROFILES, REPRESENTATIONS, SAMPLES
from prefbench.run.stamps import stamped
from prefbench.run.tables import table_bytes
from prefbench.score.scored_folder import ScoredFolder

DERIVED = ("report", "samples.parquet", ".owner", ".lock")
"""What is made from the rest and read by no verb."""
Numbers = dict[str, Any]


class Rows:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.backbone = tiny_backbone(folder)
        self.run, self.other = (
            _run(self.backbone, folder / "rows" / name, seed) for name, seed in (("one", 0), ("other", 1))
        )
        files = [path for path in sorted(self.run.rglob("*")) if path.is_file()]
        self.files = [
            path.relative_to(self.run) for path in files if path.relative_to(self.run).parts[0] not in DERIVED
        ]
        self.numbers = numbers(self.run)
        self.tables = {verb: self.said(self.run, verb) for verb in ("score", "report", "show")}

    def answer(self, trial: Trial) -> str:
        run = copied(self.run, trial.folder / self.run.name)
        if trial.chance(0.12):
            return self._sealed(trial, run)
        for _ in range(trial.of((1, 1, 1, 2, 4))):
            self._damage(trial, run)
        verb = trial.of(("load",) * 12 + ("score", "report", "show", "audit", "run"))
        if verb == "load":
            return judged(self.numbers, run)
        return self._of_verb(run, verb)

    def _damage(self, trial: Trial, run: Path) -> None:
        """Damages one file, more often one that holds rows."""
        rows = [name for name in self.files if name.suffix in (".json", ".jsonl")]
        name = trial.of(rows if trial.chance(0.8) else self.files)
        path, deed = run / name, trial.of(("lines", "lines", "lines", "bytes", "bytes", "delete", "copy", "all"))
        if not path.is_file():
            return
        data, foreign = path.read_bytes(), self._foreign(trial, name)
        is_text = name.suffix in (".json", ".jsonl")
        if deed == "delete":
            path.unlink()
        elif deed == "copy":
            beside = path.with_name(trial.of(("1", "copy", "redness", "fid", "0 (1)", "\u202e", "a%2Fb")) + path.suffix)
            beside.write_bytes(trial.of((data, foreign)))
        elif deed == "all" and is_text:
            path.write_text(damage.edited(trial, data.decode(errors="replace")), errors="surrogatepass")
        elif deed == "lines" and is_text:
            path.write_bytes(damage.on_lines(trial, data, foreign))
        else:
            path.write_bytes(damage.on_bytes(trial, data, foreign))

    def _foreign(self, trial: Trial, name: Path) -> bytes:
        """A file of another run of the same place or kind."""
        same = self.other / name
        everything = [*sorted(self.other.rglob(f"*{name.suffix}")), *sorted(self.run.rglob(f"*{name.suffix}"))]
        alike = [path for path in everything if path.is_file() and path.suffix == name.suffix]
        return (same if same.is_file() and trial.chance(0.7) else trial.of(alike)).read_bytes()

    def _sealed(self, trial: Trial, run: Path) -> str:
        """An edit whose digests fit: the schema alone is left to refuse it."""
        sealing = trial.of(("run.json", "summary.json", "samples/0.jsonl", "profiles.jsonl", "scores"))
        if sealing.endswith(".json"):
            path = run / sealing
            content = {
                name: one for name, one in json.loads(path.read_text()).items() if name not in ("format", "sha256")
            }
            text = damage.edited(trial, json.dumps(content))
            path.write_text(json.dumps(stamped(_loads(text))) if _is_object(text) else text, errors="surrogatepass")
        elif sealing == "scores":
            path = trial.of(sorted((run / "scores").glob("*.jsonl")))
            header, *rows = (json.loads(line) for line in path.read_bytes().splitlines())
            header = {name: one for name, one in header.items() if name not in ("format", "rows", "digest")}
            picked = trial.number(-1, len(rows))
            text = damage.edited(trial, json.dumps(header if picked < 0 else rows[picked]))
            if _is_object(text):
                header, rows = (
                    (_loads(text), rows)
                    if picked < 0
                    else (header, [*rows[:picked], _loads(text), *rows[picked + 1 :]])
                )
                path.write_bytes(table_bytes(header, rows))
        else:
            _reseal(trial, run, sealing)
        verb = trial.of(("load", "load", "show", "report", "score", "audit"))
        if verb != "load":
            self.said(run, verb)
            return f"{verb} of sealed edits"
        _, refusal = refused(lambda: numbers(run))
        return "refused though sealed" if refusal else "read as sealed"

    def _of_verb(self, run: Path, verb: str) -> str:
        done = self.said(run, verb)
        if verb in ("run", "score") and done[0] == 0:
            return judged(self.numbers, run, heard=done[2]) + f" after {verb}"
        expected = self.tables.get(verb, done)[1]
        if done[0] == 0 and not done[2].strip() and _shown(done[1]) != _shown(expected):
            raise WrongError(f"{verb} shows other numbers without a word")
        return f"{verb} refused" if done[0] else f"{verb} equal or warned"

    def said(self, run: Path, verb: str) -> tuple[int, Any, str]:
        """Exit code, JSON and standard error of a verb on a run folder."""
        more = ["--metrics", METRICS] if verb in ("score", "run") else []
        suite = [] if verb in ("show", "run") else ["--suite", SUITE]
        first = arguments_of_run(self.backbone, Path()) if verb == "run" else [verb, run.name]
        with contextlib.chdir(run.parent):
            done = command(*first, *more, *suite, "--json")
        return done.code, json.loads(done.out or "null"), _told(done.err)


def _shown(content: Any) -> Any:
    """What a verb shows, without its count of what is there."""
    return {k: v for k, v in content.items() if k not in ("drawn", "scored")} if isinstance(content, dict) else content


def _told(err: str) -> str:
    """The lines that warn or refuse; the rest of standard error is about how far the command is."""
    return "\n".join(line for line in err.splitlines() if line.startswith(("WARNING", "prefbench:", "left out", "no ")))


def _run(backbone: Path, out: Path, seed: int) -> Path:
    done = command(*arguments_of_run(backbone, out), "--metrics", METRICS, "--seed", str(seed))
    if done.code:
        raise WrongError(f"the run to be damaged ends with {done.code}: {last_line(done.err)}")
    return next(path.parent for path in out.glob("*/run.json"))


def numbers(run: Path) -> Numbers:
    """Everything that the verbs take from a run folder, exact to the bit. Raises `PrefbenchError` as they do."""
    folder = RunFolder(run)
    opened = ScoredFolder.open(run)
    profiles, states = folder.profiles(), folder.representations()
    columns = {
        name: exact(
            [vars(one.scores), [one.direction, one.unit, one.question, one.extractor, one.unranked, one.scorer]]
        )
        for name, one in opened.columns().items()
    }
    return {
        "description": exact(opened.description),
        "samples": exact([SAMPLES.plain(sample) for sample in opened.samples]),
        "images": [np.asarray(opened.image(s.image)).tobytes() for s in opened.samples if s.image],
        "columns": columns,
        "sets": {name: exact(dict(opened.set_values(name))) for name in opened.set_metrics()},
        "summary": [exact(vars(row)) for row in opened.summary()],
        "cost": exact(vars(opened.cost())),
        "drawn": repr(opened.drawn()),
        "profiles": {key: exact(PROFILES.plain(row)) for key, row in profiles.items()},
        "representations": {key: exact(REPRESENTATIONS.plain(row)) for key, row in states.items()},
        "starts": len(folder.starts()),
    }


PARTS = ("description", "samples", "images", "columns", "sets", "summary")
"""What a run that was drawn or scored again must equal; times, memory and starts are its own."""


def judged(expected: Mapping[str, Any], run: Path, heard: str = "") -> str:
    """How the numbers of a folder compare with those of the whole run."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.handlers.clear()
    root.addHandler(handler)
    try:
        found, refusal = refused(lambda: numbers(run))
    finally:
        root.removeHandler(handler)
    if found is None:
        return "refused" if refusal else ""
    differing = [part for part in expected if found[part] != expected[part] and not _is_rest(part, found, expected)]
    if not differing:
        return "equal"
    if lines or heard:
        return "warned"
    raise WrongError(f"other numbers without a word: {', '.join(differing)}")


def _is_rest(part: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether rows that no number stands on were lost at the end, which the next run does again."""
    if part == "starts":
        return bool(found[part] <= expected[part])
    lost = part == "representations" and found[part].keys() <= expected[part].keys()
    return lost and all(found[part][key] == expected[part][key] for key in found[part])


def _is_object(text: str) -> bool:
    try:
        return isinstance(_loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _loads(text: str) -> Any:
    return json.loads(text)


def _reseal(trial: Trial, run: Path, name: str) -> None:
    """Edits one row of a journal and makes all sums fit."""
    path = run / name
    header, *lines = path.read_bytes().splitlines()
    bare = [unsealed(line, "sum", 16)[0] for line in lines]
    picked = trial.number(0, len(bare))
    bare[picked] = damage.edited(trial, bare[picked].decode()).encode(errors="surrogatepass")
    journal: Journal[Any] = RunFolder(run)._journal(name, SAMPLES)
    sums = list(_chained(bare, sha256(header)[:16]))
    path.write_bytes(b"\n".join([journal._header, *sums]) + b"\n")
