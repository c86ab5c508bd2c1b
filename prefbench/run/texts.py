"""Ids and prompts of a suite are texts that files can hold, and name one thing each; checked before drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import shorten

from prefbench.api import ALL, Case, History, Picture, PrefbenchError, User

ID_LIMIT = 1_000
"""Characters of the id or kind of a user; that of a case may hold its prompt too."""
TEXT_LIMIT = 100_000
"""Characters of a prompt or a comment."""
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def check_users(whose: str, users: Sequence[User]) -> None:
    """Raises `PrefbenchError` for an id or kind that is no text, an id twice, and a kind that means all users."""
    _check(whose, "user ids", [user.id for user in users], ID_LIMIT)
    _check(whose, "kinds of users", [user.kind for user in users], ID_LIMIT)
    if (twice := _first_twice([user.id for user in users])) is not None:
        raise PrefbenchError(f"{whose}: user {twice!r} is listed twice")
    if named := next((user.id for user in users if user.kind == ALL), None):
        raise PrefbenchError(f"{whose}: the kind of user {named!r} is {ALL!r}, which tables call all users together")


def check_cases(whose: str, cases: Sequence[Case]) -> None:
    """Raises `PrefbenchError` for an id or prompt that is no text, and for a prompt twice: the two would be one sample.

    A content is a picture. The cases are those of one user.
    """
    _check(whose, "case ids", [case.id for case in cases], ID_LIMIT + TEXT_LIMIT)
    _check(whose, "prompts", [case.prompt for case in cases], TEXT_LIMIT)
    _check(whose, "categories of cases", [case.category for case in cases], TEXT_LIMIT)
    if odd := next((case for case in cases if not isinstance(case.content, Picture | None)), None):
        raise PrefbenchError(f"{whose}: the content of case {odd.id!r} is a {type(odd.content).__name__}, no Picture")
    if empty := next((case for case in cases if not case.prompt.strip()), None):
        raise PrefbenchError(f"{whose}: user {empty.user!r} has a case without a prompt, {empty.id!r}")
    if (twice := _first_twice([case.prompt for case in cases])) is not None:
        user = next(case.user for case in cases if case.prompt == twice)
        raise PrefbenchError(
            f"{whose}: user {user!r} has the prompt {shorten(twice, 80)!r} twice; for more samples of it: --samples"
        )


def check_history(whose: str, history: History) -> None:
    """Raises `PrefbenchError` for a prompt, comment, pair or source that is no text."""
    judgments = [*history.liked, *history.disliked]
    _check(whose, "user ids", [history.user], ID_LIMIT)
    _check(whose, "prompts of judgments", [one.prompt for one in judgments], TEXT_LIMIT)
    optional = [text for one in judgments for text in (one.pair, one.comment, one.source) if text is not None]
    _check(whose, "pairs, comments and sources of judgments", optional, TEXT_LIMIT)


def text_fault(value: object, limit: int = TEXT_LIMIT) -> str:
    """What keeps a value from being a text that a file can hold; empty where nothing does."""
    if not isinstance(value, str):
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        return f"are texts, got {kind} {shorten(str(value), 60)}"
    if _UNWRITABLE.search(value):
        return f"hold no NUL and nothing that UTF-8 cannot, got {shorten(ascii(value), 80)}"
    return f"have at most {limit:,} characters, got one of {len(value):,}" if len(value) > limit else ""


def _check(whose: str, what: str, values: Iterable[object], limit: int) -> None:
    if fault := next(filter(None, (text_fault(value, limit) for value in values)), ""):
        raise PrefbenchError(f"{whose}: {what} {fault}")


def _first_twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]
