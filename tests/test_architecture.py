"""The map holds: imports run only downwards, never in a loop, and nobody looks where the truth is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_args

import pytest

from prefbench.api.metrics import Question
from prefbench.api.records import Viewer
from prefbench.registry import Kind, entry, names

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "prefbench": ROOT / "prefbench",
    "prefbench.methods": ROOT / "methods",
    "prefbench.metrics": ROOT / "metrics",
    "prefbench.reports": ROOT / "reports",
}
LAYERS = (
    ("prefbench.cli*",),
    ("prefbench",),
    ("prefbench.calls",),
    ("prefbench.reports*",),
    ("prefbench.check*",),
    ("prefbench.methods*", "prefbench.metrics*", "prefbench.suites*"),
    ("prefbench.engines*",),
    ("prefbench.score*",),
    ("prefbench.run*",),
    ("prefbench.models*", "prefbench.training*", "prefbench.probing*"),
    ("prefbench.parameters",),
    ("prefbench.registry",),
    ("prefbench.stats*",),
    ("prefbench.api", "prefbench.api.[!e]*"),
    ("prefbench.files",),
    ("prefbench.api.errors",),
)  # fmt: skip
"""Highest first. A module imports its own layer and lower ones; within a layer no loop is allowed either."""
PLUG_INS = ("prefbench.methods", "prefbench.metrics", "prefbench.reports")
WORLD = "prefbench.suites.picturebook"
HIDDEN = (
    "world.render", "world.shapes", "users.taste*", "users.choices", "users.inference", "users.population",
    "reader*", "truth",
)  # fmt: skip
KEPT_APART = tuple(f"{WORLD}.{name}" for name in HIDDEN)
"""What a method, metric or scorer could cheat with: they see the truth through the suite's contract or not at all."""


def module_name(path: Path, package: str) -> str:
    parts = path.relative_to(PACKAGES[package]).with_suffix("").parts
    return ".".join([package, *parts]).removesuffix(".__init__")


@cache
def modules() -> Mapping[str, Path]:
    return {
        module_name(path, package): path for package, root in PACKAGES.items() for path in sorted(root.rglob("*.py"))
    }


def imported(module: str) -> set[str]:
    """Every module of ours that a module names in an import, at the top or inside a function, types included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node, module)
            found |= {name if (name := f"{source}.{alias.name}") in modules() else source for alias in node.names}
    return {name for name in found if name in modules()} - {module}


def absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    is_package = modules()[module].name == "__init__.py"
    base = module.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def graph() -> Mapping[str, set[str]]:
    return {module: imported(module) for module in modules()}


def layer(module: str) -> int:
    fitting = [i for i, patterns in enumerate(LAYERS) if any(fnmatchcase(module, pattern) for pattern in patterns)]
    assert len(fitting) == 1, f"{module} stands in {len(fitting)} layers: write it into LAYERS"
    return fitting[0]


def edges(modules_: Iterable[str], targets: tuple[str, ...]) -> list[str]:
    """Imports from some modules of any that fits a pattern."""
    return [f"{a} -> {b}" for a in modules_ for b in sorted(graph()[a]) if any(fnmatchcase(b, t) for t in targets)]


def test_the_graph_is_the_real_one() -> None:
    assert "prefbench.run.folder" in graph()["prefbench.run.draw"]
    assert "prefbench.methods.shared.worded" in graph()["prefbench.methods.controls.truth"], (
        "relative imports are followed"
    )
    assert "prefbench.models.backbones.loader" in graph()["prefbench.run.set_up"], "imports inside functions are seen"
    assert "prefbench.models.backbones.weights" in graph()["prefbench.models.backbones.loader"], (
        "modules named as attributes too"
    )


@pytest.mark.parametrize("module", modules())
def test_imports_run_only_downwards(module: str) -> None:
    upwards = [name for name in graph()[module] if layer(name) < layer(module)]
    assert not upwards, f"{module} imports {', '.join(upwards)} from a higher layer"


def test_no_files_import_each_other_in_a_loop() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(f"a loop of imports: {' <- '.join(error.args[1])}")


def test_the_core_knows_no_plug_in() -> None:
    core = [name for name in modules() if not name.startswith(PLUG_INS)]
    targets = tuple(pattern for plug_in in PLUG_INS for pattern in (plug_in, f"{plug_in}.*"))
    assert edges(core, targets) == []


def texts(module: str) -> set[str]:
    """Every string of a module that is no docstring."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documented]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_the_core_knows_no_method_metric_suite_or_backbone_by_name() -> None:
    """But for the files that are registered under the name, and for names that are words of the contracts too."""
    kinds: tuple[Kind, ...] = ("suite", "method", "control", "metric", "scorer", "backbone", "mllm")
    targets = {name: entry(kind, name).target.partition(":")[0] for kind in kinds for name in names(kind)}
    words = {"truth", *get_args(Viewer), *get_args(Question)}
    core = [module for module in modules() if not module.startswith((*PLUG_INS, "prefbench.suites"))]
    named = {module: {name for name in texts(module) & set(targets) if targets[name] != module} for module in core}
    assert {module: known - words for module, known in named.items() if known - words} == {}
    paths = [(module, text) for module in core for text in texts(module) if text.startswith((*PLUG_INS, WORLD))]
    assert paths == []


def test_plug_ins_do_not_know_each_other() -> None:
    for one in PLUG_INS:
        others = tuple(f"{other}*" for other in PLUG_INS if other != one)
        assert edges([name for name in modules() if name.startswith(one)], others) == []


def test_nothing_but_a_suite_knows_a_suite() -> None:
    others = [n for n in modules() if not n.startswith("prefbench.suites")]
    assert edges(others, ("prefbench.suites*",)) == []


def test_methods_metrics_and_scorers_cannot_peek() -> None:
    curious = [n for n in modules() if n.startswith((*PLUG_INS, "prefbench.score", "prefbench.models.extractors"))]
    assert edges(curious, KEPT_APART) == []
    assert all(any(fnmatchcase(name, pattern) for name in modules()) for pattern in KEPT_APART)


def test_nothing_inside_a_string_reaches_around_the_imports() -> None:
    """Only the registry turns names into modules."""
    loading = [
        n for n, path in modules().items() if "import_module" in path.read_text() or "__import__" in path.read_text()
    ]
    assert loading == ["prefbench.registry"]
