"""What `list` and `show` say of registered names: one line and a group each; cards with their parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from prefbench.cli.described import Described, described
from prefbench.cli.main import main
from prefbench.cli.parameter_rows import parameter_rows
from prefbench.files import WEIGHTS
from prefbench.registry import Entry, entry, load, names


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("kind", ["method", "metric", "scorer", "suite", "report", "trainer", "weights", "backbone"])
def test_every_name_is_told_in_one_line(kind: str) -> None:
    rows = json.loads(invoke("list", kind, "--json").stdout)
    assert all(row["summary"] and "\n" not in row["summary"] for row in rows), rows


def test_a_summary_is_the_one_on_the_card() -> None:
    for kind in ("method", "metric", "scorer", "report", "suite"):
        told = {row["name"]: row["summary"] for row in json.loads(invoke("list", kind, "--json").stdout)}
        for name in names(kind):
            card = load(kind, name).card
            assert told[name] == card.summary, (kind, name)


def test_methods_are_listed_in_groups() -> None:
    rows = [line.split("\t") for line in invoke("list", "methods").stdout.splitlines()]
    groups = [group for _, _, group, _ in rows]
    assert list(dict.fromkeys(groups)) == ["baselines", "attacks", "style transfer", "controls", "ours"]
    assert sorted(groups, key=groups.index) == groups
    of = {name: group for _, name, group, _ in rows}
    assert (of["prompt-only"], of["copy"], of["inferred"], of["ours"]) == ("baselines", "attacks", "controls", "ours")


def test_metrics_are_listed_by_question() -> None:
    of = {row["name"]: row["group"] for row in json.loads(invoke("list", "metrics", "--json").stdout)}
    for name in names("metric"):
        assert of[name] == load("metric", name).card.question


def test_a_plug_in_is_described_without_running_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "another_package.py").write_text(
        "raise RuntimeError('was run')\n"
        "class Mine(Method):\n"
        "    card = MethodCard(name='mine', version='1', summary='mine in one line')\n"
        "class Plain(Method):\n"
        '    """One line.\n\n    More.\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    about = [described(Entry("method", name, f"another_package:{name}")) for name in ("Mine", "Plain", "Absent")]
    assert about == [
        Described("mine in one line", "another_package"),
        Described("One line.", "another_package"),
        Described(),
    ]


@pytest.mark.slow
def test_a_list_imports_no_torch() -> None:
    code = (
        "import sys; from prefbench.cli.main import main; main(['list'], standalone_mode=False)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_show_method_lists_parameters_with_type_default_and_meaning() -> None:
    rows = {row["name"]: row for row in json.loads(invoke("show", "method", "ours", "--json").stdout)["parameters"]}
    assert rows["user_scale"] == {
        "name": "user_scale", "type": "float", "default": 1.25,
        "meaning": "weight of the second cross-attention; 0 draws the prompt alone, 1 is how it was trained.",
    }  # fmt: skip
    assert (rows["negative"]["type"], rows["liked_only"]["default"]) == ("average | disliked", False)
    shown = invoke("show", "method", "ours").stdout
    assert "user_scale\tfloat\t1.25\tweight of the second cross-attention" in shown


def test_every_parameter_of_every_method_has_a_meaning() -> None:
    for name in names("method"):
        for row in parameter_rows(load("method", name)):
            assert row["meaning"], (name, row["name"])


@pytest.mark.parametrize("name", names("weights"))
def test_show_weights_prints_the_card_beside_them(name: str) -> None:
    shown = json.loads(invoke("show", "weights", name, "--json").stdout)
    assert shown == json.loads((WEIGHTS / name / "card.json").read_text())
    assert "figures" in invoke("show", "weights", name).stdout
    assert entry("weights", name)


def test_a_wrong_name_of_weights_is_one_line() -> None:
    done = invoke("show", "weights", "mini-clop")
    assert done.exit_code == 2
    assert "did you mean 'mini-clip'?" in done.output
