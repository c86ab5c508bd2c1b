"""Many users are asked for in one guard, as if each had been asked for alone; a mistake is told with its user."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from prefbench.api import Case, History, PrefbenchError, Viewer
from prefbench.check.made_up import MadeUpSuite
from prefbench.run.guarded_suite import GuardedSuite

USERS = [user.id for user in MadeUpSuite().users("test")]


class Changed(MadeUpSuite):
    """What is said of the last user goes through a change of its own."""

    def __init__(self, change: Callable[[object], object]) -> None:
        super().__init__()
        self.change = change

    def history(self, user: str, viewer: Viewer = "method") -> History:
        history = super().history(user, viewer)
        return self.change(history) if user == USERS[-1] else history  # type: ignore[return-value]

    def cases(self, user: str) -> Sequence[Case]:
        cases = super().cases(user)
        return self.change(cases) if user == USERS[-1] else cases  # type: ignore[return-value]


def test_all_answers_are_those_that_each_user_alone_gets() -> None:
    suite = GuardedSuite(MadeUpSuite())
    for viewer in ("method", "scorer"):
        assert suite.histories(USERS, viewer) == {user: suite.history(user, viewer) for user in USERS}
    assert suite.all_cases(USERS) == [case for user in USERS for case in suite.cases(user)]
    assert len(USERS) > 1


def fail(_: object) -> object:
    raise ValueError("no")


def nothing(_: object) -> object:
    return None


def of_another(answer: object) -> object:
    return replace(answer, user="x") if isinstance(answer, History) else [replace(answer[0], user="x")]  # type: ignore[index]


CHANGES = {fail: "raised ValueError: no", nothing: "is a NoneType, not a ", of_another: " of 'x'"}


@pytest.mark.parametrize(("change", "told"), CHANGES.items())
@pytest.mark.parametrize("name", ["history", "cases"])
def test_a_mistake_of_one_user_among_many_names_that_user(
    name: str, change: Callable[[object], object], told: str
) -> None:
    suite = GuardedSuite(Changed(change))
    ask = suite.histories if name == "history" else suite.all_cases
    with pytest.raises(PrefbenchError) as raised:
        ask(USERS)
    assert f"{name}({USERS[-1]!r})" in str(raised.value)
    assert told in str(raised.value)


def test_what_an_answer_changes_is_put_back_before_answers_are_used(tmp_path: Path) -> None:
    before = Path.cwd()

    def move(answer: object) -> object:
        os.chdir(tmp_path)
        return answer

    GuardedSuite(Changed(move)).histories(USERS)
    assert Path.cwd() == before
