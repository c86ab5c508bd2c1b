"""What a method sees of users: names that are new in every run, behind which only the harness finds the suite's ids."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench.api import (
    Case,
    Drawing,
    Features,
    History,
    Method,
    MethodCard,
    Picture,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
    TrainUser,
    UnreadableImageError,
    image_digest,
)
from prefbench.methods.controls.histories import other_user
from prefbench.probing.plan import ProbePlan
from prefbench.run.draw import draw
from prefbench.run.execute import settled
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.plan import RunSpec, make_plan
from prefbench.run.prepare import Settings, prepare
from prefbench.run.states import collect_states
from prefbench.suites.folder.suite import suite_of
from prefbench.suites.picturebook.suite import Picturebook
from tests.support.judged_folders import write_layout

BOOK = Picturebook(history=2)
USERS = ("test-0000", "test-0001")


class Listening(Method):
    """Keeps all that it is given, and fails for users with its word in a prompt."""

    card = MethodCard(name="listening", version="1", summary="")

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def profile(self, history: History) -> Profile:
        self.seen.append(history)
        return Profile(history.user, {"user": history.user})

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        self.seen += requests
        assert all(r.profile.user == r.case.user == r.profile.payload["user"] for r in requests)
        raise ValueError(f"nothing for {requests[0].case.user} in {requests[0].case.id}")

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        self.seen += [history] if item is None else [item]
        return {"name": np.frombuffer(history.user.encode()[:8], dtype=np.uint8).astype(float)}


def told(record: Any) -> str:
    """Every text that a record holds."""
    return repr([asdict(record), vars(record).get("digest")])


def drawn(folder: RunFolder, names: OpaqueNames | None = None) -> Listening:
    histories = {user: BOOK.history(user) for user in USERS}
    spec = RunSpec(
        suite="picturebook", suite_parameters={}, suite_digest="d", split="test", method="listening",
        method_version="1", parameters={}, control=None, backbone="none", backbone_digest="b", steps=1, guidance=1.0,
        dtype="float32", seed=0, samples_per_case=1, users=None, batch=4,
    )  # fmt: skip
    plan = make_plan(spec, [case for user in USERS for case in BOOK.cases(user)], histories)
    draw(plan, method := Listening(), histories, folder, names=names)
    return method


def test_no_record_that_a_method_sees_holds_an_id_of_the_suite(tmp_path: Path) -> None:
    method = drawn(RunFolder(tmp_path))
    assert {type(one) for one in method.seen} == {History, Request}
    assert not [one for one in method.seen if "test-" in told(one) or "renderer" in told(one)]


def test_rows_keep_the_suites_ids_in_what_a_method_says_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    drawn(folder)
    rows = folder.samples().values()
    assert {row.user for row in rows} == {row.user for row in folder.profiles().values()} == set(USERS)
    assert {row.error for row in rows} == {f"ValueError: nothing for {row.user} in {row.case}" for row in rows}


def test_names_are_new_in_every_run_and_the_same_where_one_goes_on(tmp_path: Path) -> None:
    begun, other = OpaqueNames(), OpaqueNames()
    assert begun.user("ann") != other.user("ann")
    folder = RunFolder(tmp_path / "run")
    settled(begun, folder)
    assert settled(OpaqueNames(), folder).history(BOOK.history(USERS[0])) == begun.history(BOOK.history(USERS[0]))
    with pytest.raises(PrefbenchError, match="begun by another process meanwhile; the same command again"):
        settled(other, folder)


def test_a_damaged_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / ".names").write_text("nothing\n")
    with pytest.raises(PrefbenchError, match=r"\.names is damaged"):
        RunFolder(tmp_path).names_secret()


def test_the_halves_of_a_history_and_the_whole_bear_different_names(tmp_path: Path) -> None:
    history, method = BOOK.history(USERS[0]), Listening()
    halves = tuple(History(USERS[0], history.liked[i::2], history.disliked[i::2]) for i in (0, 1))
    plan = ProbePlan(history, (halves[0], halves[1]), history.liked)
    collect_states([plan], method, RunFolder(tmp_path))
    shown = [one for one in method.seen if isinstance(one, History)]
    assert len({one.user for one in shown}) == 2
    pairs = [{j.pair for j in one.liked} for one in (*shown, OpaqueNames().history(history))]
    assert not pairs[0] & pairs[1]
    assert not [one for one in method.seen if "test-" in told(one)]


def test_pairs_stay_pairs_and_the_digest_is_that_of_the_suite() -> None:
    history, names = BOOK.history(USERS[0]), OpaqueNames()
    shown = names.history(history)
    assert [j.pair for j in shown.liked] == [j.pair for j in shown.disliked]
    assert len({j.pair for j in shown.liked}) == 2
    assert shown.digest == history.digest, "what is derived from it is the same in every run"
    assert pickle.loads(pickle.dumps(shown)).digest == history.digest
    assert names.true_history(shown) == history
    exchanged = other_user({user: BOOK.history(user) for user in USERS})[USERS[0]]
    assert names.true_history(names.history(exchanged)) == exchanged


@pytest.mark.parametrize("part", ["", "first"])
def test_a_control_asks_the_truth_in_the_names_it_knows(part: str) -> None:
    names, truth = OpaqueNames(), BOOK.truth
    shown = names.truth(truth)
    assert shown is not None
    assert (shown.groups, shown.id) == (truth.groups, truth.id)
    name = names.user(USERS[0], part)
    prompt = BOOK.cases(USERS[0])[0].prompt
    assert shown.words(name, prompt) == truth.words(USERS[0], prompt)
    assert shown.ideal(name, prompt, seed=1).tobytes() == truth.ideal(USERS[0], prompt, 1).tobytes()
    with pytest.raises(PrefbenchError, match="user"):
        truth.words(name, prompt)


@pytest.mark.slow
def test_the_truth_infers_from_another_users_history_under_opaque_names() -> None:
    names, truth = OpaqueNames(), BOOK.truth
    exchanged = other_user({user: BOOK.history(user) for user in USERS})[USERS[0]]
    shown = names.truth(truth)
    assert shown is not None
    assert shown.inferred(names.history(exchanged)) == truth.inferred(exchanged)


def test_the_path_of_a_picture_is_hidden_and_the_picture_is_not(tmp_path: Path) -> None:
    suite = suite_of(str(write_layout(tmp_path, ["ann", "ben"])))()
    history = suite.history("ann")
    shown = OpaqueNames().history(history)
    assert "ann" in repr(history.liked[0].picture.path)
    assert not any("ann" in told(j) for j in shown.liked)
    again: Picture = pickle.loads(pickle.dumps(shown.liked[0].picture))
    assert image_digest(again.load()) == history.liked[0].picture.digest
    history.liked[0].picture.path.write_bytes(b"")  # type: ignore[union-attr]
    with pytest.raises(UnreadableImageError) as caught:
        shown.liked[0].picture.load()
    assert caught.value.picture == history.liked[0].picture, "the row says on which side of whose history it stands"


def test_the_pictures_of_a_case_are_shown_without_their_paths(tmp_path: Path) -> None:
    suite = suite_of(str(write_layout(tmp_path, ["ann", "ben"])))()
    chosen = suite.history("ann").liked[0].picture
    shown = OpaqueNames().case(Case("ann/0", "ann", "a cat", chosen=chosen, content=chosen))
    assert "ann" not in told(shown)
    assert shown.content is not None
    assert shown.content.load().size == chosen.load().size


class Neighbourly(Listening):
    """Keeps whom it learns from."""

    card = replace(Listening.card, name="neighbourly", asks_people=True)

    def setup(self, context: Any) -> None:
        self.people: Sequence[TrainUser] = context.people()


@pytest.mark.slow
def test_a_run_that_goes_on_shows_its_method_people_under_the_names_that_their_histories_bear(
    tmp_path: Path, tiny_sd: Path
) -> None:
    data = str(write_layout(tmp_path / "data", ["ann", "ben", "cat"]))
    settings = Settings(
        Neighbourly, suite=data, backbone=str(tiny_sd), out=tmp_path / "runs", device="cpu", steps=1, samples=1
    )
    begun = prepare(settings)
    begun.folder.path.mkdir(parents=True)
    settled(begun.names, begun.folder)
    again = prepare(settings)
    for prepared in (begun, again):
        method = prepared.method
        assert isinstance(method, Neighbourly)
        shown = [prepared.names.history(history) for history in prepared.histories.values()]
        assert [one.history.user for one in method.people] == [history.user for history in shown]
    assert (again.spec, again.names.secret) == (begun.spec, begun.names.secret)
