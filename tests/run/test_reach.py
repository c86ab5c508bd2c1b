"""What a method's code reaches for: imports and names of suites, truths and readers are found, honest code has none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefbench import registry
from prefbench.api import Drawing, Method, MethodCard, Request
from prefbench.check.cards import check_method_card
from prefbench.check.code import check_code, check_held
from prefbench.check.findings import Stopped
from prefbench.run.outputs import asking
from prefbench.run.reach import held_by, is_forbidden, reached_by, unread_code
from prefbench.suites.picturebook.suite import Picturebook
from tests.support import look_up

HEAD = """
import importlib
from prefbench.api import Method, MethodCard
"""
BODY = """

class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="")

    def generate(self, requests):
        return []
"""


def of_file(folder: Path, code: str, name: str = "mine.py") -> type[Method]:
    path = folder / name
    path.write_text(HEAD + code + BODY)
    loaded: type[Method] = registry.load("method", f"{path}:Mine")
    return loaded


@pytest.mark.parametrize("name", registry.names("method"))
def test_what_ships_reaches_for_nothing_that_its_card_does_not_say(name: str) -> None:
    method = registry.load("method", name)
    assert bool(reached_by(method)) == bool(method.card.imports)
    assert unread_code(method) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from prefbench.suites.picturebook.suite import Picturebook", "line 4 imports prefbench.suites"),
        ("import prefbench.suites.picturebook.truth as t", "line 4 imports prefbench.suites.picturebook.truth"),
        ("from prefbench import suites", "line 4 imports prefbench.suites"),
        ("def f():\n    from prefbench.suites.picturebook.reader import reader", "line 5 imports prefbench.suites"),
        ("import prefbench\ndef f():\n    return prefbench.suites.folder", "line 6 uses prefbench.suites"),
        ("m = importlib.import_module('prefbench.suites.picturebook.users')", "line 4 names prefbench.suites"),
        ("import gc\nsuite = lambda: gc.get_objects()", "line 5 asks the interpreter for live objects: get_objects"),
        ("from gc import get_referrers as f", "line 4 asks the interpreter for live objects: get_referrers"),
        ("import sys\nup = lambda: getattr(sys, '_getframe')(1)", "line 5 asks the interpreter for live objects"),
        (
            "def f(e):\n    return e.__traceback__.tb_frame.f_back",
            "line 5 asks the interpreter for live objects: f_back",
        ),
        ("from prefbench.run.prepare import load_suite", "line 4 imports prefbench.run.prepare"),
        ("from prefbench.registry import load\nsuite = lambda: load('suite', 'picturebook')", "line 5 loads a suite"),
    ],
)
def test_every_way_of_naming_a_suite_in_the_source_is_found(code: str, said: str, tmp_path: Path) -> None:
    (place,) = reached_by(of_file(tmp_path, code))
    assert f"mine.py {said}" in str(place)


@pytest.mark.parametrize(
    "code",
    [
        "from prefbench.models import hub\nfrom prefbench.registry import load\nscorer = lambda: load('scorer', 'x')",
        "'''Nothing of prefbench.suites is read here.'''",
        "import json",
    ],
)
def test_honest_code_is_left_alone(code: str, tmp_path: Path) -> None:
    assert reached_by(of_file(tmp_path, code)) == []


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("har_")]:
        del sys.modules[name]


def test_modules_beside_the_file_are_looked_at_too(beside: Path) -> None:
    (beside / "har_door.py").write_text("from prefbench.suites.picturebook.suite import Picturebook\n")
    (beside / "har_helper.py").write_text("import har_door\n")
    (place,) = reached_by(of_file(beside, "import har_helper"))
    assert str(place).startswith("har_door line 1 imports prefbench.suites.picturebook.suite")


def test_a_package_is_followed_along_its_relative_imports(beside: Path) -> None:
    package = beside / "har_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "door.py").write_text("import prefbench.suites.picturebook.truth\n")
    (package / "method.py").write_text(f"{HEAD}from .door import x as y\n{BODY}".replace("import x as y", "import *"))
    module = __import__("har_package.method").method
    assert [place.file for place in reached_by(module.Mine)] == ["har_package.door"]


def test_what_the_source_hides_is_found_in_what_the_method_holds(tmp_path: Path) -> None:
    pieces = "door = importlib.import_module('.'.join(['prefbench', 'suites', 'picturebook', 'suite']))"
    kind = of_file(tmp_path, pieces)
    assert reached_by(kind) == []
    (place,) = held_by(kind())
    assert str(place) == "mine.py holds prefbench.suites.picturebook.suite as 'door' once it has drawn"


def test_a_suite_that_is_made_while_a_method_draws_is_noted(tmp_path: Path) -> None:
    method = of_file(tmp_path, "")()
    with asking(method, "generate"):
        Picturebook()
    assert [place.what for place in held_by(method)] == [
        "made the suite prefbench.suites.picturebook.suite.Picturebook while it was asked"
    ]


class Interactive(Method):
    card = MethodCard(name="interactive", version="1", summary="")
    __module__ = "a_notebook"

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        raise NotImplementedError(requests)


def test_code_that_cannot_be_read_is_said() -> None:
    assert unread_code(Interactive) == ["a_notebook"]
    with pytest.raises(Stopped, match="the source of a_notebook cannot be read"):
        check_code(Interactive)


def test_only_a_control_that_says_so_may_reach() -> None:
    def judged(**changes: Any) -> str:
        kind = type("LookUp", (look_up.LookUp,), {"card": replace(look_up.LookUp.card, **changes)})
        try:
            return check_code(kind)
        except Stopped as stopped:
            return f"{stopped.outcome} {stopped.detail}"

    assert judged().startswith("FAILED tests.support.look_up line 8 imports prefbench.suites")
    assert judged(control=True).startswith("FAILED")
    assert judged(imports=("suite",)).startswith("FAILED")
    assert judged(control=True, imports=("suite", "truth")).startswith("a control that declares suite, truth")
    with pytest.raises(Stopped, match=r"holds prefbench.suites.picturebook.suite as 'Picturebook' once it has drawn"):
        check_held(look_up.LookUp())


@pytest.mark.parametrize(("imports", "said"), [(("suite",), "only a control may"), (("taste",), "got 'taste'")])
def test_a_card_says_what_it_may(imports: tuple[str, ...], said: str) -> None:
    kind = type("LookUp", (look_up.LookUp,), {"card": replace(look_up.LookUp.card, imports=imports)})
    with pytest.raises(Stopped, match=said):
        check_method_card(kind, None)


def test_the_harness_and_every_suite_are_forbidden_and_the_contracts_are_not() -> None:
    assert all(map(is_forbidden, ("prefbench.suites", "prefbench.suites.folder.suite", "prefbench.run.prepare")))
    assert not any(
        map(is_forbidden, ("prefbench.api", "prefbench", "prefbench.suites_of_mine", "prefbench.models.hub"))
    )
