"""Constructor parameters from text: `-p scale=0.6` parsed against the annotations of `__init__`."""

from __future__ import annotations

import contextlib
import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from prefbench.api import PrefbenchError
from prefbench.registry import unknown

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


def bind(constructor: type, given: Mapping[str, str]) -> dict[str, Any]:
    """All parameters of a constructor: the given ones parsed by their annotations, the others at their defaults."""
    allowed = declared(constructor)
    for name in given:
        if name not in allowed:
            known = list(allowed) or ["none"]
            raise PrefbenchError(unknown(f"parameter of {constructor.__name__}", name, known))
    return {
        name: _parse(name, given[name], annotation) if name in given else default
        for name, (annotation, default) in allowed.items()
    }


def declared(constructor: type) -> dict[str, tuple[Any, Any]]:
    """Parameter name to (annotation, default). Raises `PrefbenchError` for a parameter without a default."""
    if constructor.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    hints = typing.get_type_hints(constructor.__init__)  # type: ignore[misc]
    parameters = list(inspect.signature(constructor.__init__).parameters.values())[1:]  # type: ignore[misc]
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty:
            raise PrefbenchError(f"{constructor.__name__}: parameter {parameter.name!r} needs a default")
    return {p.name: (hints.get(p.name, str), p.default) for p in parameters}


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
