"""Parameters from text: `-p scale=0.6` parsed against the annotations of a class's `__init__` or of a function."""

from __future__ import annotations

import contextlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from prefbench.api import PrefbenchError
from prefbench.registry import unknown

_PLAIN = (bool, int, float, str)
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """`["scale=0.6"]` to `{"scale": "0.6"}`. Raises `PrefbenchError` for a text without `=` or a name given twice."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise PrefbenchError(f"parameter {pair!r} must read name=value")
        if name in parsed:
            raise PrefbenchError(f"parameter {name!r} is given twice")
        parsed[name] = value
    return parsed


def bind(constructor: Callable[..., Any], given: Mapping[str, str]) -> dict[str, Any]:
    """All parameters of a constructor: the given ones parsed by their annotations, the others at their defaults.

    Of a function, such as a trainer, the keyword-only ones.
    """
    allowed = declared(constructor)
    for name in given:
        if name not in allowed:
            known = list(allowed) or ["none"]
            raise PrefbenchError(unknown(f"parameter of {constructor.__name__}", name, known))
    return {
        name: _parse(name, given[name], annotation) if name in given else default
        for name, (annotation, default) in allowed.items()
    }


def restore(constructor: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that `bind` gave and a run's description kept; those it does not name stand at their defaults.

    Raises:
        PrefbenchError: a name or a kind of value that the constructor does not take.
    """
    allowed = declared(constructor)
    for name, value in stored.items():
        if name not in allowed:
            raise PrefbenchError(unknown(f"parameter of {constructor.__name__}", name, list(allowed) or ["none"]))
        annotation, default = allowed[name]
        if value != default and not _fits(value, annotation):
            raise PrefbenchError(f"parameter {name} of {constructor.__name__} cannot be {value!r}")
    return {name: stored.get(name, default) for name, (_, default) in allowed.items()}


def declared(constructor: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Parameter name to (annotation, default).

    Raises:
        PrefbenchError: a parameter has no default, one that JSON cannot hold, or an annotation that text is not parsed
            by or that names nothing.
    """
    hints = _hints(constructor)
    found = {p.name: (hints.get(p.name, str), p.default) for p in _signature(constructor)}
    for name, (annotation, default) in found.items():
        _check_parameter(f"{constructor.__name__}: parameter {name!r}", annotation, default)
    return found


def _signature(constructor: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a class's own constructor; the keyword-only ones of a function."""
    if not inspect.isclass(constructor):
        parameters = inspect.signature(constructor).parameters.values()
        return [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if constructor.__init__ is object.__init__:
        return []
    return list(inspect.signature(constructor.__init__).parameters.values())[1:]


def _hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)
    except Exception as error:  # annotations are code: evaluating them can raise anything
        raise PrefbenchError(
            f"{constructor.__name__}: the annotations of its parameters cannot be read ({error}); "
            "what they name must be imported outside `if TYPE_CHECKING`"
        ) from error


def _check_parameter(what: str, annotation: Any, default: Any) -> None:
    if default is inspect.Parameter.empty:
        raise PrefbenchError(f"{what} needs a default")
    if not _is_known(annotation):
        shown = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else annotation
        raise PrefbenchError(
            f"{what} is annotated {shown}; it may be bool, int, float, str, Literal, or a union of them"
        )
    if not (default is None or isinstance(default, _PLAIN)) or (
        isinstance(default, float) and not math.isfinite(default)
    ):
        raise PrefbenchError(f"{what} has the default {default!r}; it may be true, false, a number, a text or None")


def _is_known(annotation: Any) -> bool:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return all(option is type(None) or _is_known(option) for option in get_args(annotation))
    return annotation in _PLAIN or get_origin(annotation) is Literal


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a value read from JSON is one of an annotation's."""
    origin = get_origin(annotation)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(annotation))
    return type(value) is annotation or (annotation is float and type(value) is int)


def _parse(name: str, text: str, annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Literal:
        allowed = {str(value): value for value in get_args(annotation)}
        if text not in allowed:
            raise PrefbenchError(unknown(f"value of {name}", text, list(allowed)))
        return allowed[text]
    if origin in (typing.Union, types.UnionType):
        return _parse_optional(name, text, annotation)
    if annotation is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise PrefbenchError(f"parameter {name} is true or false, got {text!r}")
        return text.lower() in _TRUE
    if annotation in (int, float):
        return _parse_number(name, text, annotation)
    return text


def _parse_number(name: str, text: str, annotation: type[int] | type[float]) -> int | float:
    try:
        number = annotation(text)
    except ValueError:
        kind = "a whole number" if annotation is int else "a number"
        raise PrefbenchError(f"parameter {name} must be {kind}, got {text!r}") from None
    if not math.isfinite(number):
        raise PrefbenchError(f"parameter {name} must be finite, got {text!r}")
    return number


def _parse_optional(name: str, text: str, annotation: Any) -> Any:
    options = get_args(annotation)
    if text.lower() == "none" and type(None) in options:
        return None
    *firsts, last = (option for option in options if option is not type(None))
    for option in firsts:
        with contextlib.suppress(PrefbenchError):
            return _parse(name, text, option)
    return _parse(name, text, last)
