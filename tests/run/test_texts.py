"""Ids and prompts are texts, and one prompt of one user is one sample: said before anything is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench.api import Case, Drawing, History, PrefbenchError, Split, User, Viewer
from prefbench.check.made_up import MadeUpSuite
from prefbench.check.suite import check_suite
from prefbench.run.folder import RunFolder
from prefbench.run.guarded_suite import GuardedSuite
from prefbench.run.outputs import checked_drawings
from prefbench.run.states import _name
from prefbench.score.scored_folder import ScoredFolder
from tests.run.test_folder import picture, sample

ODD: dict[str, Any] = {
    "a number of numpy": (np.int64(1000), "texts, got numpy.int64 1000"),
    "a number": (7, "texts, got int 7"),
    "bytes": (b"ann", "texts, got bytes b'ann'"),
    "nothing": (None, "texts, got NoneType None"),
    "half a character": ("ann\ud800", r"hold no NUL and nothing that UTF-8 cannot, got 'ann\\ud800'"),
    "NUL": ("a\0b", r"hold no NUL and nothing that UTF-8 cannot, got 'a\\x00b'"),
    "a book": ("x" * 200_000, r"have at most (1|100|101),000 characters, got one of 200,000"),
}
FINE = ("ann", "猫", "a\nb", "a/b", "../x", "CON", "", " ", "e\u0301", "\u00e9", "\U0001f600", "\u202eabc", "x" * 1000)


class Odd(MadeUpSuite):
    """One text of the suite is another."""

    def __init__(self, *, where: str = "id", text: str = "") -> None:
        self.where, self.text = where, text

    def users(self, split: Split) -> Sequence[User]:
        first, *others = super().users(split)
        changes: dict[str, Any] = {"id": {"id": self.text}, "kind": {"kind": self.text}}
        return [replace(first, **changes.get(self.where, {})), *others]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        history = super().history(user, viewer)
        if self.where not in ("judged prompt", "comment"):
            return history
        field: dict[str, Any] = {"prompt" if self.where == "judged prompt" else "comment": self.text}
        return replace(history, liked=(replace(history.liked[0], **field), *history.liked[1:]))

    def cases(self, user: str) -> Sequence[Case]:
        first, *others = super().cases(user)
        changes: dict[str, Any] = {"case": {"id": self.text}, "prompt": {"prompt": self.text}}
        return [replace(first, **changes.get(self.where, {})), *others]


def asked(suite: MadeUpSuite) -> None:
    """What `run` asks of a suite before it draws."""
    guarded = GuardedSuite(suite)
    users = [user.id for user in guarded.users("test")]
    guarded.histories(users)
    guarded.all_cases(users)


WORDS = {
    "id": "user ids", "kind": "kinds of users", "case": "case ids", "prompt": "prompts",
    "judged prompt": "prompts of judgments", "comment": "pairs, comments and sources of judgments",
}  # fmt: skip


@pytest.mark.parametrize("where", WORDS)
@pytest.mark.parametrize("what", ODD)
def test_what_is_no_text_that_files_hold_is_refused_before_drawing(where: str, what: str) -> None:
    text, reason = ODD[what]
    if text is None and where == "comment":
        pytest.skip("a judgment may have no comment")
    with pytest.raises(PrefbenchError, match=f"^suite 'made-up': {WORDS[where]} .*{reason}"):
        asked(Odd(where=where, text=text))


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_case_without_a_prompt_is_refused(text: str) -> None:
    """Statistics take an empty prompt for none, so such cases would not count as a prompt."""
    with pytest.raises(PrefbenchError, match=r"^suite 'made-up': user '.*' has a case without a prompt"):
        asked(Odd(where="prompt", text=text))


@pytest.mark.parametrize("where", WORDS)
def test_any_other_text_is_taken(where: str) -> None:
    for text in filter(str.strip, FINE) if where == "prompt" else FINE:
        asked(Odd(where=where, text=text))


class Twice(MadeUpSuite):
    """Every user has one prompt twice."""

    def cases(self, user: str) -> Sequence[Case]:
        first, *others = super().cases(user)
        return [first, replace(first, id=f"{first.id} again"), *others]


class TwoOfOneId(MadeUpSuite):
    def users(self, split: Split) -> Sequence[User]:
        users = super().users(split)
        return [*users, users[0]]


def test_a_prompt_twice_for_one_user_is_refused_since_both_would_be_one_sample() -> None:
    line = r"^suite 'made-up': user 'test-0000' has the prompt '.*' twice; for more samples of it: --samples$"
    with pytest.raises(PrefbenchError, match=line):
        asked(Twice())
    outcomes = {one.check: one for one in check_suite(Twice, users=2)}
    assert outcomes["texts"].outcome == "FAILED"
    assert "has the prompt" in outcomes["texts"].detail


def test_a_user_twice_is_refused() -> None:
    with pytest.raises(PrefbenchError, match="suite 'made-up': user 'test-0000' is listed twice"):
        asked(TwoOfOneId())


class OfAll(MadeUpSuite):
    def users(self, split: Split) -> Sequence[User]:
        return [replace(user, kind="all") for user in super().users(split)]


def test_a_kind_of_user_that_tables_take_for_all_users_is_refused() -> None:
    with pytest.raises(PrefbenchError, match="the kind of user 'test-0000' is 'all', which tables call all users"):
        asked(OfAll())


def test_check_suite_names_ids_that_are_numbers() -> None:
    outcomes = {one.check: one for one in check_suite(Odd, users=2)}
    assert outcomes["texts"].outcome == "ok", outcomes["texts"].detail

    class Numbers(Odd):
        def __init__(self) -> None:
            self.where, self.text = "id", np.int64(1000)  # type: ignore[assignment]

    found = {one.check: one for one in check_suite(Numbers, users=2)}["texts"]
    assert found.outcome == "FAILED"
    assert "user ids are texts, got numpy.int64 1000" in found.detail


def test_check_suite_names_texts_of_histories_and_asks_for_each_history_once() -> None:
    asked: list[tuple[str, Viewer]] = []

    class Commented(Odd):
        def __init__(self) -> None:
            self.where, self.text = "comment", "a\0b"

    class Counted(MadeUpSuite):
        def history(self, user: str, viewer: Viewer = "method") -> History:
            asked.append((user, viewer))
            return super().history(user, viewer)

    found = {one.check: one for one in check_suite(Commented, users=2)}
    assert found["texts"].outcome == "FAILED"
    assert "pairs, comments and sources of judgments hold no NUL" in found["texts"].detail
    outcomes = {one.check: one for one in check_suite(Counted, users=None)}
    assert outcomes["texts"].outcome == "ok"
    of_scorers = [one for one in asked if one[0].startswith("scorer")]
    assert len(of_scorers) == len(set(of_scorers)) > 0


def test_a_prompt_that_no_file_holds_is_not_taken_from_a_method() -> None:
    with pytest.raises(PrefbenchError, match="wrong prompt_used: texts hold no NUL"):
        checked_drawings("mine", [Drawing(picture(), "a\ud800")], 1)


ALIKE = (
    "ann",
    "Ann",
    "ANN",
    "ann ",
    "\uff41nn",
    "e\u0301",
    "\u00e9",
    "a/b",
    "a_b",
    "a\\b",
    "..",
    "con",
    "CON.txt",
    "a|b",
)


def test_users_whose_ids_look_alike_never_share_a_file(tmp_path: Path) -> None:
    """Names of files are hashes in small letters: equal on no file system, whatever it takes for equal."""
    names = {user: _name(user) for user in ALIKE}
    digests = {user: History(user, (), ()).digest for user in ALIKE}
    for of in (names, digests):
        assert len({name.casefold() for name in of.values()}) == len(ALIKE)
        assert all(set(name) <= set("0123456789abcdef") for name in of.values())
    assert names["ann"] == hashlib.sha256(b"ann").hexdigest()[:24]
    folder = RunFolder(tmp_path)
    for user in ALIKE:
        folder.put_payload(digests[user], user.encode())
    assert [folder.payload(digests[user]) for user in ALIKE] == [user.encode() for user in ALIKE]


def test_a_bar_in_an_id_makes_no_other_users_sample() -> None:
    samples = [
        sample("1", user="a|b", prompt="c"),
        sample("2", user="a", prompt="b|c"),
        sample("3", user="a\\", prompt="|c"),
    ]
    run = ScoredFolder(RunFolder(Path()), {}, samples)
    users, _, keys = run._sample_names
    assert users.tolist() == ["a|b", "a", "a\\"]
    assert len(set(keys.tolist())) == 3
    plain = ScoredFolder(RunFolder(Path()), {}, [sample("1", user="ann", prompt="a|cat")])
    assert plain._sample_names[2].tolist() == ["ann|a|cat|0"], "keys of other ids stay as they were"
