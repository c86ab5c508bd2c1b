"""What a folder is measured with: the best encoders on this disk, and it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.suites.folder import encoders
from prefbench.suites.folder.suite import suite_of
from tests.support.judged_folders import write_layout


def only(monkeypatch: pytest.MonkeyPatch, *here: str) -> None:
    monkeypatch.setattr(encoders, "_is_here", lambda name: name in here)


def test_without_any_encoder_of_its_own_a_folder_is_measured_by_miniatures_and_says_what_they_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only(monkeypatch)
    suite = suite_of(str(write_layout(tmp_path, ["ann"])))
    assert suite.card.extractors == {
        "fidelity": "mini-clip",
        "similarity": "mini-clip",
        "text": "mini-clip",
        "style": "style-statistics",
    }
    assert suite().inventory()["extractors"] == (
        "fidelity and similarity and text by mini-clip (knows picturebook alone), style by style-statistics; "
        "better were dinov2, open-nsfw, open-clip: prefbench doctor says how to get them"
    )


def test_what_packages_and_the_hub_brought_is_used_the_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "open-nsfw")
    chosen = encoders.choose()
    assert (chosen.extractors["fidelity"], chosen.extractors["similarity"]) == ("open-nsfw", "open-nsfw")
    assert chosen.line.endswith("; better were dinov2, open-clip: prefbench doctor says how to get them")
    only(monkeypatch, "open-nsfw", "dinov2", "open-clip")
    chosen = encoders.choose()
    assert (chosen.extractors["fidelity"], chosen.extractors["text"]) == ("dinov2", "open-clip")
    assert "better" not in chosen.line
