"""What a run ran on: the commit is prefbench's own or none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from prefbench.run import environment
from prefbench.run.environment import code_state


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit that tracks `prefbench/environment.py`, which code_state believes to be its own."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    module = tmp_path / "prefbench" / "environment.py"
    module.parent.mkdir()
    shutil.copy(environment.__file__, module)
    monkeypatch.setattr(environment, "__file__", str(module))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_checkout_gives_its_commit_and_whether_it_was_changed(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert code_state() == {"commit": commit, "dirty": False}
    (repository / "prefbench" / "environment.py").write_text("changed")
    assert code_state() == {"commit": commit, "dirty": True}


def test_the_commit_of_somebody_elses_repository_is_not_reported(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = repository / ".venv" / "prefbench" / "environment.py"
    installed.parent.mkdir(parents=True)
    shutil.copy(repository / "prefbench" / "environment.py", installed)
    monkeypatch.setattr(environment, "__file__", str(installed))
    assert code_state() == {"commit": None, "dirty": None}


def test_no_repository_at_all_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert code_state() == {"commit": None, "dirty": None}
