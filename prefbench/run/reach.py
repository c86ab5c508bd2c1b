"""What a method's code reaches for that no honest method needs: a suite, its truth, its reader.

A look at the source of the method's classes and of the modules of its own package that they import, and at what the
method holds once it has drawn. It is no proof of honesty: code can build a name from pieces, or read a file. What
looks users up in a table falls on new users, which `prefbench audit --fresh` draws for; what finds the live suite does
not, so that asking the interpreter for live objects or frames is looked for, too.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prefbench.api import Method, Suite
from prefbench.api.guard import suites_made
from prefbench.registry import entry, names
from prefbench.run.outputs import whose

_OURS = __name__.partition(".")[0]
_HARNESS = tuple(f"{_OURS}.{name}" for name in ("calls", "run.prepare", "run.guarded_suite", "run.opaque"))
"""Modules of the harness that hand out suites, or know whose an opaque name is."""
_LOADERS = ("load", "load_class", "make", "entry", "load_suite", "suite_of")
_LIVE = frozenset(
    {
        "get_objects",
        "get_referrers",
        "get_referents",
        "_getframe",
        "_current_frames",
        "currentframe",
        "f_back",
        "f_locals",
    }
)
"""Names by which the interpreter hands out other code's live objects, whatever the module is called."""
_DOTTED = re.compile(r"\w+(\.\w+)+(:\w+)?")
_LIMIT = 200
"""Modules of one package that are looked at; more are those of a library."""


@dataclass(frozen=True, order=True)
class Reach:
    """One place where a method's code reaches for what it may not know."""

    file: str
    """The module, or the file's name."""
    line: int
    """0 for what the method holds at run time."""
    what: str

    def __str__(self) -> str:
        return f"{self.file}{f' line {self.line}' if self.line else ''} {self.what}"


def reached_by(constructor: type[Method]) -> list[Reach]:
    """What the source of a class, of its bases and of the modules of their package reaches for, in order."""
    found = set[Reach]()
    for module, path in _sources(constructor):
        found |= set(_reaches(module, path))
    return sorted(found)


def unread_code(constructor: type[Method]) -> list[str]:
    """The modules of a class and its bases whose source cannot be read, as in a notebook."""
    return sorted(module for module in _own_modules(constructor) if _file(module) is None)


def held_by(method: Method) -> list[Reach]:
    """What the method, its class and the globals of its own modules hold of a suite, its truth or its reader."""
    own = type(method).__module__
    holders: list[tuple[str, Mapping[str, Any]]] = [(own, vars(method))]
    holders += [(kind.__module__, vars(kind)) for kind in _own_classes(type(method))]
    holders += [(name, vars(sys.modules[name])) for name in _own_modules(type(method)) if name in sys.modules]
    held = {
        Reach(_shown(holder), 0, f"holds {module} as {name!r} once it has drawn")
        for holder, values in holders
        for name, value in values.items()
        if (module := _behind(value)) is not None
    }
    made = suites_made.get((whose(method), own), set())
    return sorted({*held, *(Reach(_shown(own), 0, f"made the suite {name} while it was asked") for name in made)})


def is_forbidden(module: str) -> bool:
    """Whether a module is of a suite, or hands one out."""
    return any(module == door or module.startswith(f"{door}.") for door in _doors())


@cache
def _doors() -> frozenset[str]:
    """The modules of registered suites; of prefbench's own the whole package, which truth and reader stand in."""
    modules = [entry(kind, name).target.partition(":")[0] for kind in ("suite", "suite_folder") for name in names(kind)]
    own = {".".join(module.split(".")[:2]) for module in modules if module.startswith(f"{_OURS}.")}
    return frozenset({*own, *(module for module in modules if not module.startswith(f"{_OURS}.")), *_HARNESS})


def _behind(value: Any) -> str | None:
    """The forbidden module that a value is, or comes from; of a container, what it holds."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        items: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        return next((found for one in list(items)[:_LIMIT] if (found := _of(one)) is not None), None)
    return _of(value)


def _of(value: Any) -> str | None:
    """What the harness hands out, such as the truth to a control, is its own."""
    if isinstance(value, Suite):
        return type(value).__module__
    module = getattr(value, "__name__", "") if isinstance(value, type(sys)) else getattr(value, "__module__", "")
    return module if isinstance(module, str) and is_forbidden(module) and not module.startswith(_HARNESS) else None


def _own_classes(constructor: type) -> list[type]:
    return [kind for kind in constructor.__mro__ if not _is_common(kind.__module__)]


def _own_modules(constructor: type) -> list[str]:
    return [*dict.fromkeys(kind.__module__ for kind in _own_classes(constructor))]


def _is_common(module: str) -> bool:
    """Whether a module is of Python, or of prefbench outside of its plug-ins."""
    head, *rest = module.split(".")
    return head in sys.stdlib_module_names or (head == _OURS and rest[:1] != ["methods"])


def _sources(constructor: type[Method]) -> Iterator[tuple[str, Path]]:
    """The modules of a class and its bases, and those of their packages that they import, with their files."""
    waiting = _own_modules(constructor)
    seen = set(waiting)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None:
            continue
        yield module, path
        new = {name for name, _ in _imports(_tree(path), module) if _is_sibling(name, module) and _file(name)} - seen
        if len(seen) < _LIMIT:
            seen |= new
            waiting += sorted(new)


def _is_sibling(name: str, module: str) -> bool:
    """Whether one module is of the package of the other, or lies beside its file."""
    if _is_common(name) or name in sys.builtin_module_names:
        return False
    own, path, other = module.split("."), _file(module), _file(name)
    if own[0] == _OURS:
        return name.startswith(f"{_OURS}.methods.")
    beside = path is not None and other is not None and path.parent in (other.parent, *other.parent.parents)
    return name.split(".")[0] == own[0] or (beside and "site-packages" not in str(other))


def _file(module: str) -> Path | None:
    origin = getattr(sys.modules.get(module), "__file__", None)
    if origin is None and module not in sys.modules:
        with suppress(ImportError, AttributeError, ValueError):
            spec = importlib.util.find_spec(module)
            origin = spec.origin if spec is not None else None
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _imports(tree: ast.Module, module: str) -> Iterator[tuple[str, int]]:
    """Every module that an import names, at the top or inside a function, with its line."""
    path = _file(module)
    package = module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source, node.lineno
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)


def _reaches(module: str, path: Path) -> Iterator[Reach]:
    tree, file = _tree(path), _shown(module)
    lines: dict[int, str] = {}
    for name, line in _imports(tree, module):
        if is_forbidden(name):
            lines.setdefault(line, f"imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            if is_forbidden(node.value.partition(":")[0]):
                lines.setdefault(node.lineno, f"names {node.value}")
        elif isinstance(node, ast.Call) and _loads_a_suite(node):
            lines.setdefault(node.lineno, "loads a suite")
        elif isinstance(node, ast.Attribute) and is_forbidden(_chain(node)):
            lines.setdefault(node.lineno, f"uses {_chain(node)}")
        if isinstance(node, ast.expr | ast.ImportFrom) and (name := _live(node)):
            lines.setdefault(node.lineno, f"asks the interpreter for live objects: {name}")
    yield from (Reach(file, line, what) for line, what in lines.items())


def _live(node: ast.expr | ast.ImportFrom) -> str:
    """The name by which a node asks for live objects; empty for any other."""
    if isinstance(node, ast.ImportFrom):
        return next((alias.name for alias in node.names if alias.name in _LIVE), "")
    name = node.attr if isinstance(node, ast.Attribute) else node.value if isinstance(node, ast.Constant) else ""
    return name if isinstance(name, str) and name in _LIVE else ""


def _loads_a_suite(call: ast.Call) -> bool:
    named = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    return named in _LOADERS and isinstance(first, ast.Constant) and first.value in ("suite", "suite_folder")


def _chain(node: ast.expr) -> str:
    """`a.b.c` as a text; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = _chain(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else ""


def _shown(module: str) -> str:
    """A module as a finding names it: of a file outside of any package the file's name, which holds no folder."""
    path = _file(module)
    return path.name if module.startswith(f"{_OURS}_file_") and path is not None else module
