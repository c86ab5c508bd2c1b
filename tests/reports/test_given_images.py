"""Runs of given images in reports: beside runs of any backbone, never in the frame, and what is unknown is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefbench.api import PrefbenchError, ScoredRun
from prefbench.api.runs import NO_BACKBONE, NO_DIGEST
from prefbench.reports.leaderboard.entries import entries_of
from prefbench.reports.leaderboard.page import render
from prefbench.reports.shared.frame import is_plain
from prefbench.reports.shared.labels import check_mix, label_runs
from prefbench.reports.shared.notes import drawn_lines
from prefbench.reports.table.beside import frame_beside
from prefbench.reports.table.together import together
from tests.support.toy_runs import build

GIVEN = {"backbone": NO_BACKBONE, "backbone_digest": NO_DIGEST, "steps": 0, "guidance": 0.0, "dtype": "none"}


def given(folder: Path, name: str = "theirs") -> ScoredRun:
    return build(folder / name, f"images:{name}", 0.4, spec=GIVEN)


def drawn(folder: Path, method: str, **spec: Any) -> ScoredRun:
    return build(folder / f"{method}{len(spec)}", method, 0.3, spec=spec)


def test_given_images_stand_beside_runs_of_any_backbone(tmp_path: Path) -> None:
    runs = [given(tmp_path), drawn(tmp_path, "prompt-only"), drawn(tmp_path, "ours")]
    check_mix(runs)
    assert together(runs) == runs
    assert label_runs(runs) == ["images:theirs", "prompt-only", "ours"], "no label names a sampler that is not known"


def test_runs_of_two_backbones_are_still_refused_with_given_images_among_them(tmp_path: Path) -> None:
    runs = [drawn(tmp_path, "prompt-only"), given(tmp_path), drawn(tmp_path, "ours", backbone_digest="c" * 64)]
    with pytest.raises(PrefbenchError, match="differ in the backbone's weights"):
        check_mix(runs)


def test_given_images_of_other_data_are_refused(tmp_path: Path) -> None:
    other = build(tmp_path / "other", "images:other", 0.4, spec={**GIVEN, "suite_digest": "e" * 64})
    with pytest.raises(PrefbenchError, match="differ in the data"):
        check_mix([drawn(tmp_path, "prompt-only"), other])


def test_a_run_of_given_images_is_shown_beside_the_frame_of_its_folder(tmp_path: Path) -> None:
    frame = [drawn(tmp_path, "prompt-only"), drawn(tmp_path, "inferred")]
    assert {run.method for run in frame_beside(given(tmp_path))} == {run.method for run in frame}


@pytest.mark.parametrize("method", ["prompt-only", "inferred", "crowd"])
def test_given_images_are_never_of_the_frame(tmp_path: Path, method: str) -> None:
    run = given(tmp_path, method)
    assert not is_plain(run, method)


def test_what_nobody_said_of_the_images_stands_under_each_table(tmp_path: Path) -> None:
    assert drawn_lines(given(tmp_path))[0] == (
        "images given, not drawn here; backbone, encoders, training data, selection not stated: "
        "a difference to another run is of backbone and method together"
    )
    assert not any("given" in line for line in drawn_lines(drawn(tmp_path, "ours")))


def test_published_images_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    runs = [drawn(tmp_path, "prompt-only"), drawn(tmp_path, "inferred"), given(tmp_path)]
    page = render(entries_of(runs))
    own = page.partition("## toy, test users, none (images given)")[2].partition("\n## ")[0]
    assert "Data dddddddddddd, images given and not drawn here, run seed 0." in own
    assert "| images:theirs |" in own
    assert "| prompt-only |" not in own
    assert "steps, guidance" not in own


def test_given_images_are_published_where_no_truth_is_known(tmp_path: Path) -> None:
    """Their own mismatched control, which nobody can draw, is not asked for; the page says that it is not there."""
    about: dict[str, Any] = {"truth": False, "gain": lambda *_: 0.6}
    frame = [build(tmp_path / name, name, 0.3, **about) for name in ("prompt-only", "crowd")]
    theirs = build(tmp_path / "theirs", "images:theirs", 0.4, spec=GIVEN, **about)
    page = render(entries_of([*frame, theirs]))
    drawn_table, _, own_table = page.partition("## toy, test users, none (images given)")
    assert "no other-user control: images:theirs" in own_table
    assert "no other-user control" not in drawn_table
