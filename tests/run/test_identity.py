"""What a method is in a run's spec: by name, file, class and instance; and which instances cannot be named."""

from __future__ import annotations

import re
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
    assert identify(first).make() is not first, "set up is a copy, so that the instance can be given again"


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


def test_a_class_of_a_notebook_is_named_by_the_source_of_its_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = []
    for i, source in enumerate([CELL, CELL, CELL.replace("{}", "[]"), CELL.replace("of a cell", "of another")]):
        file = tmp_path / f"cell{i}.py"
        file.write_text(source)
        revisions.append(identify(cell(source, monkeypatch, file)).revision)
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


def test_a_class_without_any_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PrefbenchError, match="the source of Mine cannot be read: write it into a file and give"):
        identify(cell(CELL, monkeypatch))


def test_a_base_class_is_part_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions = set()
    for i, base in enumerate(["[]", "{}"]):
        file, source = (
            tmp_path / f"base{i}.py",
            CELL.replace("{}", base).replace("Mine", "Base") + "\nclass Mine(Base): pass\n",
        )
        file.write_text(source)
        revisions.add(identify(cell(source, monkeypatch, file)).revision)
    assert len(revisions) == 2


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
