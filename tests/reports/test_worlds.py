"""Rankings compared between worlds, on toy runs whose order in each world is set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kendalltau

from prefbench.api import PrefbenchError, ReportContext, ScoredRun
from prefbench.cli.main import main
from prefbench.reports.worlds.page import findings
from prefbench.reports.worlds.report import Worlds
from prefbench.reports.worlds.schema import Turn, WorldsResult
from prefbench.reports.worlds.worlds import worlds_of
from tests.support.colours import ColourSuite
from tests.support.toy_runs import HOSTILE, USERS, build

PEOPLE = (*USERS, *(f"u{i:02d}" for i in range(9)))
METHODS = ("prompt-only", "crowd", "ours", "inferred")
WORLDS: Mapping[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "default": ({}, (0.1, 0.3, 0.5, 0.9)),
    "crowd=0.5": ({"crowd": 0.5}, (0.1, 0.6, 0.5, 0.9)),
    "noise=3": ({"noise": 3.0}, (0.31, 0.3, 0.5, 0.9)),
}
"""What is turned, and the mean utility of each method; prompt-only's differs between people by more than 0.01."""


def draw(folder: Path, method: str, dials: Mapping[str, Any], mean: float, **options: Any) -> ScoredRun:
    """One run; people differ alike under all methods, and under prompt-only in a way of its own."""
    people = PEOPLE[: options.pop("people", len(PEOPLE))]
    own = 0.2 if method == "prompt-only" else 0.01
    values: dict[str, float | None] = {
        name: mean + 0.05 * np.sin(i) + own * (-1) ** i * (1 + i // 2 % 3) / 2 for i, name in enumerate(people)
    }
    values |= options.pop("values", {})
    spec = {"suite_parameters": {"crowd": None, "noise": None, **dials}, "suite_digest": json.dumps(dials).ljust(64)}
    return build(folder, method, values, spec={**spec, **options.pop("spec", {})}, **options)


def liked(method: str, world: str) -> float:
    """What the scorer thinks: the true order, but the reverse in one world."""
    place = METHODS.index(method)
    return 0.9 - 0.1 * place if world == "noise=3" else 0.5 + 0.1 * place


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[ScoredRun]:
    folder = tmp_path_factory.mktemp("worlds")
    return [
        draw(folder / f"{world}-{method}", method, dials, mean, gain=lambda *_, m=method, w=world: liked(m, w))
        for world, (dials, means) in reversed(list(WORLDS.items()))
        for method, mean in zip(METHODS, means, strict=True)
    ]


@pytest.fixture(scope="module")
def result(runs: list[ScoredRun]) -> WorldsResult:
    return measured(runs)


def measured(runs: Sequence[ScoredRun], replicates: int = 200) -> WorldsResult:
    return Worlds(replicates=replicates).measure(runs, ReportContext(ColourSuite))


def turn(result: WorldsResult, *pair: str) -> Turn:
    return next(one for one in result["turns"] if {one["first"], one["second"]} == set(pair))


def test_worlds_are_named_by_what_is_turned_and_the_plain_one_is_first(result: WorldsResult) -> None:
    assert [world["name"] for world in result["worlds"]] == ["default", "crowd=0.5", "noise=3"]
    assert [world["dials"] for world in result["worlds"]] == [{}, {"crowd": 0.5}, {"noise": 3.0}]
    assert {world["n_users"] for world in result["worlds"]} == {len(PEOPLE)}


def test_what_all_worlds_share_is_in_no_name_and_numbers_sort_as_numbers(tmp_path: Path) -> None:
    turned: list[dict[str, Any]] = [{"history": 16}, {"history": 2}, {}, {"crowd": 0.5, "history": 2}]
    specs = [({"world": "2", **dials}, "test") for dials in turned] + [({"world": "2"}, "shifted")]
    runs = [
        draw(tmp_path / f"{i}-{method}", method, dials, 0.5, spec={"split": split}, people=3)
        for i, (dials, split) in enumerate(specs)
        for method in METHODS[:3]
    ]
    names = [world.name for world in worlds_of(runs)]
    assert names == ["default", "history=2", "history=16", "shifted", "crowd=0.5 history=2"]
    assert measured(runs, 100)["shared"] == {"world": "2"}


def test_the_order_is_by_mean_true_utility(result: WorldsResult) -> None:
    places = {world["name"]: world["order"] for world in result["worlds"]}
    assert {label: place["rank"] for label, place in places["default"].items()} == {
        "inferred": 1, "ours": 2, "crowd": 3, "prompt-only": 4,
    }  # fmt: skip
    assert [places["crowd=0.5"][label]["rank"] for label in ("crowd", "ours")] == [2, 3]
    assert places["noise=3"]["prompt-only"]["low"] < places["noise=3"]["prompt-only"]["high"], "it may be behind crowd"


def test_tau_between_worlds_is_that_of_the_means(runs: list[ScoredRun], result: WorldsResult) -> None:
    means = {world["name"]: [world["order"][label]["mean"] for label in METHODS] for world in result["worlds"]}
    first = next(run for run in runs if run.method == "ours" and run.spec["suite_parameters"]["noise"] == 3.0)
    scores = first.columns()["utility"].scores
    assert means["noise=3"][2] == pytest.approx(scores.values.mean())
    assert len(result["pairs"]) == 3
    for pair in result["pairs"]:
        one, other = means[pair["first"]], means[pair["second"]]
        assert pair["tau"]["value"] == pytest.approx(kendalltau(one, other).statistic)
        of_methods = pair["tau_of_methods"]
        assert of_methods is not None
        assert of_methods["value"] == pytest.approx(kendalltau(one[:3], other[:3]).statistic), "without inferred"
        assert (pair["tau"]["n"], of_methods["n"]) == (4, 3)


def test_a_turn_is_more_than_chance_where_each_side_is_sure(result: WorldsResult) -> None:
    sure, unsure = turn(result, "crowd", "ours"), turn(result, "crowd", "prompt-only")
    assert len(result["turns"]) == 2
    assert (sure["first"], sure["second"], sure["beyond_chance"]) == ("ours", "crowd", True)
    assert {name: np.sign(side["value"] or 0) for name, side in sure["differences"].items()} == {
        "default": 1, "crowd=0.5": -1, "noise=3": 1,
    }  # fmt: skip
    assert not unsure["beyond_chance"]
    side = unsure["differences"]["noise=3"]
    assert side["p"] is not None
    assert side["p"] > 0.05
    turned = {(pair["first"], pair["second"]): (pair["turned"], pair["beyond_chance"]) for pair in result["pairs"]}
    assert turned == {
        ("default", "crowd=0.5"): (1, 1),
        ("default", "noise=3"): (1, 0),
        ("crowd=0.5", "noise=3"): (2, 1),
    }


def test_a_metric_is_compared_with_the_truth_in_each_world(result: WorldsResult) -> None:
    taus = {world["name"]: world["metrics"]["personal-gain"] for world in result["worlds"]}
    for world in result["worlds"]:
        means = [world["order"][label]["mean"] for label in METHODS]
        expected = kendalltau([liked(label, world["name"]) for label in METHODS], means).statistic
        found = taus[world["name"]]
        assert found is not None
        assert found["tau"]["value"] == pytest.approx(expected)
    low = min(found["tau"]["value"] or 0 for found in taus.values() if found is not None)
    assert f"personal-gain {low:.2f}" in findings(result)[-1]
    fid = result["worlds"][0]["metrics"]["fid"]
    assert fid is not None
    assert fid["tau"] == {"value": None, "low": None, "high": None, "n": 4}, "the same for all methods"


def test_the_page_says_what_turns_and_that_nothing_was_retrained(result: WorldsResult, tmp_path: Path) -> None:
    report = Worlds()
    paths = report.publish(result, tmp_path)
    assert {path.name for path in paths} == {"toy.tiny.md", "toy.tiny.json", "toy.tiny.png"}
    page = (tmp_path / "worlds" / "toy.tiny.md").read_text(encoding="utf-8")
    assert "Methods were not retrained for each world" in page
    assert "ours before crowd in default, noise=3, behind it in crowd=0.5." in page
    assert report.stale(tmp_path) == []
    (tmp_path / "worlds" / "toy.tiny.png").unlink()
    assert report.stale(tmp_path) == ["toy.tiny.png"]


def test_a_sample_that_one_method_lacks_counts_for_none(runs: list[ScoredRun], tmp_path: Path) -> None:
    others = [run for run in runs if not (run.method == "ours" and run.spec["suite_parameters"]["crowd"] == 0.5)]
    lacking = draw(tmp_path / "ours", "ours", {"crowd": 0.5}, 0.5, values={"ann": None, "bob": np.nan})
    world = measured([*others, lacking], 100)["worlds"][1]
    assert (world["n_users"], world["missing"]) == (len(PEOPLE) - 2, 8)
    assert world["metrics"]["personal-gain"] is None, "one method was not scored by it"


def of_world(runs: Sequence[ScoredRun], **dials: Any) -> list[ScoredRun]:
    return [run for run in runs if all(run.spec["suite_parameters"][name] == v for name, v in dials.items())]


def test_what_does_not_belong_together_is_one_line(runs: list[ScoredRun], tmp_path: Path) -> None:
    plain = of_world(runs, crowd=None, noise=None)
    crowd = of_world(runs, crowd=0.5)
    elsewhere: list[dict[str, Any]] = [{"spec": {"seed": 1}}, {"undrawn": 3}, {"truth": False, "gain": lambda *_: 0.5}]
    changed = [
        draw(tmp_path / f"{i}", "ours", {"crowd": 0.5}, 0.5, people=3, **each) for i, each in enumerate(elsewhere)
    ]
    twin = [draw(tmp_path / f"t{m}", m, {}, 0.5, spec={"suite_digest": "e" * 64}, people=3) for m in METHODS]
    fewer = draw(tmp_path / "few", "ours", {"crowd": 0.5}, 0.5, people=3)
    without = [run for run in crowd if run.method != "ours"]
    cases = [
        (plain, "worlds are compared with each other, got 4 runs of the world default; draw with -s or --split"),
        ([*plain, *without], "the world crowd=0.5 has no run of ours: prefbench run .*--method ours .*-s crowd=0.5"),
        ([*plain, *without, fewer], "hold other samples; the runs of a world are compared on the same ones"),
        ([*plain, *without, changed[0]], "differ in the run seed"),
        ([*plain, *without, changed[1]], r"is unfinished \(3 samples\); run its command again"),
        ([*plain, *without, changed[2]], "has no utility, which worlds are compared by; prefbench score .*utility"),
        ([*plain, *twin], "differ in their data though both are default"),
        ([run for run in (*plain, *crowd) if run.method in METHODS[:2]], "an order needs 3 methods or more"),
    ]
    for given, message in cases:
        with pytest.raises(PrefbenchError, match=message) as raised:
            worlds_of(given)
        assert "\n" not in str(raised.value)


def test_a_method_that_asks_people_may_have_learned_something_else_in_each_world(
    runs: list[ScoredRun], tmp_path: Path
) -> None:
    def versions(asks: bool, *found: str) -> list[ScoredRun]:
        others = [*of_world(runs, crowd=None, noise=None), *of_world(runs, crowd=0.5)]
        about = {"method": {"name": "crowd", "version": "1", "control": False, "asks_people": asks}}
        dialled = zip(({}, {"crowd": 0.5}), found, strict=True)
        names = (f"{asks}-{'-'.join(found)}-{i}" for i in range(2))
        own = [
            draw(tmp_path / name, "crowd", dials, 0.3, spec={"method_version": version}, description=about)
            for name, (dials, version) in zip(names, dialled, strict=True)
        ]
        return [*(run for run in others if run.method != "crowd"), *own]

    assert len(worlds_of(versions(True, "1+aaa", "1+bbb"))) == 2
    for asks, *found in ((True, "1+aaa", "2+bbb"), (True, "1+code1+aaa", "1+code2+bbb"), (False, "1+aaa", "1+bbb")):
        with pytest.raises(PrefbenchError, match="the method's version: only the world may differ"):
            worlds_of(versions(asks, *found))


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    runs = [
        draw(tmp_path / f"{i}-{m}", m, {"style": style}, 0.1 * i, method_name=HOSTILE if m == "ours" else m, people=3)
        for i, style in enumerate((HOSTILE, "plain"))
        for m in METHODS[:3]
    ]
    report = Worlds(replicates=100)
    result = report.measure(runs, ReportContext(ColourSuite))
    page = report.render(result)
    assert "<script>" not in page
    assert "](https" not in page
    report.draw(result, tmp_path)


def test_validate_compares_worlds(runs: list[ScoredRun], tmp_path: Path) -> None:
    paths = [str(run.path) for run in runs]
    done = CliRunner().invoke(main, ["validate", "--worlds", *paths, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "Kendall's tau between worlds" in done.output
    assert (tmp_path / "out" / "toy.tiny.md").is_file()
    wrong = CliRunner().invoke(main, ["validate", "--worlds", *paths, "--metrics", "utility"])
    assert (wrong.exit_code, "it takes no --suite and no --metrics" in wrong.output) == (2, True)
    nothing = CliRunner().invoke(main, ["validate", "--worlds"])
    assert isinstance(nothing.exception, SystemExit)
    assert (nothing.exit_code, "takes one run or more, got 0" in nothing.output) == (2, True)
