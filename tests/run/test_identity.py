"""What a method is in a run's spec: by name, file, class and instance; and which instances cannot be named."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench.api import Method, MethodCard, PrefbenchError
from prefbench.methods.attacks.best_of_n import BestOfN
from prefbench.methods.prompt_only import PromptOnly
from prefbench.run.identity import identify, instance_parameters


class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="of this test")

    def __init__(self, *, scale: float = 0.5, mode: str = "mean") -> None:
        self.scale, self._mode = scale, mode
        self.grid = np.arange(3) * scale

    def generate(self, requests: Any) -> Any:
        raise NotImplementedError(requests)


CELL = """
from prefbench.api import Method, MethodCard

class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="of a cell")

    def generate(self, requests):
        return {}
"""


def test_a_registered_class_is_the_method_of_its_name() -> None:
    by_name, by_class, by_instance = (identify(method) for method in ("prompt-only", PromptOnly, PromptOnly()))
    assert by_name.name == by_class.name == by_instance.name == "prompt-only"
    assert by_name.version(PromptOnly()) == by_class.version(PromptOnly()) == by_instance.version(PromptOnly()) == "1"
    assert identify("best-of-n").parameters == identify(BestOfN()).parameters != {}


def test_a_class_is_named_by_itself_and_its_source() -> None:
    identity = identify(Mine, {"scale": 1})
    assert identity.name == "python:Mine"
    assert identity.parameters == {"scale": 1.0, "mode": "mean"}
    assert type(identity.parameters["scale"]) is float, "-p scale=1 is the same run"
    assert re.fullmatch(r"1\+[0-9a-f]{12}", identity.version(identity.make()))
    assert identity.parameters == identify(Mine, ["scale=1"]).parameters


def test_an_instance_has_the_parameters_that_it_was_made_with() -> None:
    first, second = Mine(scale=0.25, mode="last"), Mine(scale=0.75)
    assert instance_parameters(first) == {"scale": 0.25, "mode": "last"}
    assert identify(first).parameters != identify(second).parameters
    assert identify(first).revision == identify(Mine).revision
    assert isinstance(identify(first).make(), Mine)
    assert identify(first).make() is not first, "another one is set up, so that the instance can be given again"


class Sent(Mine):
    """Pickling an instance leaves a mark on its class."""


def test_a_class_that_was_sent_to_another_process_is_the_same() -> None:
    before = identify(Sent).revision
    pickle.dumps(Sent())
    assert "__slotnames__" in vars(Sent)
    assert identify(Sent).revision == before


class Forgetful(Mine):
    def __init__(self, *, strength: float = 0.5) -> None:
        super().__init__(scale=strength)


class Doubling(Mine):
    def __init__(self, *, scale: float = 0.5) -> None:
        super().__init__(scale=2 * scale)


def taught() -> Mine:
    method = Mine()
    method.grid = np.ones(3)
    return method


def extended() -> Mine:
    method = Mine()
    method.words = ["red"]  # type: ignore[attr-defined]
    return method


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        (Forgetful(), "parameter 'strength' of this Forgetful cannot be read back: keep it as self.stre"),
        (Doubling(), "this Doubling holds a 'grid' that its parameters do not give"),
        (taught(), "this Mine holds a 'grid' that its parameters do not give: make it a parameter"),
        (extended(), "this Mine holds a 'words' that its parameters do not give"),
    ],
)  # fmt: skip
def test_an_instance_that_a_run_could_not_name_is_refused(instance: Method, expected: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(expected)) as caught:
        identify(instance)
    assert "\n" not in str(caught.value)


def cell(source: str, monkeypatch: pytest.MonkeyPatch, file: Path | None = None) -> type[Method]:
    """The class of a notebook's cell: its module has no file; only the code of its functions says where it is."""
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    exec(compile(source, str(file or "<a cell>"), "exec"), module.__dict__)
    mine: type[Method] = module.Mine
    return mine


def test_a_class_is_identified_without_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [CELL, CELL, CELL.replace("{}", "[]"), CELL.replace("of a cell", "of another")]
    revisions = [identify(cell(source, monkeypatch)).revision for source in sources]
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


def test_a_base_class_is_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    bases = [CELL.replace("{}", base).replace("Mine", "Base") for base in ("[]", "{}")]
    classes = [cell(f"{base}\nclass Mine(Base): pass\n", monkeypatch) for base in bases]
    assert len({identify(one).revision for one in classes}) == 2


REACHING = """
from functools import lru_cache, partial
import numpy as np
import helpers
from prefbench.api import Method, MethodCard

WORDS = {"red", "green", "blue", "white"}
GRID = np.arange(3)

def length(text):
    return 3 if text in {"a", "b", "c", "d"} else deep(text)

@lru_cache
def deep(text):
    return length(text) + 1

class Side:
    weight = 1

def make(k):
    class Mine(Method):
        card = MethodCard(name="mine", version="1", summary="of a cell")
        color = 7

        def generate(self, requests):
            return [[k, GRID, Side(), helpers.scale(x), len(WORDS), length(x)] for x in requests]

        @property
        def short(self):
            return partial(length, "s")

    return Mine

Mine = make(2)
"""


def reaching(source: str, monkeypatch: pytest.MonkeyPatch, scale: str = "x") -> str:
    helpers = types.ModuleType("helpers")
    exec(f"def scale(x):\n    return {scale}\ndef other(x):\n    return open({scale})", helpers.__dict__)
    monkeypatch.setitem(sys.modules, "helpers", helpers)
    return identify(cell(source, monkeypatch)).revision


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"white"', '"black"'), ("arange(3)", "arange(3.0)"), ("return 3", "return 4"), ('"c", "d"', '"c", "e"'),
        ("length(text) + 1", "length(text) + 2"), ("weight = 1", "weight = 2"), ("make(2)", "make(3)"),
        ("color = 7", "color = 250"), ('length, "s"', 'length, "t"'), ("len(WORDS)", "max(WORDS)"),
    ],
)  # fmt: skip
def test_what_a_class_reaches_is_part_of_its_identity(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old in REACHING
    assert reaching(REACHING, monkeypatch) != reaching(REACHING.replace(old, new), monkeypatch)


def test_a_function_of_an_own_module_is_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reaching(REACHING, monkeypatch) == reaching(f"# a comment\n{REACHING}", monkeypatch)
    assert reaching(REACHING, monkeypatch) != reaching(REACHING, monkeypatch, scale="2 * x")


def test_an_attribute_that_is_set_later_is_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = cell(CELL, monkeypatch)
    before = identify(mine).revision
    mine.color = 250  # type: ignore[attr-defined]
    assert identify(mine).revision != before


def test_two_classes_of_one_name_in_one_file_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two_of_one_name.py").write_text(f"{CELL}\nFirst = Mine\n{CELL.replace('{}', '[]')}")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("two_of_one_name")
    assert identify(module.First).revision != identify(module.Mine).revision


def test_a_file_that_is_edited_and_not_loaded_again_is_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edited.py"
    file.write_text(CELL)
    mine = cell(CELL, monkeypatch, file)
    before = identify(mine).revision
    file.write_text(CELL.replace("{}", "[]"))
    assert identify(mine).revision == before


@pytest.mark.slow
def test_the_identity_is_the_same_in_other_processes(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("def scale(x):\n    return x\n")
    (tmp_path / "module.py").write_text(REACHING)
    script = "import module; from prefbench.run.identity import identify; print(identify(module.Mine).revision)"
    revisions = []
    for seed in ("1", "2"):  # the first process compiles, the second one reads what was compiled
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": ""}
        revisions.append(
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert re.fullmatch(r"[0-9a-f]{12}\n", revisions[0])
    assert revisions[0] == revisions[1]


@pytest.mark.parametrize("value", ["open(__file__)", "object()", "iter([1])", "[{'deep': object()}]"])
@pytest.mark.parametrize("reach", ["THING = {}\n", "class Mine(Mine):\n    THING = {}\n"])
def test_what_cannot_be_identified_is_refused(value: str, reach: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = CELL.replace("return {}", "return THING") + reach.format(value)
    monkeypatch.setattr("builtins.__file__", __file__, raising=False)
    with pytest.raises(
        PrefbenchError, match=r"^Mine\.[\w.]*THING.* is .*, which no run can be named by: make it a "
    ) as error:
        identify(cell(source, monkeypatch))
    assert "give path/to/file.py:Class" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        (Mine(), {"scale": 1.0}, "an instance of Mine has its parameters already: give the class"),
        (Mine, {"scael": 1.0}, "unknown parameter of Mine 'scael'; did you mean 'scale'?"),
        (Mine, {"scale": "1"}, "parameter scale of Mine cannot be '1'"),
        (dict, {}, "is no method: give a name, a class derived from Method, or an instance"),
        (Method, {}, "the class has no card"),
    ],
)
def test_mistakes_are_one_line(method: Any, parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(expected)):
        identify(method, parameters)
