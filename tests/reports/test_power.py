"""Power against simulated studies, statsmodels and components that are known; and the command on small pilots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from statsmodels.stats.power import TTestPower

from prefbench.api import Estimate, Scores
from prefbench.cli.main import main
from prefbench.stats.components import Components, Design, components, design_of
from prefbench.stats.paired import paired_difference
from prefbench.stats.power import (
    achieved,
    shown_by_scorer,
    smallest_effect,
    smallest_shown,
    users_interval,
    users_needed,
)
from tests.reports.test_contrasts import build

PARTS = Components(user=0.3, prompt=0.05, cell=0.5, sample=1.0)


def study(rng: np.random.Generator, design: Design, parts: Components, effect: float = 0.0) -> Scores:
    """Scores with these variances; every user takes the next few prompts of the pool, or has prompts of their own."""
    users, prompts, samples = design.users, int(design.prompts), int(design.samples)
    user, turn, _ = np.indices((users, prompts, samples)).reshape(3, -1)
    prompt = (user + turn) % design.pool if design.pool else user * prompts + turn
    of_cell = rng.standard_normal((users, prompt.max() + 1)) * np.sqrt(parts.cell)
    values = effect + rng.standard_normal(users)[user] * np.sqrt(parts.user)
    values += rng.standard_normal(prompt.max() + 1)[prompt] * np.sqrt(parts.prompt) + of_cell[user, prompt]
    values += rng.standard_normal(len(user)) * np.sqrt(parts.sample)
    return Scores(values, user.astype(str), prompt.astype(str))


def nothing(like: Scores) -> Scores:
    return Scores(np.zeros(len(like)), like.users, like.prompts)


# --------------------------------------------------------------------------------------------------- components


@pytest.mark.slow
@pytest.mark.parametrize("design", [Design(30, 8, 2, 8), Design(40, 5, 2, 10)])
def test_components_are_right_on_average(design: Design) -> None:
    """Crossed, and each user with half of the pool; scores missing at random."""
    rng = np.random.default_rng(design.users)
    found = []
    for _ in range(150):
        scores = study(rng, design, PARTS, effect=5)
        scores.values[rng.random(len(scores)) < 0.1] = np.nan
        parts = components(scores)
        found.append([parts.user, parts.prompt, parts.cell, parts.sample])
    assert np.mean(found, axis=0) == pytest.approx([0.3, 0.05, 0.5, 1.0], abs=0.05)
    assert PARTS.total == pytest.approx(1.85)


def test_components_of_a_crossed_study_are_those_of_the_analysis_of_variance() -> None:
    table = np.random.default_rng(0).standard_normal((6, 4)) + np.arange(6)[:, None]
    users, prompts = np.indices(table.shape).reshape(2, -1).astype(str)
    found = components(Scores(table.ravel(), users, prompts))
    rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    error = (rest**2).sum() / (5 * 3)
    assert found.user == pytest.approx(table.mean(axis=1).var(ddof=1) - error / 4)
    assert found.prompt == pytest.approx(max(0, table.mean(axis=0).var(ddof=1) - error / 6))
    if found.prompt > 0:
        assert found.cell == pytest.approx(error)
    assert found.sample == 0


@pytest.mark.slow
def test_what_a_pilot_cannot_tell_apart_is_kept_together() -> None:
    rng = np.random.default_rng(1)
    one_each = study(rng, Design(400, 1, 1, 0), PARTS)
    found = components(one_each)
    assert (found.prompt, found.cell, found.sample) == (0, 0, 0)
    assert found.user == pytest.approx(one_each.values.var(ddof=1))
    own = components(study(rng, Design(2000, 4, 2, 0), PARTS))
    assert own.prompt == 0
    assert own.cell == pytest.approx(PARTS.prompt + PARTS.cell, abs=0.1)
    with pytest.raises(ValueError, match="at least two users"):
        components(Scores(np.zeros(3), np.full(3, "a"), np.array(["p", "q", "r"])))


def test_designs_are_read_from_scores() -> None:
    rng = np.random.default_rng(2)
    for design in (Design(12, 5, 2, 10), Design(6, 4, 3, 4), Design(5, 3, 1, 0)):
        assert design_of(study(rng, design, PARTS)) == design
    assert Design(12, 5, 2, 10).of(prompts=20, samples=1) == Design(12, 20, 1, 20)
    assert Design(12, 5, 2, 10).of(prompts=7) == Design(12, 7, 2, 10)
    assert Design(6, 4, 3, 4).of(prompts=2) == Design(6, 2, 3, 2)
    assert Design(5, 3, 1, 0).of(prompts=9) == Design(5, 9, 1, 0)


# -------------------------------------------------------------------------------------------------------- power


@pytest.mark.parametrize(("effect", "alpha"), [(0.2, 0.05), (0.5, 0.05), (0.9, 0.01)])
def test_of_users_alone_it_is_the_power_of_the_paired_t_test(effect: float, alpha: float) -> None:
    parts, theirs = Components(4.0, 0, 0, 0), TTestPower()
    design = Design(25, 1, 1, 0)
    assert achieved(effect * 2, parts, design, alpha=alpha) == pytest.approx(theirs.power(effect, 25, alpha))
    needed = theirs.solve_power(effect, alpha=alpha, power=0.8)
    assert users_needed(effect * 2, parts, design, alpha=alpha) == int(np.ceil(needed))
    smallest = theirs.solve_power(nobs=25, alpha=alpha, power=0.8)
    assert smallest_effect(parts, design, alpha=alpha) == pytest.approx(2 * smallest, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "parts"),
    [
        (Design(30, 8, 1, 8), Components(1.0, 0.05, 1.0, 0.5)),
        (Design(60, 5, 2, 10), Components(0.05, 0.0, 1.0, 0.5)),
        (Design(25, 4, 2, 0), PARTS),
    ],
)
def test_simulated_studies_show_the_smallest_effect_as_often_as_promised(design: Design, parts: Components) -> None:
    """By the test that `compare` makes; at half the users less often."""
    rng, repeats = np.random.default_rng(3), 250
    effect = smallest_effect(parts, design) or 0.0

    def power(one: Design) -> float:
        drawn = [study(rng, one, parts, effect) for _ in range(repeats)]
        p = [paired_difference(s, nothing(s), replicates=400, seed=i).p_value for i, s in enumerate(drawn)]
        return float(np.mean(np.array(p) < 0.05))

    assert power(design) == pytest.approx(0.8, abs=0.07)
    assert users_needed(effect, parts, design) == pytest.approx(design.users, abs=1)
    fewer = Design(design.users // 2, design.prompts, design.samples, design.pool)
    assert power(fewer) == pytest.approx(achieved(effect, parts, fewer), abs=0.1)


@pytest.mark.parametrize("design", [Design(5, 10, 1, 10), Design(5, 3, 1, 0), Design(4, 2, 1, 2)])
def test_no_plan_names_fewer_users_than_the_exact_test_needs(design: Design) -> None:
    """Of five users all may gain, and the sign flips still say 2 / 32; of six they can say 2 / 64."""
    parts = Components(0.01, 0.0, 0.01, 0.0)
    assert achieved(100.0, parts, design) == 0
    assert smallest_effect(parts, design) is None
    assert users_needed(1.0, parts, design) == 6
    assert users_needed(1.0, parts, design, alpha=0.01) == 8
    five = study(np.random.default_rng(0), Design(5, 10, 1, 10), parts, effect=1.0)
    assert paired_difference(five, nothing(five)).p_value == 2 / 32


@pytest.mark.slow
@pytest.mark.parametrize("design", [Design(8, 5, 1, 5), Design(20, 10, 1, 10)])
def test_intervals_of_users_needed_hold_the_number_that_the_true_variances_need(design: Design) -> None:
    rng, parts, repeats, held = np.random.default_rng(1), Components(0.3, 0.02, 1.0, 0.0), 60, 0
    truth = users_needed(0.4, parts, design)
    assert truth is not None
    for i in range(repeats):
        low, high = users_interval(0.4, study(rng, design, parts), design, replicates=60, seed=i)
        held += low <= truth and (high is None or truth <= high)
    # .95 and what 60 repeats leave to chance
    assert held / repeats >= 0.88


def test_no_number_of_users_makes_up_for_too_few_prompts() -> None:
    assert users_needed(0.2, PARTS, Design(50, 5, 2, 5)) is None
    assert users_needed(0.2, PARTS, Design(50, 50, 2, 50)) is not None
    assert users_needed(0.2, PARTS, Design(50, 5, 2, 0)) is not None


def test_where_nothing_varies_every_effect_shows() -> None:
    none = Components(0, 0, 0, 0)
    assert smallest_effect(none, Design(8, 2, 1, 2)) == 0
    assert users_needed(0.1, none, Design(5, 2, 1, 2)) == 6
    assert achieved(1e6, PARTS, Design(50, 5, 2, 5)) == pytest.approx(1)


def test_a_scorer_shows_a_part_of_an_effect() -> None:
    """A latent effect seen through pairs: of a win rate of 0.5 + d, a scorer that errs shows 0.5 + (2a - 1) d."""
    rng, a, true = np.random.default_rng(0), 0.7, 0.62
    won, right = rng.random(200_000) < true, rng.random(200_000) < a
    assert (won == right).mean() - 0.5 == pytest.approx(shown_by_scorer(true - 0.5, a), abs=0.004)
    for accuracy in (0.5, 0.2, 1.1):
        with pytest.raises(ValueError, match=r"lies above 0\.5"):
            shown_by_scorer(1, accuracy)


def test_the_width_of_an_interval_says_what_would_be_shown() -> None:
    """For users alone it is the smallest effect of the same data; none without an interval."""
    rng, design = np.random.default_rng(4), Design(200, 1, 1, 0)
    scores = study(rng, design, Components(1.0, 0, 0, 0))
    shown = smallest_shown(paired_difference(scores, nothing(scores)).estimate)
    assert shown == pytest.approx(smallest_effect(components(scores), design), rel=0.05)
    assert smallest_shown(Estimate(1.0, None, None, 1, 1, 1, 0)) is None


# -------------------------------------------------------------------------------------------------- the command


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three methods whose values share users and prompts, so that differences vary less than means."""
    rng = np.random.default_rng(5)
    common: NDArray[np.float64] = rng.standard_normal((20, 1)) + rng.standard_normal((20, 6))
    for i, name in enumerate(("prompt-only", "a", "b")):
        build(tmp_path / name, name, common + 0.3 * i + 0.3 * rng.standard_normal((20, 6)))
    return {name: tmp_path / name for name in ("prompt-only", "a", "b")}


@pytest.mark.slow
def test_power_of_one_run_and_of_differences(folders: dict[str, Path]) -> None:
    one = invoke("power", folders["a"], "--effect", "0.5", "--effect", "0.25", "--json")
    assert one.exit_code == 0, one.output
    mean = json.loads(one.stdout)
    assert (mean["metric"], mean["paired"], mean["power"]) == ("utility", False, 0.8)
    (pilot,) = mean["pilots"]
    large, small = (row["users"] for row in pilot["users"])
    assert small > 3 * large
    several = json.loads(invoke("power", *folders.values(), "--effect", "0.25", "--json").stdout)
    assert [found["label"] for found in several["pilots"]] == ["a − prompt-only", "b − prompt-only"]
    assert all(found["users"][0]["users"] < small for found in several["pilots"])
    assert all(found["smallest"] < pilot["smallest"] for found in several["pilots"])
    pair = json.loads(invoke("power", folders["b"], folders["a"], "--json").stdout)
    assert [found["label"] for found in pair["pilots"]] == ["b − a"]


@pytest.mark.slow
def test_accuracy_prompts_and_samples_change_the_plan(folders: dict[str, Path]) -> None:
    def users(*options: object) -> int:
        done = invoke("power", folders["a"], folders["prompt-only"], "--effect", "0.1", *options, "--json")
        assert done.exit_code == 0, done.output
        return int(json.loads(done.stdout)["pilots"][0]["users"][0]["users"])

    usual = users()
    assert users("--prompts", "24") < usual
    assert users("--accuracy", "0.75") == pytest.approx(4 * usual, rel=0.15)
    assert users("--power", "0.95") > usual
    sharp, blunt = (
        json.loads(invoke("power", folders["a"], "--accuracy", a, "--json").stdout)["pilots"][0] for a in (1, 0.75)
    )
    assert blunt["smallest"] == pytest.approx(2 * sharp["smallest"])
    assert users("--alpha", "0.2") < usual


@pytest.mark.slow
def test_power_shows_a_plain_table_and_says_what_limits_it(folders: dict[str, Path]) -> None:
    done = invoke("power", folders["a"], "--effect", "0.01", "--prompts", "2", "--accuracy", "0.6")
    assert done.exit_code == 0, done.output
    assert "power of 0.8 for a mean in utility, two-sided at 0.05" in done.stdout
    assert "users are for prompts × samples of 2 (of 2) × 1." in done.stdout
    assert "with one sample a prompt, user × prompt holds the variance of samples too." in done.stdout
    assert "a scorer of accuracy 0.6 shows 0.2 of them" in done.stdout
    assert "one run: its mean against a fixed value" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_a_small_pilot_is_preliminary_and_its_users_have_an_interval(tmp_path: Path) -> None:
    """Ten users who differ by nothing but noise: a variance of exactly 0 is said."""
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((2, 10, 6))
    noise -= noise.mean(axis=2, keepdims=True)
    for values, name in zip(noise, ("prompt-only", "a"), strict=True):
        build(tmp_path / name, name, values)
    folders = tmp_path / "a", tmp_path / "prompt-only"
    done = invoke("power", *folders, "--effect", "0.5")
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "preliminary: a pilot of fewer than 20 users." in text
    assert (
        "a − prompt-only: the variance of users and prompts is estimated as exactly 0, so more may be needed." in text
    )
    (pilot,) = json.loads(invoke("power", *folders, "--effect", "0.5", "--json").stdout)["pilots"]
    (needed,) = pilot["users"]
    assert pilot["preliminary"]
    assert 6 <= needed["low"] <= needed["users"]
    assert needed["high"] is None or needed["users"] <= needed["high"]


def test_a_pilot_in_which_nothing_varies_plans_nothing(tmp_path: Path) -> None:
    base = np.random.default_rng(0).standard_normal((12, 4))
    build(tmp_path / "a", "a", base + 0.5)
    build(tmp_path / "prompt-only", "prompt-only", base)
    folders = tmp_path / "a", tmp_path / "prompt-only"
    (pilot,) = json.loads(invoke("power", *folders, "--effect", "0.5", "--json").stdout)["pilots"]
    assert pilot["users"] == [{"effect": 0.5, "users": None, "low": None, "high": None}]
    assert "(nothing varies)" in invoke("power", *folders, "--effect", "0.5").stdout


MISTAKES = {
    "metric": (["a", "--metric", "utilty"], "did you mean 'utility'?"),
    "baseline": (["a", "b", "prompt-only", "--baseline", "c"], "unknown baseline 'c'"),
    "baseline of two": (["a", "b", "--baseline", "promt-only"], "unknown baseline 'promt-only'"),
    "no run": (["nowhere"], "nowhere is not a run folder"),
    "effect": (["a", "--effect", "-1"], "Invalid value for '--effect'"),
    "accuracy": (["a", "--accuracy", "0.5"], "Invalid value for '--accuracy'"),
    "one user": (["lone"], "lone: a pilot needs scores of at least two users, got 1"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line(
    what: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folders
    build(tmp_path / "lone", "lone", np.ones((1, 4)))
    arguments, expected = MISTAKES[what]
    done = invoke("power", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert expected in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.filterwarnings("error")
def test_a_pilot_in_which_prompts_alone_vary_is_planned_for_without_a_warning() -> None:
    assert users_needed(5, Components(0, 0.43, 0, 0), Design(3, 7, 2, 4)) == 6
