"""Names, values, ids and prompts of every alphabet: read as written, or refused in one line with exit code 2."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.fuzzing.trial import SUITE, Trial, WrongError, command, last_line, refused, tiny_backbone
from prefbench import registry
from prefbench.api import Case, Sample, User
from prefbench.api.near import is_folder
from prefbench.cli.options import names_in
from prefbench.parameters import bind, parse_pairs
from prefbench.registry import Kind
from prefbench.run.folder import RunFolder
from prefbench.run.texts import check_cases, check_users

PIECES = ("a", "-", "_", ".", "..", "/", "\\", ":", ",", "=", "(", ")", "[", "]", "{0}", "%s", "%", "$HOME", "`id`",
    "'", '"',
          ";", "|", "*", "?", "~", " ", "\t", "\n", "\r", "\x1b[2J", "\x07", "\u202e", "\u200b", "\ud800",
          "\U0001f98a", "\0",
          "\xa0", "ﬁ", "É", "e\u0301", "１", "NaN", "1e999", "0x10", "1_000", "-1", "true", "none", "None", ".py",
          ".py:X",
          "file:///etc/passwd", "https://e.vil", "con", "nul", "\u2028", "@", "#", "<b>", "=cmd()", "x" * 300,
          "y" * 5000)  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
SHOWN = ("suite", "method", "control", "metric", "scorer", "extractor", "backbone", "mllm", "report")


def text(trial: Trial) -> str:
    """A text of some pieces, at times around a name that is known."""
    pieces = [trial.of(PIECES) for _ in range(trial.of((0, 1, 1, 2, 3, 6)))]
    if trial.chance(0.35):
        known = trial.of(registry.names(trial.of(KINDS)) or ["ours"])
        pieces.insert(trial.number(0, len(pieces) + 1), trial.of((known, known.upper(), known[1:], known + known[-1])))
    return "".join(pieces)


def _argument(given: str) -> str:
    """A text as a system can hand it to a program: without null characters, with bytes that are no UTF-8."""
    return given.replace("\0", "").replace("\ud800", "\udcff")


class _Chosen:
    """Parameters of every kind that constructors have."""

    def __init__(
        self, switch: Literal["a", "b"] = "a", whole: int = 0, real: float = 0.0, yes: bool = False, word: str = "",
        perhaps: int | None = None, some: tuple[float, ...] = (),
    ) -> None:  # fmt: skip
        pass


class Names:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.backbone = tiny_backbone(folder)
        self.deeds: Sequence[Callable[[Trial], str]] = (
            self._name_of_kind, self._option, self._option, self._shown, self._pairs, _value, _value, _value, _ids,
                _rows, _lists,
        )  # fmt: skip

    def answer(self, trial: Trial) -> str:
        return trial.of(self.deeds)(trial)

    def _name_of_kind(self, trial: Trial) -> str:
        kind, name = trial.of(KINDS), text(trial)
        if name in registry.names(kind) or name.partition(":")[0] in registry.families(kind):
            return "known"
        work = trial.of((registry.load, registry.check_source, registry.check_name))
        accepted = refused(lambda: (work(kind, name), True)[1])[0]
        if accepted and not (work is registry.check_source and is_folder(name)):
            raise WrongError(f"{kind} {name[:80]!r} is taken for one")
        return "refused" if not accepted else "a folder"

    def _option(self, trial: Trial) -> str:
        """One option of `run` that cannot be right."""
        options: dict[str, str] = {
            "--method": "prompt-only", "--suite": SUITE, "--backbone": str(self.backbone),
            "--out": str(trial.folder / "runs"),
        }  # fmt: skip
        option = trial.of(("--method", "--suite", "--split", "--control", "--backbone", "--metrics", "--device",
            "--dtype",
                           "--steps", "--users", "--guidance", "--batch", "-p", "-s", "--allow-failures"))  # fmt: skip
        given = text(trial)
        right = {
            *(name for kind in KINDS for name in registry.names(kind)),
            "",
            "cpu",
            "test",
            "train",
            "val",
            "scorer",
        }
        if given.strip() in right or _is_number(given) or is_folder(given) or not names_in(given):
            given = f"no such {given}"
        given = _argument(given)
        words = [word for pair in {**options, option: given}.items() for word in pair]
        done = command("run", *words, "--no-score")
        if done.code != 2 or (trial.folder / "runs").exists():
            raise WrongError(f"{option} {given[:80]!r}: exit code {done.code}: {done.err[-300:]}")
        if not last_line(done.err).startswith(("prefbench: ", "Error: ")):
            raise WrongError(f"{option} {given[:80]!r}: the last line is {last_line(done.err)[:200]!r}")
        return "refused by run"

    def _shown(self, trial: Trial) -> str:
        name = _argument(text(trial))
        verb = trial.of(("show", "list", "report", "score", "audit", "check", "power", "compare"))
        kind = trial.of(SHOWN)
        words = {
            "show": [kind, name],
            "check": [trial.of(("method", "metric", "suite", "report", "scorer")), f"no such {name}"],
        }
        done = command(verb, "--", *words.get(verb, [f"no such {name}"]))
        if done.code != 2 and not (verb == "show" and _is_known(kind, name)):
            raise WrongError(f"{verb} {name[:80]!r}: exit code {done.code}")
        return f"{verb} refused" if done.code else "shown"

    def _pairs(self, trial: Trial) -> str:
        given = text(trial)
        parsed, refusal = refused(lambda: parse_pairs([given]))
        name, separator, value = given.partition("=")
        if parsed is None:
            return _expect(not separator or not name, f"{given[:80]!r} was refused: {refusal[:100]}", "refused")
        return _expect(parsed == {name: value}, f"{given[:80]!r} was read as {parsed}", "right")


def _value(trial: Trial) -> str:
    """A parameter's text against what Python's own readers make of it."""
    name = trial.of(("switch", "whole", "real", "yes", "word", "perhaps", "some"))
    digits = str(
        trial.of((trial.number(-99, 99), trial.rng.normal(), 10**30, "1e5", " 7 ", "+3", "0.0", "-0", ".5", "5."))
    )
    given = trial.of((digits, digits, trial.of(("true", "False", "none", "a", "b", "yes", "1", "0", "")), text(trial)))
    bound, refusal = refused(lambda: bind(_Chosen, {name: given}))
    expected = _expected(name, given)
    if bound is None:
        return _expect(
            expected is _REFUSED or expected is _EITHER,
            f"{name}={given[:80]!r} was refused: {refusal[:100]}",
            "refused",
        )
    value = bound[name]
    if expected is _REFUSED:
        raise WrongError(f"{name}={given[:80]!r} was read as {value!r:.80}")
    if expected is not _EITHER and (type(value), repr(value)) != (type(expected), repr(expected)):
        raise WrongError(f"{name}={given[:80]!r} was read as {value!r:.80}, not {expected!r:.80}")
    return "right"


_REFUSED, _EITHER = object(), object()


def _expected(name: str, given: str) -> Any:
    """What a parameter must be read as."""
    if name == "word":
        return given
    if name == "switch":
        return given if given in ("a", "b") else _REFUSED
    if name == "yes":
        known: Mapping[str, Any] = {"true": True, "false": False}
        return known.get(given.lower(), _EITHER if given.lower() in _TRUTHS else _REFUSED)
    if name == "some":
        numbers = [_number(one.strip()) for one in given.split(",") if one.strip()]
        return _REFUSED if None in numbers else tuple(numbers)
    if name == "perhaps" and given.lower() == "none":
        return None
    try:
        number = float(given) if name == "real" else int(given)
    except ValueError:
        return _REFUSED
    return number if math.isfinite(number) else _REFUSED


_TRUTHS = {"1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"}


def _number(given: str) -> float | None:
    try:
        number = float(given)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_number(given: str) -> bool:
    return _number(given) is not None


def _is_known(kind: str, name: str) -> bool:
    families = registry.families(kind)  # type: ignore[arg-type]
    return name in registry.names(kind) or name.partition(":")[0] in families  # type: ignore[arg-type]


def _ids(trial: Trial) -> str:
    """Ids and prompts as suites give them: refused where UTF-8 or a row cannot hold them."""
    one, other = text(trial), text(trial)
    value: Any = trial.of((one, one, one, 7, None, b"x", ("a",), float("nan")))
    work = trial.of((
        lambda: check_users("suite 'x'", [User(value, "test"), User(other, "test")]),
        lambda: check_cases("suite 'x'", [Case("a", "u", value), Case("b", "u", other)]),
        lambda: check_cases("suite 'x'", [Case(value, "u", "p"), Case(other, "u", "q")]),
    ))  # fmt: skip
    _, refusal = refused(work)
    unfit = not isinstance(value, str) or value == other or not _is_utf8(value) or not _is_utf8(other)
    return _expect(
        bool(refusal) or not unfit, f"{value!r:.80} and {other!r:.80} were taken", "refused" if refusal else "taken"
    )


def _rows(trial: Trial) -> str:
    """A row of any texts comes back as it was, or is refused before it is stored."""
    words = [text(trial) for _ in range(4)]
    sample = Sample(words[0], words[1], "case", words[2], 0, 1, "failed", error=words[3])
    if trial.chance(0.2):
        odd: Any = trial.of((-1, 1.5, None, True, "1", 2**80, float("nan")))
        sample = replace(sample, **{trial.of(("index", "seed", "nfe", "seconds", "key")): odd})
    folder = RunFolder(trial.folder / "run")
    _, refusal = refused(lambda: folder.append_samples([sample]))
    if refusal:
        return "refused"
    stored = list(folder.samples().values())
    return _expect(stored == [sample], f"{sample!r:.300} came back as {stored!r:.300}", "right")


def _lists(trial: Trial) -> str:
    """Names with commas: joined again they are what was given."""
    given = text(trial)
    parts = names_in(given)
    return _expect("".join(given.split()).count("x") == "".join(parts).count("x"), f"{given!r} lost letters", "right")


def _is_utf8(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _expect(holds: bool, otherwise: str, outcome: str) -> str:
    if not holds:
        raise WrongError(otherwise)
    return outcome
