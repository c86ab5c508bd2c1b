"""From names to runs: what a run folder names loads no code, where a file lies moves nothing, mistakes are one line."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError
from prefbench.run.execute import execute
from prefbench.run.prepare import Prepared, Settings, load_suite, prepare, suite_of_run
from prefbench.suites.picturebook.suite import Picturebook

SUITE = """
from pathlib import Path

from prefbench.api import Suite, SuiteCard
from prefbench.api import Case, History, User

Path(__file__).with_name("loaded").touch()


class Toy(Suite):
    card = SuiteCard("toy", "1", "two users", "none", "mini-sd", (), {}, samples_per_case=1)

    def __init__(self, *, size: int | None = 2, mark: str | None = "none") -> None:
        self.size, self.mark = size, mark

    @property
    def digest(self):
        return f"toy {self.size} {self.mark!r}"

    def users(self, split):
        return [User(f"{split}-{i}", split) for i in range(self.size or 3)]

    def history(self, user, viewer="method"):
        return History(user, (), ())

    def cases(self, user):
        return [Case(f"{user}/0", user, "a cat")]

    def references(self, split):
        return []
"""
CONTROL = "def same(histories):\n    return dict(histories)\n"
METHOD = """
from __future__ import annotations
from pathlib import Path
from typing import TYPE_CHECKING
from prefbench.api import Method, MethodCard
if TYPE_CHECKING:
    from fractions import Fraction
class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="mine")
    def __init__(self, *, size: int = 1) -> None:
        self.size = size
    def generate(self, requests):
        return []
"""


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(SUITE)
    return path


@pytest.fixture
def settings(tiny_sd: Path, tmp_path: Path) -> dict[str, Any]:
    return {"backbone": str(tiny_sd), "device": "cpu", "steps": 1, "out": tmp_path / "runs", "method": "prompt-only"}


def keys(prepared: Prepared) -> list[str]:
    return [planned.key for batch in prepared.plan for planned in batch]


def seeds(prepared: Prepared) -> list[int]:
    return [planned.seed for batch in prepared.plan for planned in batch]


def spec(suite: str, digest: str, **parameters: Any) -> dict[str, Any]:
    """A spec as `run.json` holds it."""
    read: dict[str, Any] = json.loads(
        json.dumps({"suite": suite, "suite_parameters": parameters, "suite_digest": digest})
    )
    return read


# ---------------------------------------------------------------------------------------------- the suite of a run


def test_a_registered_suite_is_found_with_its_parameters() -> None:
    few = Picturebook(history=2)
    found = suite_of_run(spec("picturebook", few.digest, history=2, world="2"))
    assert found.history("test-0000") == few.history("test-0000")


def test_a_run_folder_never_loads_a_file(suite_file: Path) -> None:
    for name in (f"{suite_file}:Toy", "toy.py:Toy+0123456789ab"):
        with pytest.raises(PrefbenchError, match="is a file, which is only loaded when you name it: --suite"):
            suite_of_run(spec(name, "toy 2 'none'"))
    assert not suite_file.with_name("loaded").exists()


def test_a_file_is_loaded_where_the_user_names_it(suite_file: Path) -> None:
    named = f"{suite_file}:Toy"
    assert suite_of_run(spec("toy.py:Toy+0123456789ab", "toy 2 'none'"), named).digest == "toy 2 'none'"


@pytest.mark.parametrize("parameters", [{"size": None, "mark": None}, {"size": 3, "mark": "None"}, {"mark": "none"}])
def test_parameters_come_back_as_the_values_they_were(suite_file: Path, parameters: dict[str, Any]) -> None:
    values = {"size": 2, "mark": "none"} | parameters
    digest = f"toy {values['size']} {values['mark']!r}"
    assert suite_of_run(spec("toy", digest, **parameters), f"{suite_file}:Toy").digest == digest


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (spec("picturebook", "d" * 64, history=8), "was drawn for another version of picturebook; it cannot be scored"),
        (spec("picturebok", "d" * 64), "unknown suite of the run 'picturebok'; did you mean 'picturebook'?"),
        (
            spec("picturebook", "d" * 64, histroy=8),
            "unknown parameter of Picturebook 'histroy'; did you mean 'history'?",
        ),
        (spec("picturebook", "d" * 64, history="8"), "parameter history of Picturebook cannot be '8'"),
        (spec("picturebook", "d" * 64, history=[]), "parameter history of Picturebook cannot be []"),
        ({}, "the run's description is damaged: it names no suite"),
        ({"suite": "picturebook", "suite_parameters": 3}, "the run's description is damaged: it names no suite"),
    ],
)
def test_a_run_of_no_known_suite_is_one_line(stored: dict[str, Any], said: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(said)) as caught:
        suite_of_run(stored)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------- where a file lies


def test_a_run_stays_in_its_folder_whatever_files_it_names(
    suite_file: Path, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "swap.py").write_text(CONTROL)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    above = prepare(Settings(**settings, suite="../toy.py:Toy", control="../swap.py:same"))
    assert above.folder.path.resolve().parent == tmp_path / "runs"
    assert re.fullmatch(r"toy-test-prompt-only-same-[0-9a-f]{8}", above.folder.path.name)
    assert re.fullmatch(r"toy\.py:Toy\+[0-9a-f]{12}", above.spec.suite)
    assert re.fullmatch(r"swap\.py:same\+[0-9a-f]{12}", above.spec.control or "")
    absolute = prepare(Settings(**settings, suite=f"{suite_file}:Toy", control=f"{tmp_path}/swap.py:same"))
    assert absolute.spec == above.spec
    assert (keys(absolute), seeds(absolute)) == (keys(above), seeds(above))


@pytest.mark.slow
@pytest.mark.parametrize("edited", ["toy.py", "swap.py"])
def test_an_edited_file_changes_keys_and_keeps_the_noise(
    suite_file: Path, settings: dict[str, Any], tmp_path: Path, edited: str
) -> None:
    (tmp_path / "swap.py").write_text(CONTROL)
    asked = Settings(**settings, suite=f"{suite_file}:Toy", control=f"{tmp_path}/swap.py:same")
    before = prepare(asked)
    with (tmp_path / edited).open("a") as file:
        file.write("# edited\n")
    after = prepare(asked)
    assert set(keys(before)).isdisjoint(keys(after))
    assert seeds(before) == seeds(after)
    assert before.folder.path != after.folder.path


# ------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    card = MethodCard(name=\"mine\", version=\"1\", summary=\"mine\")\n", "", "the class has no card"),
        ("MethodCard(name=\"mine\", version=\"1\", summary=\"mine\")", "'mine'", "give it one: card = MethodCard(...)"),
        ("def generate", "def draw", "the class lacks generate"),
        ("size: int", "size: Fraction", "Mine: the annotations of its parameters cannot be read (name 'Fraction' is"),
        ("size: int = 1", "size: Path = Path()", "Mine: parameter 'size' is annotated Path; it may be bool, int,"),
        ("size: int = 1", "size: int = {1}", "Mine: parameter 'size' has the default {1}; it may be"),
    ],
)  # fmt: skip
def test_a_method_that_breaks_its_contract_is_one_line(
    settings: dict[str, Any], tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in METHOD
    (tmp_path / "mine.py").write_text(METHOD.replace(old, new))
    with pytest.raises(PrefbenchError, match=re.escape(said)) as caught:
        prepare(Settings(**settings | {"method": f"{tmp_path}/mine.py:Mine"}))
    assert "\n" not in str(caught.value)


def test_a_suite_without_a_card_is_one_line(suite_file: Path) -> None:
    suite_file.write_text(re.sub(r"    card = .*\n", "", SUITE))
    with pytest.raises(PrefbenchError, match=r"the class has no card; give it one: card = SuiteCard\(\.\.\.\)"):
        load_suite(f"{suite_file}:Toy")


# --------------------------------------------------------------------------------------------------- starts


def test_every_start_that_draws_is_noted(suite_file: Path, settings: dict[str, Any]) -> None:
    asked = Settings(**settings, suite=f"{suite_file}:Toy")
    prepared = prepare(asked)
    folder = prepared.folder
    execute(prepared)
    execute(prepare(asked))
    assert len(folder.starts()) == 1, "the second start had nothing to draw"
    (folder.path / "samples" / "0.jsonl").unlink()
    execute(prepare(asked))
    rows = folder.starts()
    assert len(rows) == 2
    assert rows[1].versions["torch"]
    noted = datetime.fromisoformat(rows[1].time)
    assert noted.utcoffset() == timedelta(0)
    assert noted.microsecond == 0
    assert abs(datetime.now(UTC) - noted) < timedelta(minutes=5)


def test_the_description_of_another_run_is_refused(suite_file: Path, settings: dict[str, Any]) -> None:
    one, other = (prepare(Settings(**settings, suite=f"{suite_file}:Toy", seed=seed)) for seed in (0, 1))
    execute(one)
    execute(other)
    path = one.folder.path / "run.json"
    path.write_bytes((other.folder.path / "run.json").read_bytes())
    with pytest.raises(PrefbenchError, match=r"run\.json describes another run; delete it and run the same command"):
        execute(one)
    path.unlink()
    assert execute(one).drawn == 0


@pytest.mark.parametrize("kinds", [{}, {"val-9999": "user"}])
def test_a_description_of_other_users_is_refused(
    suite_file: Path, settings: dict[str, Any], kinds: dict[str, str]
) -> None:
    one = prepare(Settings(**settings, suite=f"{suite_file}:Toy"))
    execute(one)
    folder, content = one.folder, one.folder.read_description()
    folder.write_description({**{k: v for k, v in content.items() if k not in ("format", "sha256")}, "kinds": kinds})
    with pytest.raises(PrefbenchError, match=r"run\.json names other users or kinds than the suite; delete it and run"):
        execute(one)
    (folder.path / "run.json").unlink()
    assert execute(one).drawn == 0


def test_a_suite_without_cases_is_refused_before_drawing(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(SUITE.replace('return [Case(f"{user}/0", user, "a cat")]', "return []"))
    with pytest.raises(PrefbenchError, match="suite 'toy' has no case to draw for users of val"):
        prepare(Settings("prompt-only", suite=f"{tmp_path / 'toy.py'}:Toy", split="val", out=tmp_path / "runs"))
