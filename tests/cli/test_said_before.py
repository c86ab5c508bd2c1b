"""The line that a reader needs: why the only metric has no number, what was checked, one user and not `1 users`."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.check.cards import check_defaults
from tests.support.hostile import invoke


class Kinds:
    def __init__(self, kind: str = "plain", size: int = 3) -> None:
        self.kind, self.size = kind, size


@pytest.mark.slow
def test_a_set_metric_that_one_user_is_too_few_for_is_the_message(tmp_path: Path, tiny_sd: Path) -> None:
    options = ["--backbone", str(tiny_sd), "--device", "cpu", "--users", "1", "--samples", "1", "--steps", "1"]
    done = invoke("run", "--method", "prompt-only", *options, "--metrics", "kid", "--out", str(tmp_path / "runs"))
    reason = "kid needs drawn images of at least 2 users, there is 1"
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1] == f"prefbench: {reason}"
    assert "1 user, 5 samples" in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    again = invoke("score", str(run), "--metrics", "kid")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (2, f"prefbench: {reason}")
    beside = invoke("score", str(run), "--metrics", "kid,clip-score")
    assert beside.exit_code == 1, beside.output
    assert f"no kid: {reason}" in beside.stdout


def test_check_shows_the_parameters_that_it_was_given() -> None:
    assert check_defaults(Kinds, []) == "kind=plain, size=3"
    assert check_defaults(Kinds, ["kind=float"]) == "kind=float, size=3"
