"""Constructor parameters from text: by annotation, never coerced, every mistake with the allowed values."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from prefbench.api import PrefbenchError
from prefbench.parameters import bind, declared, parse_pairs, restore


class Example:
    def __init__(
        self,
        *,
        scale: float = 0.5,
        rank: int = 4,
        fast: bool = False,
        mode: Literal["mean", "last", 3] = "mean",
        limit: int | None = None,
        size: int | Literal["auto"] = "auto",
        name: str = "x",
    ) -> None:
        self.given = (scale, rank, fast, mode, limit, size, name)


class Nothing:
    pass


class Needy:
    def __init__(self, folder: str) -> None:
        self.folder = folder


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("scale", "0.6", 0.6),
        ("scale", "1", 1.0),
        ("rank", "-3", -3),
        ("fast", "true", True),
        ("fast", "No", False),
        ("mode", "last", "last"),
        ("mode", "3", 3),
        ("limit", "none", None),
        ("limit", "7", 7),
        ("size", "auto", "auto"),
        ("size", "12", 12),
        ("name", "a=b", "a=b"),
    ],
)
def test_a_value_is_parsed_by_its_annotation(name: str, text: str, expected: object) -> None:
    value = bind(Example, {name: text})[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("scale", "much", "scale must be a number, got 'much'"),
        ("scale", "nan", "scale must be finite"),
        ("rank", "2.5", "rank must be a whole number, got '2.5'"),
        ("fast", "perhaps", "fast is true or false"),
        ("mode", "lost", r"unknown value of mode 'lost'; did you mean 'last'\? \(known: mean, last, 3\)"),
        ("limit", "few", "limit must be a whole number"),
        ("scael", "1", r"unknown parameter of Example 'scael'; did you mean 'scale'\?"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, text: str, expected: str) -> None:
    with pytest.raises(PrefbenchError, match=expected):
        bind(Example, {name: text})


def test_what_is_not_given_stands_at_its_default() -> None:
    bound = bind(Example, {"rank": "8"})
    assert bound == {"scale": 0.5, "rank": 8, "fast": False, "mode": "mean", "limit": None, "size": "auto", "name": "x"}
    assert Example(**bound).given == (0.5, 8, False, "mean", None, "auto", "x")


def test_a_class_without_parameters_takes_none() -> None:
    assert declared(Nothing) == {}
    assert bind(Nothing, {}) == {}
    with pytest.raises(PrefbenchError, match="unknown parameter of Nothing 'scale'"):
        bind(Nothing, {"scale": "1"})


def test_a_parameter_without_a_default_is_refused() -> None:
    with pytest.raises(PrefbenchError, match="Needy: parameter 'folder' needs a default"):
        declared(Needy)


def annotated(annotation: Any, default: Any) -> type:
    class Odd:
        def __init__(self, *, size=default) -> None:  # type: ignore[no-untyped-def]
            self.size = size

    Odd.__init__.__annotations__["size"] = annotation
    return Odd


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (tuple[int, int], None, "Odd: parameter 'size' is annotated tuple[int, int]; it may be bool, int, float, str"),
        (list, None, "Odd: parameter 'size' is annotated list;"),
        (Path, None, "Odd: parameter 'size' is annotated Path;"),
        (int | Path, 1, "Odd: parameter 'size' is annotated int | pathlib.Path;"),
        ("Fraction", 1, "Odd: the annotations of its parameters cannot be read (name 'Fraction' is not defined)"),
        ("int |", 1, "Odd: the annotations of its parameters cannot be read"),
        (int, {1, 2}, "Odd: parameter 'size' has the default {1, 2}; it may be true, false, a number, a text or None"),
        (int, np.int64(3), "Odd: parameter 'size' has the default np.int64(3)"),
        (float, math.inf, "Odd: parameter 'size' has the default inf"),
    ],
)
def test_a_parameter_that_text_cannot_give_is_refused(annotation: Any, default: Any, expected: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(expected)) as caught:
        declared(annotated(annotation, default))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"limit": None},
        {"limit": 7, "size": 12, "mode": 3},
        {"scale": 1, "fast": True, "name": "None", "size": "auto"},
    ],
)
def test_stored_parameters_come_back_as_they_were(stored: dict[str, Any]) -> None:
    assert restore(Example, json.loads(json.dumps(stored))) == bind(Example, {}) | stored


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rank", "4", "parameter rank of Example cannot be '4'"),
        ("rank", 2.5, "parameter rank of Example cannot be 2.5"),
        ("rank", True, "parameter rank of Example cannot be True"),
        ("rank", None, "parameter rank of Example cannot be None"),
        ("mode", "3", "parameter mode of Example cannot be '3'"),
        ("name", ["x"], "parameter name of Example cannot be ['x']"),
        ("scael", 1, "unknown parameter of Example 'scael'; did you mean 'scale'?"),
    ],
)
def test_stored_parameters_of_another_kind_are_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(PrefbenchError, match=re.escape(expected)):
        restore(Example, {name: value})


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert parse_pairs(["scale=0.6", "name=a=b", "empty="]) == {"scale": "0.6", "name": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(["scale"], "must read name=value"), (["=1"], "must read name=value"), (["a=1", "a=2"], "'a' is given twice")],
)
def test_pairs_that_say_nothing_are_refused(pairs: list[str], expected: str) -> None:
    with pytest.raises(PrefbenchError, match=expected):
        parse_pairs(pairs)


def trainer(request: Path, *, stage: Literal["first", "last"] | None = None, rate: float = 0.5) -> None:
    """A function as trainers are: its keyword-only parameters are those of `-p`."""


def named(
    *, scorer: Annotated[str, "scorer"] = "preference", backbone: Annotated[str | None, "backbone"] = None
) -> None:
    """A function whose parameters name registered objects, or folders."""


def test_a_name_of_a_registered_object_is_checked(tmp_path: Path) -> None:
    assert bind(named, {"backbone": "none"}) == {"scorer": "preference", "backbone": None}
    assert bind(named, {"backbone": str(tmp_path)})["backbone"] == str(tmp_path)
    assert bind(named, {"backbone": "sdxl"})["backbone"] == "sdxl"
    with pytest.raises(PrefbenchError, match=r"unknown scorer 'preferense'; did you mean 'preference'\?"):
        bind(named, {"scorer": "preferense"})
    with pytest.raises(PrefbenchError, match=r"unknown backbone 'sdlx'; did you mean 'sdxl'\?"):
        bind(named, {"backbone": "sdlx"})
    with pytest.raises(PrefbenchError, match=r"scorer file \S+absent.py does not exist"):
        bind(named, {"scorer": f"{tmp_path / 'absent.py'}:Mine"})


def listing(*, names: tuple[str, ...] = (), effects: tuple[float, ...] = (0.5,)) -> None:
    """A function with options that hold several values."""


def test_several_values_are_separated_by_commas() -> None:
    assert bind(listing, {"names": "fid, kid", "effects": "0.1,2"}) == {"names": ("fid", "kid"), "effects": (0.1, 2.0)}
    assert bind(listing, {"names": ""}) == {"names": (), "effects": (0.5,)}
    with pytest.raises(PrefbenchError, match="effects must be a number, got 'much'"):
        bind(listing, {"effects": "0.1,much"})


def test_a_functions_keyword_only_parameters_are_bound() -> None:
    assert bind(trainer, {"stage": "last"}) == {"stage": "last", "rate": 0.5}
    assert bind(trainer, {"rate": "2"}) == {"stage": None, "rate": 2.0}
    with pytest.raises(PrefbenchError, match=r"unknown parameter of trainer 'stge'; did you mean 'stage'\?"):
        bind(trainer, {"stge": "last"})
    with pytest.raises(PrefbenchError, match=r"unknown parameter of trainer 'request'"):
        bind(trainer, {"request": "here"})
    with pytest.raises(PrefbenchError, match=r"unknown value of stage 'lst'; did you mean 'last'\?"):
        bind(trainer, {"stage": "lst"})
