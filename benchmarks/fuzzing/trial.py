"""What every campaign shares: the real command in this process, and what counts as a good answer of it."""

from __future__ import annotations

import json
import logging
import math
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from click.testing import CliRunner

from prefbench.api import PrefbenchError, printable
from prefbench.cli.main import main
from prefbench.suites.picturebook.miniatures.mini_sd import build_mini_sd

T = TypeVar("T")
WORLD = Path(__file__).with_name("world.py")
SUITE, METHOD = f"{WORLD}:World", f"{WORLD}:Painter"
METRICS = f"{WORLD}:Redness,fid,diversity"
_LINE_LIMIT = 8100


class WrongError(Exception):
    """The input was answered wrongly; the text says how."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Trial(NamedTuple):
    """One input: its randomness and an empty folder of its own."""

    rng: np.random.Generator
    folder: Path

    def of(self, choices: Sequence[T]) -> T:
        """One of some choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def number(self, least: int, beyond: int) -> int:
        """A whole number, `beyond` left out."""
        return int(self.rng.integers(least, beyond))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


def command(*arguments: str, interrupted: bool = False) -> Done:
    """Runs the command line in this process, of which 130 is a right end where something presses Ctrl-C.

    Raises:
        WrongError: a traceback, another exit code than 0, 1 and 2, or spoilt JSON.
    """
    logging.getLogger().handlers.clear()  # those of the command before write to a stream that is closed
    result = CliRunner().invoke(main, list(arguments))
    shown = " ".join(arguments)
    if not isinstance(result.exception, SystemExit | None):
        raise WrongError(f"{shown}: {type(result.exception).__name__}: {result.exception}") from result.exception
    if "Traceback" in result.output:
        raise WrongError(f"{shown}: a traceback: {result.output[-1500:]}")
    if result.exit_code not in (0, 1, 2, *([130] if interrupted else [])):
        raise WrongError(f"{shown}: exit code {result.exit_code}: {result.output[-500:]}")
    if "--json" in arguments and result.stdout.strip():
        json.loads(result.stdout, parse_constant=_not_json)
    if result.exit_code == 2:
        check_line(last_line(result.stderr))
    return Done(result.exit_code, result.stdout, result.stderr)


def _not_json(name: str) -> None:
    raise WrongError(f"{name} in the JSON")


def last_line(text: str) -> str:
    return (text.splitlines() or [""])[-1]


def check_line(line: str) -> None:
    """Raises `WrongError` for a message that is no line for people."""
    unfit = any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in line)
    if not line.strip() or unfit or len(line) > _LINE_LIMIT:
        raise WrongError(f"not one printable line: {line[:300]!r}")


def refused(work: Callable[[], T]) -> tuple[T | None, str]:
    """What some work returns, or the line of its refusal."""
    try:
        return work(), ""
    except PrefbenchError as error:
        check_line(printable(str(error)))
        return None, str(error)


def exact(value: Any) -> Any:
    """Plain data in which equal means equal bit by bit."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes() if value.dtype != object else repr(value.tolist()))
    if isinstance(value, dict):
        return {key: exact(entry) for key, entry in value.items()}
    return [exact(entry) for entry in value] if isinstance(value, list | tuple) else value


def tiny_backbone(folder: Path) -> Path:
    """`mini-sd` untrained, as a folder that all campaigns share."""
    path = folder / "backbone"
    if not path.is_dir():
        build_mini_sd().save_pretrained(path)
    return path


def arguments_of_run(backbone: Path, out: Path, method: str = METHOD, suite: str = SUITE) -> list[str]:
    options = {"--method": method, "--suite": suite, "--backbone": backbone, "--device": "cpu", "--steps": 1}
    return ["run", *(str(word) for pair in options.items() for word in pair), "--samples", "2", "--out", str(out)]


def copied(run: Path, place: Path) -> Path:
    """A copy of a run folder."""
    return Path(shutil.copytree(run, place, symlinks=True))
