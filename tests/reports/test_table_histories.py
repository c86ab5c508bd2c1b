"""Galleries show the histories that methods saw: proven by the run's profiles, else by the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.api import Suite
from prefbench.reports.table.histories import histories_of
from prefbench.score.scored_folder import ScoredFolder
from prefbench.suites.picturebook.suite import Picturebook
from tests.support.stored import profile
from tests.support.toy_runs import build

USERS = ("test-0000", "test-0001", "test-0002")


class AnotherVersionError(Exception):
    """Raised where the whole suite is checked."""


def checked() -> Suite:
    raise AnotherVersionError


def run_of(folder: Path, **changes: object) -> ScoredFolder:
    """A run on the test users of picturebook, with the profiles that it would have."""
    spec = {"suite": "picturebook", "suite_parameters": {"history": 8, "world": "2"}, **changes}
    kinds = {"kinds": dict.fromkeys(USERS, "plain")}
    run = build(folder, "ours", dict.fromkeys(USERS, 0.5), spec=spec, present=USERS, description=kinds)
    suite = Picturebook()
    for user in USERS:
        run.folder.append_profile(profile(user, suite.history(user).digest))
    return ScoredFolder.open(folder)


def test_profiles_prove_the_histories(tmp_path: Path) -> None:
    history = histories_of([run_of(tmp_path / "run")], checked)
    assert history(USERS[0]).digest == Picturebook().history(USERS[0]).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"suite_parameters": {"history": 4, "world": "2"}},
        {"suite_parameters": {"history": 8}},
        {"control": "flipped"},
        {"suite": "gone"},
    ],
)
def test_else_the_whole_suite_is_checked(tmp_path: Path, changes: dict[str, object]) -> None:
    """Other histories, those of the first world, a control's changed ones, and a suite that is not there."""
    with pytest.raises(AnotherVersionError):
        histories_of([run_of(tmp_path / "run", **changes)], checked)


def test_a_run_under_a_control_is_shown_by_one_that_is_not(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / "flipped", control="flipped"), run_of(tmp_path / "run")]
    assert histories_of(runs, checked)(USERS[1]).liked


def test_a_user_without_a_profile_is_not_proven(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    (run.path / "profiles.jsonl").unlink()
    with pytest.raises(AnotherVersionError):
        histories_of([run], checked)
