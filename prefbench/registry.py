"""One lazy registry: names to `module:Attr` strings, resolved only when asked.

Names come from entry points (group `prefbench.<kind>`): prefbench's own, which stand in its `pyproject.toml`, then
those of other installed packages. Three more forms are names too: `path/to/file.py:Class` for a file outside any
package; `NAME:MEMBER` for a member of a family: the function registered as NAME under the kind `<kind>_family` gives
the class of the text MEMBER; and the path of a folder, for kinds with a function under `<kind>_folder` that gives its
class.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import os
import sys
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from prefbench import api
from prefbench.api import PrefbenchError
from prefbench.api.card_checks import check_card
from prefbench.api.guard import guarded, module_of, reason
from prefbench.api.near import classes_in, is_file, is_folder, near_file, shortened, unknown

Kind = Literal[
    "suite", "suite_folder", "method", "control", "metric", "metric_family", "scorer", "extractor", "backbone", "mllm",
    "trainer", "ablation", "weights", "report", "converter",
]  # fmt: skip
Role = Literal[
    "suite", "mllm", "method.baseline", "method.ceiling", "method.crowd", "method.baseline.style-transfer",
    "method.crowd.style-transfer", "control.mismatch",
]  # fmt: skip
"""A kind; where several of a kind play a role, which of them; and for which kind of backbone, if not text-to-image."""


@dataclass(frozen=True)
class Contract:
    """What a class of one kind derives from, and the card that it carries."""

    bases: tuple[type, ...]
    card: type

    def __str__(self) -> str:
        *first, last = (base.__name__ for base in self.bases)
        return f"prefbench.api.{', '.join(first)} or {last}" if first else f"prefbench.api.{last}"


CONTRACTS: Mapping[Kind, Contract] = {
    "suite": Contract((api.Suite,), api.SuiteCard),
    "method": Contract((api.Method,), api.MethodCard),
    "metric": Contract((api.ImageMetric, api.SetMetric, api.UserMetric), api.MetricCard),
    "scorer": Contract((api.Scorer, api.PairScorer), api.ScorerCard),
    "report": Contract((api.Report,), api.ReportCard),
}
"""The kinds whose objects are classes. The others are functions and cards."""


@dataclass(frozen=True)
class Entry:
    """A registered name and the string that says where its object is."""

    kind: Kind
    name: str
    target: str

    def load(self) -> Any:
        """Imports and returns the object. Raises `PrefbenchError` naming the string when it cannot."""
        module_name, _, attribute = self.target.rpartition(":")
        try:
            with guarded(f"{self.kind} {self.name!r}", "import", module=module_name, passes=(ModuleNotFoundError,)):
                module = importlib.import_module(module_name)
                found = hasattr(module, attribute)
        except ModuleNotFoundError as error:
            if error.name is None or module_name.startswith(error.name):
                raise PrefbenchError(f"{self.kind} {self.name!r}: there is no module {module_name}") from error
            raise PrefbenchError(
                f"{self.kind} {self.name!r} needs the package {error.name!r}: pip install {error.name}"
            ) from error
        if not found:
            raise PrefbenchError(f"{self.kind} {self.name!r}: {module_name} has no {attribute!r}")
        return getattr(module, attribute)


def names(kind: Kind) -> list[str]:
    """All registered names of a kind, prefbench's own ones first."""
    return list(_targets(kind, tuple(sys.path)))


def entry(kind: Kind, name: str) -> Entry:
    """The entry of a name, of a member that of its family.

    Raises:
        PrefbenchError: a name that nothing is registered under, with the nearest match and all names.
    """
    targets, family = _targets(kind, tuple(sys.path)), name.partition(":")[0]
    if name in targets:
        return Entry(kind, name, targets[name])
    if ":" in name and family in families(kind):
        return families(kind)[family]
    known = [*targets, *(f"{one}:NAME" for one in families(kind))]
    raise PrefbenchError(unknown(kind, name, known) + (_no_folder(kind, name) if _can_be_folder(kind) else ""))


def _no_folder(kind: Kind, name: str) -> str:
    """What keeps a name from being the path of a folder, as the end of a message."""
    path = Path(name)
    if is_file(path):
        return (
            f"; {shortened(name)} is a file, and a {kind} the path of a folder, such as {shortened(str(path.parent))}"
        )
    return f"; the path of a folder is a {kind} too, and there is no such folder"


@cache
def default(role: Role) -> str:
    """The registered name that plays a role where none is named: an entry point of the group `prefbench.default`."""
    targets = {target: name for name, target in _own_targets(role.partition(".")[0]).items()}
    return targets[_own_targets("default")[role]]


def families(kind: Kind) -> dict[str, Entry]:
    """The families of a kind: name to entry. Their members are loaded as `NAME:MEMBER`."""
    return {name: entry(group, name) for group in get_args(Kind) if group == f"{kind}_family" for name in names(group)}


def check_name(kind: Kind, name: str) -> None:
    """Raises `PrefbenchError` for a name that nothing is registered under and no file has. Imports nothing."""
    if not isinstance(name, str):
        raise PrefbenchError(f"a {kind} is given by its name, got {shorten(repr(name), 60)}")
    if name.endswith(".py"):
        raise PrefbenchError(f"{kind} {name!r} must name a class too: {name}:{' or '.join(classes_in(Path(name)))}")
    path = file_of(name)
    if path is None and folder_of(kind, name) is None:
        entry(kind, name)
    elif path is not None and not is_file(path):
        raise PrefbenchError(f"{kind} file {shortened(str(path))} does not exist{near_file(path)}")


def _of_source(kind: Kind, source: str) -> str:
    """The registered name of weights that are known by another, as the end of a message: of a hub id."""
    sources = {str(getattr(entry(kind, name).load(), "source", "")).lower(): name for name in names(kind)}
    near = difflib.get_close_matches(source.lower(), sources, n=1, cutoff=0.7)
    return f"; did you mean {sources[near[0]]!r}, whose weights are {near[0]}?" if near else ""


def check_source(kind: Kind, source: str) -> None:
    """Raises `PrefbenchError` for what is neither a folder of weights nor a registered name. Imports nothing."""
    if is_folder(source) or source in names(kind):
        return
    if kind in CONTRACTS or file_of(source) is not None:
        check_name(kind, source)
        return
    path = Path(source)
    layout = f"a {kind} is a registered name or a folder as save_pretrained writes it"
    with suppress(OSError, ValueError):
        if path.is_file():
            raise PrefbenchError(f"{source} is one file; {layout}")
    if len(path.parts) > 1 or source.startswith("."):
        raise PrefbenchError(
            f"there is no folder {shortened(source)}{_of_source(kind, source)}; {layout} "
            f"(registered: {', '.join(names(kind))})"
        )
    check_name(kind, source)


def load(kind: Kind, name: str) -> Any:
    """The object behind a name, `path/to/file.py:Class` or `NAME:MEMBER`.

    Raises:
        PrefbenchError: an unknown name, a file or module that cannot be imported, a class of another kind.
    """
    check_name(kind, name)
    path = file_of(name)
    if path is not None:
        loaded = _load_file(kind, path, name.rpartition(":")[2])
    elif folder_of(kind, name) is not None:
        loaded = _of_folder(kind, name)
    else:
        registered = entry(kind, name)
        loaded = registered.load()
        if registered.kind != kind:
            with guarded(f"{kind} {name!r}", "the family", module=module_of(loaded)):
                loaded = loaded(name.partition(":")[2])
    if not _fits(kind, loaded):
        raise PrefbenchError(f"{kind} {name!r} is no class derived from {CONTRACTS[kind]}")
    return loaded


def load_class(kind: Kind, name: str) -> Any:
    """A class of a name that can be constructed: it has its card and lacks no method of the contract."""
    loaded = load(kind, name)
    check_class(kind, name, loaded)
    return loaded


def make(kind: Kind, name: str, **parameters: Any) -> Any:
    """An instance of a class, its own card checked too; of the other kinds what their function returns.

    Raises:
        PrefbenchError: what `load_class` raises; or the constructor failed, in one line that names the plug-in.
    """
    constructor = load_class(kind, name) if kind in CONTRACTS else load(kind, name)
    instance = construct(f"{kind} {name!r}", constructor, parameters)
    if kind in CONTRACTS and instance.card is not constructor.card:
        check_card_of(kind, name, instance.card)
    return instance


def construct(whose: str, constructor: Callable[..., Any], parameters: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """What a plug-in's constructor or function returns. Raises `PrefbenchError` where it fails."""
    with guarded(whose, "the constructor", module=module_of(constructor)):
        return constructor(**parameters)


def check_class(kind: Kind, name: str, loaded: type) -> None:
    """Raises `PrefbenchError` for a class without a card, with a wrong one, or that lacks a method of its kind."""
    check_card_of(kind, name, getattr(loaded, "card", None))
    if lacking := sorted(getattr(loaded, "__abstractmethods__", ())):
        raise PrefbenchError(f"{kind} {name!r}: the class lacks {', '.join(lacking)}")


def check_card_of(kind: Kind, name: str, card: object) -> None:
    """Raises `PrefbenchError` for a card that is none of its kind, or holds what its fields cannot be."""
    expected = CONTRACTS[kind].card
    if not isinstance(card, expected):
        raise PrefbenchError(f"{kind} {name!r}: the class has no card; give it one: card = {expected.__name__}(...)")
    check_card(f"{kind} {name!r}", card)
    own: str = getattr(card, "name")  # noqa: B009 - every card has one
    if kind != "method" and is_taken(kind, name, own):  # a method's is shown beside where it comes from instead
        raise PrefbenchError(f"{kind} {name!r}: the name on its card, {own!r}, is another {kind}'s; give it its own")


def is_taken(kind: Kind, name: str, own: str) -> bool:
    """Whether the name on a card is that of something else.

    Args:
        kind: of the plug-in.
        name: how it is loaded: a registered name, a member of a family, `path/to/file.py:Class`, a class's name.
        own: the name on its card.
    """
    registered = {} if file_of(name) else {canonical(one): one for one in names(kind)}
    if registered.get(canonical(own)) == name:
        return False
    family = own.partition(":")[0]
    if ":" in own and family in families(kind):
        return file_of(name) is not None or name.partition(":")[0] != family
    is_derived = kind == "metric" and canonical(own).startswith(api.DERIVED)
    return is_derived or canonical(own) in map(canonical, names(kind))


def canonical(name: str) -> str:
    """Equal for names that look or are stored alike."""
    return unicodedata.normalize("NFKC", name).casefold()


def file_of(name: str) -> Path | None:
    """The path in `path/to/file.py:Class`; None for a registered name."""
    path = name.rpartition(":")[0]
    return Path(path) if path.endswith(".py") else None


def folder_of(kind: Kind, name: str) -> Path | None:
    """The folder that a name is the path of, for kinds that folders can be; None for other names. A registered name is
    never a folder.
    """
    can_be = _can_be_folder(kind) and name not in names(kind)
    is_one = can_be and bool(name.strip()) and is_folder(name)  # an empty path is the working folder
    return Path(name) if is_one else None


def _can_be_folder(kind: Kind) -> bool:
    return f"{kind}_folder" in get_args(Kind)


def _of_folder(kind: Kind, name: str) -> Any:
    group = cast("Kind", f"{kind}_folder")
    [reader] = [entry(group, one).load() for one in names(group)]
    with guarded(f"{kind} {name!r}", "the folder", module=module_of(reader)):
        return reader(name)


@lru_cache(maxsize=len(get_args(Kind)))
def _targets(kind: Kind, path: tuple[str, ...]) -> Mapping[str, str]:  # noqa: ARG001 - what is installed depends on it
    """Name to `module:Attr`. A name of our own is never replaced."""
    own = _own_targets(kind)
    if not own and not _own_targets("suite"):
        raise PrefbenchError("prefbench is installed without its names; run `pip install -e .` in its folder again")
    points = entry_points(group=f"prefbench.{kind}")
    return MappingProxyType(own | {point.name: point.value for point in points if point.name not in own})


def _own_targets(kind: str) -> dict[str, str]:
    points = entry_points(group=f"prefbench.{kind}")
    return {point.name: point.value for point in points if point.dist is not None and point.dist.name == "prefbench"}


def _load_file(kind: Kind, path: Path, attribute: str) -> Any:
    name = f"prefbench_file_{path.stem}_{sha256(os.fsencode(path.resolve())).hexdigest()[:16]}"  # in every process
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PrefbenchError(f"{kind} file {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with guarded(f"{kind} file {path}", "import", module=name):
            spec.loader.exec_module(module)
            own = {n: v for n, v in vars(module).items() if getattr(v, "__module__", None) == name}
            fitting = [n for n, v in own.items() if not n.startswith("_") and _fits(kind, v)]
            loaded = getattr(module, attribute, None)
            wrong = loaded is None or (fitting and not _fits(kind, loaded))
    except PrefbenchError as error:
        sys.modules.pop(name, None)
        raise PrefbenchError(f"{kind} file {path} cannot be imported: {reason(error)}") from error
    if wrong:
        raise PrefbenchError(unknown(f"{kind} in {path}", attribute, fitting or ["none"]))
    return loaded


def _fits(kind: Kind, loaded: object) -> bool:
    return kind not in CONTRACTS or (inspect.isclass(loaded) and issubclass(loaded, CONTRACTS[kind].bases))
