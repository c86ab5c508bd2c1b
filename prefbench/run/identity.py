"""Identity of a method in a run's spec: name, revision of its code, parameters. Equal identities are one run."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefbench.api import Method, PrefbenchError
from prefbench.api.guard import guarded, module_of
from prefbench.parameters import bind, declared, parse_pairs, restore
from prefbench.registry import check_class, construct, entry, file_of, load_class, names
from prefbench.run.code import code_hash

Parameters = Mapping[str, object] | Sequence[str]
"""Values by name, or texts as `name=value`."""


@dataclass(frozen=True)
class MethodIdentity:
    """A method as the spec names it, and how to make it."""

    name: str
    parameters: Mapping[str, Any]
    revision: str
    """A hash of the code that no version stands for; empty for registered methods."""
    make: Callable[[], Method]

    def version(self, method: Method) -> str:
        """The card's version, then the code's revision and the digest of its own weights where there are any."""
        with guarded(f"method {self.name!r}", "weights_digest", module=module_of(method)):
            digest = "" + method.weights_digest
        parts = [type(method).card.version, self.revision, digest[:12]]
        return "+".join(part for part in parts if part)


def identify(method: str | type[Method] | Method, parameters: Parameters = ()) -> MethodIdentity:
    """The identity of a registered name, `path/to/file.py:Class`, a class, or an instance.

    Raises:
        PrefbenchError: an unknown name or parameter, a class that breaks the contract, an instance whose parameters
            cannot be read back, or code that reaches what cannot be identified.
    """
    if isinstance(method, Method):
        if parameters:
            raise PrefbenchError(f"an instance of {type(method).__name__} has its parameters already: give the class")
        # Set up is another instance of these parameters: the given one stays as it is and can be drawn with again.
        kind, recovered = type(method), instance_parameters(method)
        check_class("method", kind.__name__, kind)
        name, revision = _class_name(kind), _revision(kind)
        return MethodIdentity(name, recovered, revision, partial(construct, f"method {name!r}", kind, recovered))
    if isinstance(method, str):
        constructor, path = load_class("method", method), file_of(method)
        name, revision = portable_name(method), "" if path is None else file_hash(path)
    else:
        if not (inspect.isclass(method) and issubclass(method, Method)):
            raise PrefbenchError(f"{method!r} is no method: give a name, a class derived from Method, or an instance")
        check_class("method", method.__name__, method)
        constructor, name, revision = method, _class_name(method), _revision(method)
    bound = bind_values(constructor, parameters)
    return MethodIdentity(name, bound, revision, partial(construct, f"method {name!r}", constructor, bound))


def bind_values(constructor: type, parameters: Parameters) -> dict[str, Any]:
    """All parameters of a constructor: those given as values or texts, the others at their defaults."""
    if isinstance(parameters, Mapping):
        return restore(constructor, parameters)
    return bind(constructor, parse_pairs(parameters))


def instance_parameters(method: Method) -> dict[str, Any]:
    """The parameters that an instance was made with, read from its attributes of the same names, `x` or `_x`.

    Raises:
        PrefbenchError: a parameter is no attribute, or the constructor makes another instance of the parameters: then
            the instance holds what a run's description could not name.
    """
    constructor, state = type(method), vars(method)
    parameters = {}
    for name in declared(constructor):
        attributes = [attribute for attribute in (name, f"_{name}") if attribute in state]
        if not attributes:
            raise PrefbenchError(
                f"parameter {name!r} of this {constructor.__name__} cannot be read back: keep it as self.{name} or "
                f"self._{name}, or give the class with parameters={{...}}"
            )
        parameters[name] = state[attributes[0]]
    parameters = restore(constructor, parameters)
    rebuilt = vars(construct(f"method {constructor.__name__!r}", constructor, parameters))
    for attribute in sorted(state.keys() | rebuilt.keys()):
        if attribute not in state or attribute not in rebuilt or not _alike(state[attribute], rebuilt[attribute]):
            raise PrefbenchError(
                f"this {constructor.__name__} holds a {attribute!r} that its parameters do not give: "
                "make it a parameter with a default, or set it in setup"
            )
    return parameters


def portable_name(name: str, *, pinned: bool = False) -> str:
    """A name as the spec holds it: of `path/to/file.py:Name` not the folder, so that no key depends on where it lies.

    Where `pinned`, with a hash of the file too, since a file has no version.
    """
    path = file_of(name)
    if path is None:
        return name
    return f"{path.name}:{name.rpartition(':')[2]}" + (f"+{file_hash(path)}" if pinned else "")


def file_hash(path: Path) -> str:
    """Twelve digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _class_name(constructor: type[Method]) -> str:
    """The registered name of a class that has one; else its own, whichever module or notebook it stands in."""
    target = f"{constructor.__module__}:{constructor.__qualname__}"
    registered = [name for name in names("method") if entry("method", name).target == target]
    return registered[0] if registered else f"python:{constructor.__qualname__}"


def _revision(constructor: type[Method]) -> str:
    """A hash of what a class runs; empty for registered ones, whose cards have versions."""
    return code_hash(constructor) if _class_name(constructor).startswith("python:") else ""


def _alike(one: object, other: object) -> bool:
    """Equal, or the same bytes where objects do not compare, such as arrays and models."""
    try:
        if one == other:
            return True
    except (ValueError, RuntimeError):  # the comparison of arrays is an array, which has no truth value
        pass
    try:
        return pickle.dumps(one) == pickle.dumps(other)
    except Exception:  # what does not pickle can raise anything
        return False
