"""Parameters from text: `-p scale=0.6` parsed against the annotations of a class's `__init__` or of a function."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from operator import or_
from textwrap import shorten
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown
from prefbench.registry import check_source

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_PLAIN = (bool, int, float, str)


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


def bind(constructor: Callable[..., Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """All parameters of a constructor: those in `texts` parsed by their annotations, the others at their defaults.

    Of a function, such as a trainer, the keyword-only ones.
    """
    return _bound(constructor, texts, lambda name, text, annotation, _: _parse(name, text, annotation))


def restore(constructor: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a constructor from values, as a run's description holds them; the others at their defaults.

    Raises:
        PrefbenchError: a name or a kind of value that the constructor does not take.
    """
    return _bound(constructor, values, partial(_checked, constructor))


def _bound(
    constructor: Callable[..., Any], given: Mapping[str, Any], read: Callable[[str, Any, Any, Any], Any]
) -> dict[str, Any]:
    """All parameters; what is given for one annotated `Annotated[str, KIND]` must be a name of the kind or a folder."""
    allowed, bound = declared(constructor), {}
    for name in given:
        if name not in allowed:
            raise PrefbenchError(unknown(f"parameter of {constructor.__name__}", name, list(allowed) or ["none"]))
    for name, (annotation, default) in allowed.items():
        bound[name] = read(name, given[name], annotation, default) if name in given else default
    for name, annotation in _hints(constructor, extras=True).items():
        for kind in getattr(annotation, "__metadata__", ()):
            if bound[name] is not None:
                check_source(kind, bound[name])
    return bound


def declared(constructor: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Parameter name to (annotation, default).

    Raises:
        PrefbenchError: a parameter has no default, one that JSON cannot hold, or an annotation that text is not parsed
            by or that names nothing.
    """
    hints = _hints(constructor)
    parameters = {p.name: (hints.get(p.name, str), p.default) for p in _signature(constructor)}
    for name, (annotation, default) in parameters.items():
        _check_parameter(f"{constructor.__name__}: parameter {name!r}", annotation, default)
    return parameters


def _signature(constructor: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a class's own constructor; the keyword-only ones of a function."""
    if not inspect.isclass(constructor):
        parameters = inspect.signature(constructor).parameters.values()
        return [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if constructor.__init__ is object.__init__:
        return []
    return list(inspect.signature(constructor.__init__).parameters.values())[1:]


def _hints(constructor: Callable[..., Any], *, extras: bool = False) -> dict[str, Any]:
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return typing.get_type_hints(function, include_extras=extras)
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
            f"{what} is annotated {shown}; it may be bool, int, float, str, Literal, a union of them, or tuple[X, ...]"
        )
    values = default if isinstance(default, tuple) and _item(annotation) else (default,)
    if not all(value is None or isinstance(value, _PLAIN) for value in values) or any(
        isinstance(value, float) and not math.isfinite(value) for value in values
    ):
        raise PrefbenchError(f"{what} has the default {default!r}; it may be true, false, a number, a text or None")


def _is_known(annotation: Any) -> bool:
    plain = [option for option in _options(annotation) if option is not NoneType]
    return bool(plain) and all(o in _PLAIN or get_origin(o) is Literal or _item(o) in _PLAIN for o in plain)


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of any other annotation itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _item(annotation: Any) -> Any:
    """The X of `tuple[X, ...]`; None for any other annotation."""
    items = get_args(annotation)
    return items[0] if get_origin(annotation) is tuple and items[1:] == (Ellipsis,) else None


def _checked(constructor: type, name: str, value: Any, annotation: Any, default: Any) -> Any:
    """The value, validated against its annotation; one text is a tuple of it, as a list is one of its items."""
    if value == default and type(value) is type(default):
        return default
    if _item(annotation) and isinstance(value, list | str):
        value = (value,) if isinstance(value, str) else tuple(value)
    return checked(f"parameter {name} of {constructor.__name__}", value, annotation)


def checked(what: str, value: Any, annotation: Any) -> Any:
    """The value, validated against a type; only a whole number is converted, to a float.

    Raises:
        PrefbenchError: another kind of value, or one outside of its limits.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        reasons = dict.fromkeys(one["msg"].replace("Input", "it") for one in error.errors())
        raise PrefbenchError(f"{what} cannot be {shorten(repr(value), 60)}: {' or '.join(reasons)}") from None


def _parse(name: str, text: str, annotation: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if item := _item(annotation):
        return tuple(_parse(name, one.strip(), item) for one in text.split(",") if one.strip())
    try:
        return TypeAdapter(_of_text(annotation)).validate_python(text)
    except ValidationError as error:
        # The options of a union are tried from left to right; what is wrong with the last one is told.
        last = [option for option in _options(annotation) if option is not NoneType][-1]
        raise PrefbenchError(_complaint(name, text, last, error.errors()[-1])) from None


def _of_text(annotation: Any) -> Any:
    """The annotation as pydantic reads it from text: None and the values of a Literal by their names."""
    from pydantic import BeforeValidator, Field

    if len(_options(annotation)) > 1:
        options = sorted(_options(annotation), key=lambda option: option is not NoneType)  # `none` is never a text
        return Annotated[reduce(or_, map(_of_text, options)), Field(union_mode="left_to_right")]
    if annotation is NoneType:
        return Annotated[None, BeforeValidator(lambda text: None if text.lower() == "none" else text)]
    if get_origin(annotation) is Literal:
        named = {str(value): value for value in get_args(annotation)}
        return Annotated[annotation, BeforeValidator(lambda text: named.get(text, text))]
    if annotation is int:
        return Annotated[int, BeforeValidator(int)]  # pydantic alone would take 2.0 for 2
    return Annotated[float, Field(allow_inf_nan=False)] if annotation is float else annotation


def _complaint(name: str, text: str, annotation: Any, error: ErrorDetails) -> str:
    if get_origin(annotation) is Literal:
        return unknown(f"value of {name}", text, [str(value) for value in get_args(annotation)])
    if annotation is bool:
        return f"parameter {name} is true or false, got {text!r}"
    kind = "finite" if error["type"] == "finite_number" else "a whole number" if annotation is int else "a number"
    return f"parameter {name} must be {kind}, got {text!r}"
