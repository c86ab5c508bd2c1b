"""The registry: every built-in name resolves, files outside any package load, mistakes are one line with a way out."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from prefbench.api import BackboneCard, Method, PrefbenchError
from prefbench.api.errors import PluginError
from prefbench.api.near import unknown
from prefbench.cli.list import location
from prefbench.models.mllms.cards import MllmCard
from prefbench.registry import CONTRACTS, Entry, Kind, Role, default, entry, load, load_class, names
from tests.support.plugin import install

CARDS: dict[Kind, type[BackboneCard | MllmCard]] = {"backbone": BackboneCard, "mllm": MllmCard}
NAMES = [(kind, name) for kind in get_args(Kind) for name in names(kind)]
ROOT = Path(__file__).parents[1]
METHOD_FILE = """
from prefbench.api import Method, MethodCard

class Mine(Method):
    card = MethodCard(name="mine", version="1", summary="of this file")

    def generate(self, requests):
        return []
"""


@pytest.fixture
def method_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(METHOD_FILE)
    return path


def test_names_of_our_own_stand_in_the_projects_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {group.removeprefix("prefbench."): table for group, table in project["project"]["entry-points"].items()}
    roles = groups.pop("default")
    assert {role: default(role) for role in get_args(Role)} == {
        "suite": "picturebook", "mllm": "mini-mllm", "method.baseline": "prompt-only", "method.ceiling": "inferred",
            "method.crowd": "crowd", "control.mismatch": "other-user", "method.baseline.style-transfer": "plain-style",
            "method.crowd.style-transfer": "crowd-style",
    }  # fmt: skip
    assert set(roles) == set(get_args(Role))
    assert set(groups) == set(get_args(Kind))
    for kind in get_args(Kind):
        assert {name: entry(kind, name).target for name in groups[kind]} == groups[kind]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_name_resolves(kind: Kind, name: str) -> None:
    target: Any = entry(kind, name).load()
    if kind in CONTRACTS and inspect.isclass(target):
        assert load_class(kind, name) is target
        assert target.card.name == name
    elif kind in CARDS:
        assert isinstance(target, CARDS[kind])
        assert target.name == name
    else:
        assert callable(target.convert if kind == "converter" else target)
        assert kind != "converter" or target.card.name == name


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in NAMES if kind in ("method", *CARDS)])
def test_a_location_is_a_line_that_defines_the_object(kind: Kind, name: str) -> None:
    path, _, line = location(entry(kind, name)).rpartition(":")
    attribute = entry(kind, name).target.rpartition(":")[2]
    assert attribute in Path(path).read_text().splitlines()[int(line) - 1]


def test_an_unknown_name_gets_the_nearest_match_and_all_names() -> None:
    with pytest.raises(PrefbenchError, match=r"unknown method 'promt-only'; did you mean 'prompt-only'\?") as caught:
        load("method", "promt-only")
    assert all(name in str(caught.value) for name in names("method"))
    assert "\n" not in str(caught.value)


def test_a_name_like_no_other_gets_no_match() -> None:
    assert unknown("split", "xyzzy", ["train", "test"]) == "unknown split 'xyzzy' (known: train, test)"


def test_a_class_loads_from_a_file(method_file: Path) -> None:
    mine = load("method", f"{method_file}:Mine")
    assert issubclass(mine, Method)
    assert mine.card.name == "mine"


def test_a_class_from_a_file_pickles(method_file: Path) -> None:
    import pickle

    mine = load("method", f"{method_file}:Mine")
    assert isinstance(pickle.loads(pickle.dumps(mine())), mine)


def test_two_files_of_one_name_stay_apart(method_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "mine.py"
    other.parent.mkdir()
    other.write_text(METHOD_FILE.replace("of this file", "of the other file"))
    found = [load("method", f"{path}:Mine") for path in (method_file, other)]
    assert [method.card.summary for method in found] == ["of this file", "of the other file"]


def test_mistakes_with_files_say_what_to_do(method_file: Path, tmp_path: Path) -> None:
    def message(name: str) -> str:
        with pytest.raises(PrefbenchError) as caught:
            load("method", name)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "does not exist" in message(f"{tmp_path / 'absent.py'}:Mine")
    assert "did you mean 'Mine'?" in message(f"{method_file}:Mein")
    assert f"{method_file}:Mine" in message(str(method_file))
    method_file.write_text("def broken(:\n")
    assert "cannot be imported: SyntaxError" in message(f"{method_file}:Mine")
    method_file.write_text("import a_package_that_is_not_here\n")
    assert "a_package_that_is_not_here" in message(f"{method_file}:Mine")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("prefbench.methods.absent:Thing", "there is no module prefbench.methods.absent"),
        ("prefbench.methods.prompt_only:Thing", "prefbench.methods.prompt_only has no 'Thing'"),
    ],
)
def test_a_wrong_target_names_itself(target: str, expected: str) -> None:
    with pytest.raises(PrefbenchError, match=expected):
        Entry("method", "wrong", target).load()


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import a_package_that_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PrefbenchError, match="pip install a_package_that_is_not_here"):
        Entry("method", "hungry", "needs_more:Thing").load()


def test_an_error_inside_a_module_is_not_taken_for_a_missing_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "has_a_bug.py").write_text("import math\nmath.no_such_function()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"^method 'buggy': import raised AttributeError: .*no_such_function"):
        Entry("method", "buggy", "has_a_bug:Thing").load()


def test_entry_points_add_names_and_never_replace_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_plugin.py").write_text(METHOD_FILE)
    install(tmp_path, monkeypatch, "method", {"mine": "mine_plugin:Mine", "prompt-only": "mine_plugin:Mine"})
    assert load("method", "mine").card.summary == "of this file"
    assert load("method", "prompt-only").card.name == "prompt-only"
    assert names("method")[-1] == "mine", "our own come first"


FAMILY = """
from prefbench.api import ImageMetric, MetricCard, PrefbenchError

def member(text):
    if not text.startswith("brisque"):
        raise PrefbenchError(f"no metric {text!r}")

    class Member(ImageMetric):
        card = MetricCard(text, "1", "a member", "side", "up", "image", "mean")

        def score(self, drawn):
            return {}

    return Member
"""


def test_a_member_of_a_family_is_what_the_family_makes_of_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "piq_plugin.py").write_text(FAMILY)
    install(tmp_path, monkeypatch, "metric_family", {"piq": "piq_plugin:member"})
    assert load_class("metric", "piq:brisque(kernel_size=7)").card.name == "brisque(kernel_size=7)"
    assert entry("metric", "piq:brisque") == Entry("metric_family", "piq", "piq_plugin:member")
    for name, expected in {
        "piq:sharpness": "no metric 'sharpness'",
        "pic:NAME": r"unknown metric 'pic:NAME'; did you mean 'piq:NAME'\?",
        "piq": "unknown metric 'piq'",
        "utility:red": r"unknown metric 'utility:red'; did you mean 'utility'\?",
    }.items():
        with pytest.raises(PrefbenchError, match=expected):
            load("metric", name)
    with pytest.raises(PrefbenchError, match="unknown method 'piq:brisque'"):
        load("method", "piq:brisque")


CONTRACT_BREAKERS = """
from prefbench.api import Method, MethodCard

class Cardless(Method):
    def generate(self, requests):
        return []

class Drawless(Method):
    card = MethodCard(name="drawless", version="1", summary="draws nothing")

class Stranger:
    card = MethodCard(name="stranger", version="1", summary="derives from nothing")
"""


def test_a_class_is_held_to_the_contract_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(CONTRACT_BREAKERS)
    for name, expected in {
        "Cardless": r"the class has no card; give it one: card = MethodCard\(\.\.\.\)",
        "Drawless": "the class lacks generate",
        "Stranger": r"unknown method in \S+odd\.py 'Stranger' \(known: Cardless, Drawless\)",
        "drawles": r"unknown method in \S+odd\.py 'drawles'; did you mean 'Drawless'\?",
        "Method": r"the class has no card",
    }.items():
        with pytest.raises(PrefbenchError, match=expected):
            load_class("method", f"{tmp_path / 'odd.py'}:{name}")
    with pytest.raises(PrefbenchError, match=r"unknown report in \S+odd\.py 'Report' \(known: none\)"):
        load("report", f"{tmp_path / 'odd.py'}:Report")
    with pytest.raises(PrefbenchError, match=r"derived from prefbench\.api\.ImageMetric, SetMetric or UserMetric"):
        load("metric", f"{tmp_path / 'odd.py'}:Drawless")


def test_the_nearest_match_is_found_in_either_case_and_by_other_names() -> None:
    assert unknown("metric", "FID", ["fid", "kid"]) == "unknown metric 'FID'; did you mean 'fid'? (known: fid, kid)"
    assert (
        unknown("class", "winrate", ["WinRates"])
        == "unknown class 'winrate'; did you mean 'WinRates'? (known: WinRates)"
    )
    aliases = {"FrechetInceptionDistance": "fid"}
    assert "did you mean 'fid'?" in unknown("metric", "frechetinceptiondistance", ["fid", "kid"], aliases)


WRONG_NAMES = [
    ["run", "--method", "nope"],
    ["run", "--method", "nope.py:Mine"],
    ["run", "--method", "prompt-only", "--suite", "nope"],
    ["run", "--method", "prompt-only", "--metrics", "utility,nope"],
    ["run", "--method", "prompt-only", "--backbone", "nope"],
    ["train", "nope"],
    ["show", "metric", "nope"],
    ["check", "scorer", "nope"],
]


HEAVY = {"torch", "diffusers", "transformers", "scipy", "sklearn", "pandas", "matplotlib"}
WRONG_VALUES = [
    ["run", "--method", "best-of-n", "-p", "scorer=nope"],
    ["run", "--method", "copy", "--device", "nope"],
    ["run", "--method", "copy", "--device", "cuda:nope"],
    ["run", "--method", "copy", "--dtype", "nope"],
    ["run", "--method", "copy", "--metrics", "torchmetrics:ssim(nope=5)"],
    ["check", "nope", "copy"],
]


def imported_by(arguments: list[str], folder: Path) -> tuple[str, set[str]]:
    """The one line that a mistaken command answers, and the modules that it has imported."""
    program = (
        "import json, sys\n"
        "from prefbench.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "finally:\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    mistake, modules = done.stderr.strip().splitlines()
    return mistake, set(json.loads(modules))


@pytest.mark.parametrize("arguments", WRONG_NAMES, ids=" ".join)
def test_a_wrong_name_is_answered_before_anything_heavy_is_imported(arguments: list[str], tmp_path: Path) -> None:
    mistake, modules = imported_by(arguments, tmp_path)
    assert "nope" in mistake
    assert not modules & (HEAVY | {"pydantic"})


@pytest.mark.parametrize("arguments", WRONG_VALUES, ids=" ".join)
def test_a_wrong_value_is_answered_before_anything_heavy_is_imported(arguments: list[str], tmp_path: Path) -> None:
    mistake, modules = imported_by(arguments, tmp_path)
    assert "unknown" in mistake
    assert "nope" in mistake
    assert not modules & HEAVY
