"""Ablations: differences to the whole method, their page and figure, and what is committed of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prefbench.api import Column, PrefbenchError, ReportContext, Scores
from prefbench.reports.ablation import variants
from prefbench.reports.ablation.report import AblationReport
from prefbench.reports.ablation.variants import rows_of
from prefbench.stats.means import mean_interval
from prefbench.stats.paired import holm, paired_difference
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.training.variants import WHOLE, Ablation, AblationRequest, Variant
from tests.support import tiny_suite
from tests.support.plugin import install

STEM = "ours.picturebook.mini-sd"
VARIANTS = [
    Variant(WHOLE, WHOLE, {}),
    Variant("parts", "without e_img", {}),
    Variant("user scale", "0", {"user_scale": 0.0}),
    Variant("user guidance", "5", {"user_guidance": 5.0}),
]


def column(seed: int, gain: float) -> Column:
    return Column(scores(seed, gain), "up", "preference", ())


def scores(seed: int, gain: float) -> Scores:
    rng = np.random.default_rng(seed)
    users, prompts = np.repeat([f"u{i}" for i in range(8)], 3), np.tile(["a", "b", "c"], 8)
    keys = np.array([f"{u}|{p}" for u, p in zip(users, prompts, strict=True)])
    noise = np.random.default_rng(0).standard_normal(24)
    return Scores(noise + gain + 0.1 * rng.standard_normal(24), users, prompts, keys)


@pytest.fixture
def result() -> dict[str, Any]:
    columns = [
        {"utility": column(i, gain), "prompt-fidelity": column(10 + i, 0.0)}
        for i, gain in enumerate((0.0, -0.5, -1.0, 0.02))
    ]
    return {
        "method": "ours",
        "suite": "picturebook",
        "split": "val",
        "backbone": "mini-sd",
        "samples_per_case": 1,
        "training": {"images": 40_000},
        "defaults": {"user_scale": 1.0, "user_guidance": 3.0},
        "command": "prefbench ablate ours --out /somewhere/else --images 40000",
        "versions": {"prefbench": "0.2.0"},
        "rows": rows_of(VARIANTS, [[of_seed] for of_seed in columns]),
    }


def test_every_variant_is_held_against_the_whole(result: dict[str, Any]) -> None:
    first, second = scores(0, 0.0), scores(1, -0.5)
    cell = result["rows"][1]["metrics"]["utility"]
    assert cell["value"] == mean_interval(second).value
    expected = paired_difference(second, first)
    assert cell["difference"]["value"] == expected.estimate.value == pytest.approx(-0.5, abs=0.1)
    assert cell["difference"]["p"] == expected.p_value
    raw = [row["metrics"]["utility"]["difference"]["p"] for row in result["rows"][1:]]
    adjusted = [row["metrics"]["utility"]["difference"]["p_holm"] for row in result["rows"][1:]]
    np.testing.assert_allclose(adjusted, holm(raw))
    assert "difference" not in result["rows"][0]["metrics"]["utility"]


def test_the_page_says_what_was_measured_and_names_no_machine(result: Any, tmp_path: Path) -> None:
    written = AblationReport().write(result, tmp_path)
    text = (tmp_path / f"{STEM}.md").read_text()
    assert "parts: without e\\_img" in text or "parts: without e_img" in text
    assert "40,000 images" in text
    assert "/somewhere" not in text + (tmp_path / f"{STEM}.json").read_text()
    value = result["rows"][1]["metrics"]["utility"]["value"]
    assert f"{value:.3f}" in text
    assert [path.suffix for path in written] == [".md", ".json", ".png"]
    assert (tmp_path / f"{STEM}.png").read_bytes().startswith(b"\x89PNG")


def test_a_stale_page_is_found(result: Any, tmp_path: Path) -> None:
    report, folder = AblationReport(), tmp_path / "ablation"
    report.publish(result, tmp_path)
    assert not report.stale(tmp_path)
    (folder / f"{STEM}.md").write_text("old")
    assert report.stale(tmp_path) == [f"{STEM}.md"]
    (folder / f"{STEM}.png").unlink()
    assert report.stale(tmp_path) == [f"{STEM}.md", f"{STEM}.png"]
    report.rebuild(tmp_path)
    assert not report.stale(tmp_path)
    (folder / f"{STEM}.json").write_text(json.dumps({"method": "ours"}))
    with pytest.raises(PrefbenchError, match="is no ablation report"):
        report.stale(tmp_path)


def test_what_is_committed_is_up_to_date() -> None:
    report = AblationReport()
    assert [result["method"] for result in report.committed()] == ["ours"]
    assert not report.stale()


def scaled(request: AblationRequest, said: Callable[[str], object]) -> Ablation:
    """An ablation without training: the adapter at two scales."""
    said("nothing to train")
    assert request.work == request.folder / "ablation"
    variants = [
        Variant(WHOLE, WHOLE, {}),
        Variant("scale", "0", {"scale": 0.0}),
        Variant("images", "mean", {"images": "mean"}),
    ]
    return Ablation(variants, {"images": 0}, {"scale": 0.8})


@pytest.mark.slow
def test_variants_are_drawn_scored_and_not_drawn_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path, monkeypatch, "ablation", {"ip-adapter": f"{__name__}:scaled"})
    request, said = AblationRequest(tmp_path, users=2), list[str]()
    found = variants.ablate("ip-adapter", request, log=said.append)
    assert said == ["nothing to train", "draw whole: whole", "draw scale: 0", "draw images: mean"]
    assert (found["suite"], found["backbone"], found["users"], found["samples_per_case"]) == (
        "picturebook",
        "mini-sd",
        2,
        1,
    )
    assert list(found["rows"][0]["metrics"]) == [
        "utility", "utility/worded", "utility/semantic", "utility/silent", "utility/crowd", "utility/own",
        "utility/quality", "utility/liked", "utility/disagreement", "prompt-fidelity", "clip-score",
    ]  # fmt: skip
    cells = [row["metrics"]["utility"] for row in found["rows"]]
    assert cells[1]["difference"]["value"] == pytest.approx(cells[1]["value"] - cells[0]["value"])
    assert cells[1]["difference"]["value"] != 0
    images = {path: path.stat().st_mtime_ns for path in request.work.rglob("*.png")}
    again = variants.ablate("ip-adapter", request)
    assert again["rows"] == found["rows"]
    assert {path: path.stat().st_mtime_ns for path in request.work.rglob("*.png")} == images


@pytest.mark.slow
def test_the_report_takes_its_options_and_works_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(tmp_path, monkeypatch, "ablation", {"ip-adapter": f"{__name__}:scaled"})
    lines: list[str] = []
    context = ReportContext(Picturebook, "prefbench ablate ip-adapter --out /elsewhere/x", tmp_path, lines.append)
    report = AblationReport("ip-adapter", users=2, split="test")
    result = report.measure([], context)
    assert (result["split"], result["users"]) == ("test", 2)
    assert report.as_json(result)["command"] == "prefbench ablate ip-adapter"
    assert lines[0] == "nothing to train"
    assert list((tmp_path / "ip-adapter" / "ablation" / "runs").iterdir())
    (table,) = report.tables(result)
    assert [row[0] for row in table.filled[0]] == [WHOLE]
    with pytest.raises(PrefbenchError, match=r"name the method: -p method=(ours\|ip-adapter|ip-adapter\|ours)"):
        AblationReport().measure([], context)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"split": "tset"}, r"unknown split 'tset'; did you mean 'test'"),
        ({"users": 1}, r"--users must be 2 to \d+ for an interval, got 1"),
        ({"users": 100_000}, r"--users must be 2 to \d+ for an interval, got 100000"),
        ({"suite": f"{tiny_suite.__file__}:TinySuite"}, "measured in utility, which suite 'tiny' does not have"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(PrefbenchError, match=line):
        variants.ablate("ours", AblationRequest(tmp_path, **changes))


def test_without_a_training_there_is_nothing_to_leave_out(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match=r"holds no finished training .* run prefbench train ours"):
        variants.ablate("ours", AblationRequest(tmp_path))


def test_the_first_variant_must_be_the_whole_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(variants, "load", lambda *_: lambda *_: Ablation(VARIANTS[1:], {}, {}))
    with pytest.raises(PrefbenchError, match="ablation 'ours': the first variant must be 'whole', got 'without e_img'"):
        variants.ablate("ours", AblationRequest(tmp_path))


def test_several_seeds_are_averaged_and_widen_the_interval() -> None:
    gains = (0.0, 0.4, -0.4)
    one = [{"utility": column(0, 0.0)}], [{"utility": column(0, -0.5)}]
    many = [[{"utility": column(0, 0.0)} for _ in gains], [{"utility": column(0, gain - 0.5)} for gain in gains]]
    alone, several = rows_of(VARIANTS[:2], one), rows_of(VARIANTS[:2], many)
    first, second = (rows[1]["metrics"]["utility"]["difference"] for rows in (alone, several))
    assert first["value"] == pytest.approx(second["value"])
    assert second["low"] < first["low"] - 0.3
    assert second["high"] > first["high"] + 0.3
    assert second["seeds"] == pytest.approx([-0.5, -0.1, -0.9])
    assert second["p_holm"] > 0.05 > first["p_holm"]
    same = rows_of(VARIANTS[:2], [[seeds[0]] * 3 for seeds in many])[1]["metrics"]["utility"]["difference"]
    assert same["low"] == pytest.approx(first["low"], abs=0.05), "seeds that do not differ widen little"


def test_seeds_of_other_samples_are_refused() -> None:
    other = column(1, 0.0)
    assert other.scores.keys is not None
    renamed = Column(
        Scores(other.scores.values, other.scores.users, other.scores.prompts, other.scores.keys[::-1]),
        "up",
        "preference",
        (),
    )
    with pytest.raises(ValueError, match="same samples"):
        rows_of(VARIANTS[:1], [[{"utility": column(0, 0.0)}, {"utility": renamed}]])
