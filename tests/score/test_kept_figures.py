"""Figures of scorers that are kept on a machine: read as every stored file is, and left out with a line otherwise."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prefbench.api import PrefbenchError, Scorer
from prefbench.run.stamps import stamped
from prefbench.score import admission
from prefbench.score.figures import Bin, Interval, ScorerFigures
from prefbench.score.scorer_figures import keep

SCORER = cast("Scorer", SimpleNamespace(card=SimpleNamespace(name="my scorer"), id="mine@1"))
GOOD, NONE = Interval(0.9, 0.8, 1.0), Interval(None, None, None)
FIGURES = ScorerFigures(
    "mine@1", "colours", "test", 24, 144, GOOD, GOOD, GOOD, GOOD, GOOD, NONE, GOOD, GOOD, GOOD, GOOD,
    (Bin(0.1, 0.2, 5),),
)  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(admission, "WEIGHTS", tmp_path / "weights")
    return keep(SCORER, FIGURES)


def restamped(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """An edit by someone who makes the digest fit again."""

    def edit(path: Path) -> None:
        content = {"figures": json.loads(path.read_bytes())["figures"]}
        change(content)
        path.write_text(json.dumps(stamped(content)), encoding="utf-8")

    return edit


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def in_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "empty": lambda path: path.write_bytes(b""),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe"),
    "edited": lambda path: path.write_bytes(path.read_bytes().replace(b"0.9", b"0.7")),
    "a list": lambda path: path.write_bytes(b"[]"),
    "nested": lambda path: path.write_bytes(b'{"figures": ' + b"[" * 100_000),
    "unstamped": lambda path: path.write_text(json.dumps({"figures": FIGURES.to_json()}), encoding="utf-8"),
    "a folder": as_folder,
    "a pipe": in_a_pipe,
    "no figures": restamped(lambda content: content.pop("figures")),
    "figures of text": restamped(lambda content: content.update(figures="good")),
    "a figure missing": restamped(lambda content: content["figures"].pop("brier")),
    "a field too many": restamped(lambda content: content["figures"].update(verdict="good")),
    "a text for a number": restamped(lambda content: content["figures"].update(n_users="24")),
    "half a user": restamped(lambda content: content["figures"].update(n_users=0.5)),
    "no number": restamped(lambda content: content["figures"]["brier"].update(value=1e200)),
    "admitted by hand": restamped(lambda content: content["figures"]["above_permuted"].update(low=-0.1)),
}


def test_kept_figures_are_found_whatever_the_scorer_is_called(kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert admission.stored(SCORER, "colours") == json.loads(json.dumps(FIGURES.to_json()))
    assert not caplog.records
    assert kept.name == "my_scorer-colours.json"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_kept_figures_is_named_and_left_out(
    kept: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    DAMAGES[damage](kept)
    with caplog.at_level(logging.WARNING):
        assert admission.measured(SCORER) == []
    [line] = caplog.messages
    assert str(kept) in line
    assert "delete it, or measure the scorer again" in line
    assert "\n" not in line
    assert len(line) < 400


def test_figures_on_a_card_of_weights_are_checked_too(kept: Path, tmp_path: Path) -> None:
    kept.unlink()
    card = tmp_path / "weights" / "my scorer" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"figures": FIGURES.to_json()}), encoding="utf-8")
    assert [figures["n_users"] for figures in admission.measured(SCORER)] == [24]
    card.write_text(json.dumps({"figures": FIGURES.to_json() | {"admitted": False}}), encoding="utf-8")
    with pytest.raises(PrefbenchError, match=r"card.json holds no figures that can be relied on \(admitted"):
        admission.measured(SCORER)
    for other in ({}, {"figures": {"accuracy": {"value": 1.0}}}):
        card.write_text(json.dumps(other), encoding="utf-8")
        assert admission.measured(SCORER) == [], "weights of something else"
