"""The card of a method whose images are given: what it says counts as a plug-in's does, and it takes no one's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError, ScoreHeader, ScorerRecord
from prefbench.registry import names
from prefbench.run.given.card import not_stated, read_card
from prefbench.run.given.store import describe
from prefbench.score.admission import unranked
from tests.support.finished_images import given, write_drawn

CARD = """
name = "my method"
version = "3"
summary = "paints"
paper = "arXiv 0000.00000"
licence = "MIT"
training = "once"
trained_on = ["mine:train"]
encoders = ["mini-clip"]
selected_by = ["preference"]
backbone = "sdxl"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "card.toml"
    path.write_text(text)
    return path


def test_a_card_says_what_a_plug_ins_card_does(tmp_path: Path) -> None:
    own = read_card(write(tmp_path, CARD), None, "folder")
    assert (own.card.name, own.card.version, own.card.encoders) == ("my method", "3", ("mini-clip",))
    assert own.backbone == "sdxl"
    assert own.not_stated == []


def test_without_a_card_what_is_not_known_is_said() -> None:
    own = read_card(None, None, "folder")
    assert own.card.name == "folder"
    assert own.not_stated == ["backbone", "encoders", "training data", "selection"]
    assert "uses_liked" not in own.described(), "a default is no statement"


@pytest.mark.parametrize(
    ("scorer", "reason"),
    [
        (("judge", ("mini-clip",), ()), "shares mini-clip with judge"),
        (("preference", ("other",), ()), "was selected or trained by preference"),
        (("judge", ("other",), ("mine:train",)), "was trained on mine:train, as judge was"),
        (("judge", ("other",), ("else",)), ""),
    ],
)
def test_admission_reads_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scorer: tuple[str, tuple[str, ...], tuple[str, ...]], reason: str
) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    run = given(tmp_path, write_drawn(tmp_path / "out"), None, write(tmp_path / "out", CARD))
    description = describe(run, {"commit": None, "dirty": None})
    name, encoders, data = scorer
    record = ScorerRecord(name, name, encoders, data, {"admitted": True})
    about: dict[str, Any] = {"direction": "up", "question": "preference", "unit": "image", "samples": "", "suite": ""}
    header = ScoreHeader(metric="m@1[x]", won_by=(), extractor=None, scorer=record, **about)
    assert unranked(header, description["method"]) == reason
    assert not_stated(description) == []


@pytest.mark.parametrize("name", [*names("method"), *names("control")])
def test_no_registered_name_can_be_taken(name: str) -> None:
    for likeness in (name, name.upper(), f"{name} + flipped", name.replace("-", "_"), f"{name} (seed=1)"):
        with pytest.raises(PrefbenchError, match="give the images another"):
            read_card(None, likeness, "x")


@pytest.mark.parametrize("name", ["оurs", "0urs", "сrowd", "ours +other-user", "mine+flipped", "prompt‑оnly", "idea1"])
def test_no_name_that_looks_like_a_registered_one_can_be_taken(name: str) -> None:
    with pytest.raises(PrefbenchError, match="give the images another"):
        read_card(None, name, "x")


@pytest.mark.parametrize("name", ["my method", "ours2", "метод", "LoRA 01", "crowds"])
def test_names_of_ones_own_are_free(name: str) -> None:
    assert read_card(None, name, "x").card.name == name


def test_images_are_never_the_frame_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports know baseline, ceiling and controls by the spec and the card, neither of which images can write."""
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    run = given(tmp_path, write_drawn(tmp_path / "out"), "prompt only method")
    assert run.spec.method == "images:prompt only method"
    assert run.spec.control is None
    assert run.card.described()["control"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "card.toml is no TOML"),
        ("nme = 'x'", "unknown entry 'nme'; did you mean 'name'"),
        ("control = true", "unknown control 'True'"),
        ("control = 'other-usr'\nbackbone = 'x'", "unknown control 'other-usr'; did you mean 'other-user'"),
        ("role = 'ceiling'\nbackbone = 'x'", r"unknown role 'ceiling'; .* \(known: baseline, crowd\)"),
        ("role = ['crowd']\nbackbone = 'x'", "unknown role"),
        ("role = 'crowd'", "role holds for images of one backbone alone: say which, backbone"),
        ("control = 'flipped'", "control holds for images of one backbone alone"),
        ("role = 'crowd'\ncontrol = 'flipped'\nbackbone = 'x'", "role and control exclude each other"),
        ("weights = ['x']", "weights is for methods that run here"),
        ("version = 3", "version on its card cannot be 3"),
        ("name = ''", "name on its card cannot be ''"),
        ("version = ''", "version on its card cannot be ''"),
        ("name = 'a/b'", "name on its card cannot be 'a/b'"),
        ("encoders = 'clip'", "encoders on its card cannot be 'clip'"),
        ("encoders = [1]", r"encoders on its card cannot be \(1,\)"),
        ("training = 'always'", "training on its card cannot be 'always'"),
        ("backbone = 1", "backbone says in words what drew the images, got 1"),
        ("name = 'another'", "is the card of 'another', not of 'mine': give one of the names"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PrefbenchError, match=said):
        read_card(write(tmp_path, text), "mine" if "another" in text else None, "x")


def test_a_card_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match=r"there is no card .*nothing.toml"):
        read_card(tmp_path / "nothing.toml", None, "x")
