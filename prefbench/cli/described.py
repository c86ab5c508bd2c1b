"""What a registered name is, in one line and by its group, read from its source: no plug-in is imported or run."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prefbench.registry import Entry

Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign
_MODELS = ("pipeline", "resolution", "source", "licence")
"""Fields of the cards that have no summary: those of backbones and language models."""


@dataclass(frozen=True)
class Described:
    """One line about a name, and the group that lists put it into; empty without one."""

    summary: str = ""
    group: str = ""


def described(registered: Entry) -> Described:
    """The summary on the card where it stands there as a text, else the first line of the docstring."""
    module, _, attribute = registered.target.rpartition(":")
    definition = _definitions(module).get(attribute)
    if definition is None:
        return Described()
    card = _card(definition)
    if not card and registered.kind == "metric" and module.startswith("prefbench."):
        made = registered.load().card
        card = {"summary": made.summary, "question": made.question}
    fields = [f"{card[name]}" + " px" * (name == "resolution") for name in _MODELS if name in card]
    doc = "" if isinstance(definition, ast.Assign | ast.AnnAssign) else ast.get_docstring(definition) or ""
    summary = str(card.get("summary") or doc.partition("\n\n")[0] or ", ".join(fields))
    return Described(" ".join(summary.split()), _group(registered, card))


def _group(registered: Entry, card: Mapping[str, Any]) -> str:
    """Of a metric its question; of a method of prefbench its folder, of another the package that brings it."""
    if registered.kind == "metric":
        return str(card.get("question", ""))
    if registered.kind != "method":
        return ""
    package, *folders = registered.target.partition(":")[0].split(".")
    own = folders[1:-1] or ["baselines"]
    return own[0].replace("_", " ") if package == "prefbench" else package


@cache
def _definitions(module: str) -> Mapping[str, Definition]:
    """What a module defines, by name; empty where its source is not to be had."""
    try:
        spec = importlib.util.find_spec(module)
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else ast.Module([], [])
    except (ImportError, OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {name.id: node for name in _targets(node) if isinstance(name, ast.Name)}
    return found


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _card(definition: Definition) -> dict[str, Any]:
    """The constant arguments of the call that makes the card: a class's `card`, or the object itself."""
    value: ast.expr | None = None
    if isinstance(definition, ast.ClassDef):
        for node in definition.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "card" in map(ast.unparse, _targets(node)):
                value = node.value
    elif isinstance(definition, ast.Assign | ast.AnnAssign):
        value = definition.value
    if isinstance(value, ast.Call) and value.args and isinstance(value.args[0], ast.Call):
        value = value.args[0]  # an object whose first argument is its card
    if not isinstance(value, ast.Call):
        return {}
    constants = {one.arg: one.value.value for one in value.keywords if one.arg and isinstance(one.value, ast.Constant)}
    if not ast.unparse(value.func).endswith("Card"):  # made by a function that knows the rest
        return {}
    names = ("name", "version", "summary")
    given = [one.value if isinstance(one, ast.Constant) else None for one in value.args[: len(names)]]
    return {**dict(zip(names, given, strict=False)), **constants}
