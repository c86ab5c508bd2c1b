"""What the code says to users: a count goes with its noun and its verb, by `counted` and `agreeing`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefbench.api import Drawing, PrefbenchError, TextsRead, agreeing, as_features, count_pictures, counted
from prefbench.api.records import Sample
from prefbench.run.outputs import checked_drawings

ROOT = Path(__file__).parents[1]
PLURAL = re.compile(r" ([a-z-]+ ){0,2}[a-z]{3,}s (are|were|have|do|share|hold|stand|lie|failed)\b")
"""What follows a number in a message that is wrong where the number is 1."""
NEVER_ONE = {"fewest_users(alpha)", "attribute"}
"""Numbers that are more than 1 wherever the sentence is said, and a name."""


def numbers_before_words(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, expression and following text of everything that an f-string shows."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for number, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant):
                    yield node.lineno, ast.unparse(number.value), str(text.value)


def test_no_message_has_a_plural_behind_a_number_that_may_be_one() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {{{number}}}{text}"
        for folder in ("prefbench", "methods", "metrics", "reports")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, number, text in numbers_before_words(path.read_text(encoding="utf-8"))
        if PLURAL.match(text) and not number.startswith(("counted(", "agreeing(")) and number not in NEVER_ONE
    ]
    assert wrong == []


def test_one_is_singular_and_every_other_count_plural() -> None:
    lines = [f"{counted(n, 'row')} {agreeing(n, 'is', 'are')} not drawn yet" for n in (0, 1, 2, 1200)]
    assert lines == [f"{words} not drawn yet" for words in ("0 rows are", "1 row is", "2 rows are", "1,200 rows are")]


def flat(n: int) -> list[Sample]:
    return [Sample(f"{i}", "ann", "a", "a", i, i, "ok", f"{i}", spread=0.0 if i < n else 50.0) for i in range(3)]


@pytest.mark.parametrize(("n", "said"), [(1, "1 of 3 pictures is of one colour"), (2, "2 of 3 pictures are of one")])
def test_a_run_says_of_one_picture_that_it_is_and_of_two_that_they_are(n: int, said: str) -> None:
    (line,) = count_pictures(flat(n)).lines
    assert line.startswith(said)


def test_messages_about_one_thing_are_in_the_singular() -> None:
    drawings: list[Any] = [Drawing.__new__(Drawing)]
    with pytest.raises(PrefbenchError, match="returned 1 drawing for 2 requests"):
        checked_drawings("mine", drawings, 2)
    with pytest.raises(PrefbenchError, match="1 row of features not finite"):
        as_features([[float("nan")]], "mine")
    assert TextsRead(texts=3, cut=1, limit=7, most=1).line("prompts").endswith("up to 1 token not read")
