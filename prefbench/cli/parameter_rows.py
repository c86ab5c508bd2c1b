"""The parameters of a class or function as rows: name, type, default, and what its docstring says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from prefbench.parameters import declared

_ENTRY = re.compile(r"^    (\w+): +(.*(?:\n     .*)*)", re.MULTILINE)


def parameter_rows(constructor: Callable[..., Any]) -> list[dict[str, Any]]:
    """One row per parameter, in the order of the constructor.

    Raises:
        PrefbenchError: a parameter without a default, or of a kind that text is not parsed by.
    """
    meanings = _meanings(constructor)
    return [
        {"name": name, "type": type_text(annotation), "default": default, "meaning": meanings.get(name, "")}
        for name, (annotation, default) in declared(constructor).items()
    ]


def type_text(annotation: Any) -> str:
    """A type as `-p` takes it.

    Example:
        >>> type_text(Literal["average", "disliked"]), type_text(float | None), type_text(tuple[str, ...])
        ('average | disliked', 'float | None', 'tuple of str')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " | ".join(map(type_text, arguments))
    if origin in (tuple, list):
        return f"{origin.__name__} of {type_text(arguments[0])}"
    return "None" if annotation is NoneType else str(getattr(annotation, "__name__", annotation))


def _meanings(constructor: Callable[..., Any]) -> Mapping[str, str]:
    """Name to text of the docstring's section `Args:`."""
    section = (inspect.getdoc(constructor) or "").partition("Args:\n")[2]
    section = re.split(r"\n\n(?=\S)", section)[0]
    return {name: " ".join(text.split()) for name, text in _ENTRY.findall(section)}
