"""A run folder that was damaged or edited anywhere gives the same numbers or one line, never a traceback.

Each mutation is of one file of a copied folder; the numbers are all that reports read. What a kill can do is no damage.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError
from prefbench.run.folder import RunFolder
from prefbench.run.row_kinds import StartRow
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from tests.support.stored import profile
from tests.support.toy_runs import USERS, build

VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**70, 1e300, -1e300, float("nan"), float("inf"), "", "x" * 5000, "\x1b[31m", "ann", [], {},
    [[]], {"a": 1}, "0" * 64, "../../etc", 0.123456789,
]  # fmt: skip
DEEP = b'{"a":' * 100_000
STARTS = [StartRow("2026-01-01T00:00:00+00:00", 4, None, None, {"torch": "2"})]
Lines = list[bytes]


def fill(folder: Path, method: str, level: float) -> Path:
    """A scored run of every kind of file that reports read."""
    run = build(folder, method, {"ann": level, "bob": None, "cyd": level + 0.2})
    for i, user in enumerate(USERS):
        run.folder.append_profile(profile(user, f"{i}" * 64, seconds=0.25 * i, bytes=10 * i, trained_parameters=i))
    for start in STARTS:
        run.folder.append_start(start)
    store_summary(ScoredFolder.open(folder))
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("sound") / "run", "ours", 0.5)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("foreign") / "run", "theirs", 0.7)


def numbers(path: Path) -> Any:
    """All that reports and audits read of a run."""
    run = ScoredFolder.open(path)
    run.check()
    columns = {name: repr((c, c.scores.values.tolist(), c.scores.users.tolist())) for name, c in run.columns().items()}
    sets = {name: (run.set_values(name), run.set_size(name)) for name in run.set_metrics()}
    described = {name: run.description[name] for name in ("spec", "method", "kinds", "planned", "command")}
    folder = RunFolder(path)
    stored = [asdict(sample) for sample in run.samples], [asdict(row) for row in folder.profiles().values()]
    assert folder.starts() in ([], STARTS), "a start that a kill cut off shows in no number"
    summary = [asdict(row) for row in run.summary()], run.cost(), run.drawn(), run.undrawn, run.headers
    return repr((columns, sets, json.dumps(described, sort_keys=True), stored, summary))


def jump(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, lost or put in."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 3))):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(b'0123456789"{}[],:\n\\x ')
        elif kind == 2:
            del data[at : at + rng.choice((1, 2, 50))]
        else:
            data[at:at] = rng.choice((b"0", b"\n", b"\x00", b'"', b"{}\n", b"\xff"))
        data = data or bytearray(b" ")
    return bytes(data)


def on_lines(change: Callable[[random.Random, Lines], Lines]) -> Callable[[random.Random, bytes], bytes]:
    return lambda rng, content: b"".join(change(rng, content.splitlines(keepends=True) or [b"\n"]))


def swap(rng: random.Random, lines: Lines) -> Lines:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def without_one(rng: random.Random, lines: Lines) -> Lines:
    del lines[rng.randrange(len(lines))]
    return lines


def doubled(rng: random.Random, lines: Lines) -> Lines:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return lines


def retyped(rng: random.Random, content: bytes) -> bytes:
    """One value of one JSON object replaced, dropped or added, anywhere in it; another spelling of JSON too."""
    lines = content.splitlines()
    whole = content.startswith(b"{\n")
    i = 0 if whole else rng.randrange(len(lines))
    record = json.loads(content if whole else lines[i])
    place = rng.choice(list(places(record)))
    if isinstance(place, dict) and (not place or rng.random() < 0.2):
        place[rng.choice(["user", "format", "rows", "sha256", "sum", "more"])] = rng.choice(VALUES)
    else:
        name = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if rng.random() < 0.2:
            del place[name]
        else:
            place[name] = rng.choice(VALUES)
    text = json.dumps(record, sort_keys=True, indent=rng.choice((None, 1)) if whole else None).encode()
    return text + b"\n" if whole else b"\n".join([*lines[:i], text, *lines[i + 1 :]]) + b"\n"


def places(record: Any) -> Iterator[Any]:
    """All objects and non-empty lists within a record."""
    if isinstance(record, dict) or (isinstance(record, list) and record):
        yield record
        for value in record.values() if isinstance(record, dict) else record:
            yield from places(value)


MUTATIONS: Mapping[str, Callable[[random.Random, bytes], bytes]] = {
    "bytes": jump,
    "swap": on_lines(swap),
    "without": on_lines(without_one),
    "doubled": on_lines(doubled),
    "retyped": retyped,
    "cut": lambda rng, content: content[: rng.randrange(len(content))],
    "empty": lambda *_: b"",
    "nested": lambda rng, content: rng.choice((DEEP, content + DEEP, b"[" * 10**6)),
    "zeros": lambda _, content: bytes(len(content)),
}


def mutate(rng: random.Random, path: Path, foreign: Path) -> str:
    """Mutates one file of a folder and says what was done."""
    names = sorted(str(one.relative_to(path)) for one in path.rglob("*.json*"))
    name = rng.choice(names)
    file = path / name
    what = rng.choice([*MUTATIONS, "gone", "foreign", "moved"])
    if what == "gone":
        file.unlink()
    elif what == "foreign" and (foreign / name).exists():
        shutil.copyfile(foreign / name, file)
    elif what in ("foreign", "moved"):
        others = [other for other in names if other != name]
        shutil.copyfile(path / rng.choice(others), file)
    else:
        file.write_bytes(MUTATIONS[what](rng, file.read_bytes()))
    return f"{what} {name}"


def outcome(seed: int, sound: Path, foreign: Path, scratch: Path, expected: str) -> str:
    """Nothing where the folder is refused in one line or gives the numbers that it gave; else what went wrong."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(sound, scratch, ignore=shutil.ignore_patterns("images"))
    what = mutate(random.Random(seed), scratch, foreign)
    try:
        same = numbers(scratch) == expected
    except PrefbenchError as error:
        return f"{seed} {what}: {error}" if "\n" in str(error) or "\x1b" in str(error) or len(str(error)) > 900 else ""
    except Exception as error:  # whatever it is, it is the defect
        return f"{seed} {what}: {type(error).__name__}: {error}"
    return "" if same else f"{seed} {what}: other numbers"


@pytest.mark.slow
def test_damage_of_any_file_is_one_line_and_never_other_numbers(sound: Path, foreign: Path, tmp_path: Path) -> None:
    expected = numbers(sound)
    wrong = [outcome(seed, sound, foreign, tmp_path / "run", expected) for seed in range(400)]
    assert [line for line in wrong if line] == []


@pytest.mark.slow
def test_thousands_of_damages_are_one_line_and_never_other_numbers(sound: Path, foreign: Path, tmp_path: Path) -> None:
    expected = numbers(sound)
    wrong = [outcome(seed, sound, foreign, tmp_path / "run", expected) for seed in range(1000, 6000)]
    assert [line for line in wrong if line] == []


@pytest.mark.slow
def test_damage_of_a_folder_without_digests_is_one_line(tmp_path: Path, foreign: Path) -> None:
    """Its numbers may be others, since nothing in it says what was written."""
    old, wrong = Path(__file__).parent / "run-0.1", []
    for seed in range(400):
        scratch = tmp_path / "run"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(old, scratch)
        what = mutate(random.Random(seed), scratch, old if seed % 2 else foreign)
        try:
            numbers(scratch)
        except PrefbenchError as error:
            wrong += [f"{seed} {what}: {error}"] if "\n" in str(error) else []
        except Exception as error:  # whatever it is, it is the defect
            wrong.append(f"{seed} {what}: {type(error).__name__}: {error}")
    assert wrong == []
