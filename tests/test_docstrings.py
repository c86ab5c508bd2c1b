"""Examples in docstrings are right, and every module can be imported with what the core needs alone."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"prefbench": ROOT / "prefbench", **{f"prefbench.{n}": ROOT / n for n in ("methods", "metrics", "reports")}}
OPTIONAL = ("cleanfid", "pytorch_fid", "statsmodels", "torch_fidelity")
"""What only tests and `inception` need."""


def modules() -> dict[str, Path]:
    names = {}
    for package, root in PACKAGES.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            names[".".join([package, *parts]).removesuffix(".__init__")] = path
    return names


def has_example(path: Path) -> bool:
    """Whether some example runs here: those that draw with real weights are left to a test of their own."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [ast.get_docstring(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, nodes)]
    examples = [example for text in texts if text for example in doctest.DocTestParser().get_examples(text)]
    return any(not example.options.get(doctest.SKIP) for example in examples)


# Not by --doctest-modules: pytest would import methods/x.py as `methods.x`, a second copy of `prefbench.methods.x`.
@pytest.mark.parametrize("name", [name for name, path in modules().items() if has_example(path)])
def test_examples_in_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.slow
def test_every_module_imports_without_the_network_and_what_is_optional() -> None:
    names = [name for name in modules() if not name.endswith("__main__")]
    script = (
        "import importlib, json, socket, sys\n"
        f"sys.modules |= dict.fromkeys({OPTIONAL!r})\n"
        "def refuse(*args, **options): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "for name in json.load(sys.stdin): importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=json.dumps(names), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
