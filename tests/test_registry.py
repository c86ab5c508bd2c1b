"""The registry: every built-in name resolves, files outside any package load, mistakes are one line with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from prefbench.api import BackboneCard, ImageMetric, Method, PrefbenchError, Scorer, SetMetric, Suite, UserMetric
from prefbench.models.mllms.cards import MllmCard
from prefbench.registry import BUILT_IN, Entry, Kind, entry, load, names, unknown

BASES = {"suite": Suite, "method": Method, "metric": ImageMetric | SetMetric | UserMetric, "scorer": Scorer}
CARDS = {"backbone": BackboneCard, "mllm": MllmCard}
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


def test_the_table_has_every_kind() -> None:
    assert set(BUILT_IN) == set(get_args(Kind))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in BUILT_IN.items() for name in table])
def test_a_built_in_name_resolves(kind: Kind, name: str) -> None:
    found = load(kind, name)
    if kind in BASES:
        assert issubclass(found, BASES[kind])
        assert found.card.name == name
    elif kind in CARDS:
        assert isinstance(found, CARDS[kind])
        assert found.name == name
    else:
        assert callable(found)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("method", *CARDS) for name in BUILT_IN[kind]])
def test_a_location_is_a_line_that_defines_the_object(kind: Kind, name: str) -> None:
    path, _, line = entry(kind, name).location().rpartition(":")
    attribute = BUILT_IN[kind][name].rpartition(":")[2]
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
    assert f"{method_file}:Class" in message(str(method_file))
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
    with pytest.raises(AttributeError, match="no_such_function"):
        Entry("method", "buggy", "has_a_bug:Thing").load()


def test_entry_points_add_names_and_never_replace_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[prefbench.method]\nmine = mine_plugin:Mine\nprompt-only = mine_plugin:Mine\n"
    )
    (tmp_path / "mine_plugin.py").write_text(METHOD_FILE)
    monkeypatch.syspath_prepend(tmp_path)
    assert load("method", "mine").card.summary == "of this file"
    assert load("method", "prompt-only").card.name == "prompt-only"


def test_a_member_of_a_family_is_what_the_family_makes_of_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[prefbench.metric_family]\npiq = piq_plugin:member\n")
    (tmp_path / "piq_plugin.py").write_text("def member(text):\n    return text.upper()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("metric", "piq:brisque(kernel_size=7)") == "BRISQUE(KERNEL_SIZE=7)"
    with pytest.raises(PrefbenchError, match=r"unknown metric 'pic:MEMBER'; did you mean 'piq:MEMBER'\?"):
        load("metric", "pic:MEMBER")
    with pytest.raises(PrefbenchError, match="unknown method 'piq:brisque'"):
        load("method", "piq:brisque")
