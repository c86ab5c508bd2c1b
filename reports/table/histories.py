"""The histories that galleries show, known to be those that the methods saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prefbench.api import History, PrefbenchError, ScoredRun, Suite
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import recorded_suite

from .gallery import choose_users


def histories_of(
    runs: Sequence[ScoredRun], checked_suite: Callable[[], Suite], named: str | None = None
) -> Callable[[str], History]:
    """User to history, for the users that galleries of these runs show.

    A run stores the digest of every history that its method saw. Where a run under no control has those of all shown
    users, and the suite gives the same histories, that proves them; only else is the whole suite checked, which takes
    seconds.

    Args:
        runs: of one suite and split.
        checked_suite: loads the suite that the runs were drawn for, or raises for another version of it.
        named: where the suite is a file's class, `path/to/file.py:Class`.
    """
    plain = [run for run in runs if run.control is None]
    try:
        if plain and _same_histories(suite := recorded_suite(plain[0].spec, named), plain[0]):
            return suite.history
    except PrefbenchError:  # the whole check says what is wrong
        pass
    return checked_suite().history


def _same_histories(suite: Suite, run: ScoredRun) -> bool:
    """Whether the suite's histories of the shown users are those in the run's profiles."""
    stored = {row.user: row.history for row in RunFolder(run.path).profiles().values()}
    return all(suite.history(user).digest == stored.get(user) for user in choose_users(run.kinds))
