"""Nothing of the simulator is in a method or its trainer: no import, no constant, no word for how its users choose."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from prefbench.suites.picturebook.users import choices, worlds
from prefbench.suites.picturebook.users.worlds import SHARPNESS, UserKind

METHODS = Path(__file__).parents[2] / "methods"
MAY_KNOW = ("attacks", "controls")
FILES = [path for path in sorted(METHODS.rglob("*.py")) if path.relative_to(METHODS).parts[0] not in MAY_KNOW]
SIGNATURES = {
    "sharpness": frozenset(SHARPNESS.values()),
    "cuts of ratings": frozenset(map(float, choices._CUTS)),
    "weights of the groups of axes": frozenset(weight for _, weight in worlds._WEIGHTS),
    "shares of kinds": frozenset(share for _, share in worlds.FIRST.kinds),
}
"""Constants that belong together: a file that holds all of one set as decimals repeats the simulator."""
WORDS = ("sharpness", "gumbel", "bradley", "leaning")


def numbers(tree: ast.AST) -> set[float]:
    """The decimals of a file, with their signs."""
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)}
    return found | {-number for number in found}


def names(tree: ast.AST) -> Iterator[str]:
    """Names in code; not words in docstrings, where a sharp picture may be spoken of."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(value := getattr(node, field, None), str):
                yield value.lower()


def repeated(path: Path) -> list[str]:
    """What a file repeats of the simulator."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    held, texts = numbers(tree), {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    kinds = [kind for kind in get_args(UserKind) if kind in texts]
    spoken = [word for word in WORDS if any(word in name for name in names(tree))]
    return [name for name, values in SIGNATURES.items() if values <= held] + kinds + spoken


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(METHODS)))
def test_no_file_of_a_method_imports_or_repeats_the_simulator(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert [name for name in modules if name.startswith("prefbench.suites")] == []
    assert repeated(path) == []


def test_what_repeats_it_is_found(tmp_path: Path) -> None:
    cuts = ", ".join(f"{cut!r}" for cut in map(float, choices._CUTS))
    path = tmp_path / "method.py"
    path.write_text(f"CUTS = [{cuts}]\ndef gumbel_choice(sharpness): ...\n")
    assert repeated(path) == ["cuts of ratings", "sharpness", "gumbel"]
