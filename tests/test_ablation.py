"""Ablations: differences to the whole method, their page and figure, and what is committed of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench import ablation
from prefbench.ablation import _rows
from prefbench.api import PrefbenchError
from prefbench.reports import ablations
from prefbench.stats import Scores, crossed_bootstrap, holm, paired_difference
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant

VARIANTS = [
    Variant(WHOLE, WHOLE, {}),
    Variant("parts", "without e_img", {}),
    Variant("user scale", "0", {"user_scale": 0.0}),
    Variant("user guidance", "5", {"user_guidance": 5.0}),
]


def scores(seed: int, gain: float) -> Scores:
    rng = np.random.default_rng(seed)
    users, prompts = np.repeat([f"u{i}" for i in range(8)], 3), np.tile(["a", "b", "c"], 8)
    keys = np.array([f"{u}|{p}" for u, p in zip(users, prompts, strict=True)])
    noise = np.random.default_rng(0).standard_normal(24)
    return Scores(noise + gain + 0.1 * rng.standard_normal(24), users, prompts, keys)


@pytest.fixture
def result() -> dict[str, Any]:
    columns = [
        {"utility": scores(i, gain), "prompt-fidelity": scores(10 + i, 0.0)}
        for i, gain in enumerate((0.0, -0.5, -1.0, 0.02))
    ]
    return {
        "method": "ours",
        "suite": "picturebook",
        "split": "val",
        "training": {"images": 40_000},
        "defaults": {"user_scale": 1.0, "user_guidance": 3.0},
        "command": "prefbench ablate ours --out /somewhere/else --images 40000",
        "rows": _rows(VARIANTS, columns),
    }


def test_every_variant_is_held_against_the_whole(result: dict[str, Any]) -> None:
    first, second = scores(0, 0.0), scores(1, -0.5)
    cell = result["rows"][1]["metrics"]["utility"]
    assert cell["value"] == crossed_bootstrap(second).value
    expected = paired_difference(second, first)
    assert cell["difference"]["value"] == expected.estimate.value == pytest.approx(-0.5, abs=0.1)
    assert cell["difference"]["p"] == expected.p_value
    raw = [row["metrics"]["utility"]["difference"]["p"] for row in result["rows"][1:]]
    adjusted = [row["metrics"]["utility"]["difference"]["p_holm"] for row in result["rows"][1:]]
    np.testing.assert_allclose(adjusted, holm(raw))
    assert "difference" not in result["rows"][0]["metrics"]["utility"]


def test_the_page_says_what_was_measured_and_names_no_machine(result: dict[str, Any], tmp_path: Path) -> None:
    written = ablations.publish(result, tmp_path)
    page = (tmp_path / "ours.md").read_text()
    assert "parts: without e\\_img" in page or "parts: without e_img" in page
    assert "40,000 images" in page
    assert "/somewhere" not in page + (tmp_path / "ours.json").read_text()
    value = result["rows"][1]["metrics"]["utility"]["value"]
    assert f"{value:.3f}" in page
    assert [path.suffix for path in written] == [".json", ".md", ".png"]
    assert (tmp_path / "ours.png").read_bytes().startswith(b"\x89PNG")


def test_a_stale_page_is_found(result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablations.publish(result, tmp_path)
    assert ablations.main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "ours.md").write_text("old")
    assert ablations.main(["--check", "--folder", str(tmp_path)]) == 1
    assert "ours.md" in capsys.readouterr().err
    (tmp_path / "ours.json").write_text(json.dumps({"method": "ours"}))
    with pytest.raises(PrefbenchError, match="is no ablation"):
        ablations.main(["--check", "--folder", str(tmp_path)])


def test_what_is_committed_is_up_to_date() -> None:
    assert ablations.main(["--check"]) == 0


def test_the_first_variant_must_be_the_whole_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ablation, "load", lambda *_: lambda *_: Ablation(VARIANTS[1:], {}, {}))
    with pytest.raises(PrefbenchError, match="the first variant of ours must be 'whole', got 'without e_img'"):
        ablation.ablate("ours", AblationRequest(tmp_path))
