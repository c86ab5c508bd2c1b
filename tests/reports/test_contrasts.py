"""Contrasts of runs: planted flips, Bradley-Terry by three fits, false positives, and the command on small runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import choix
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from prefbench.api import FeatureSet, FloatArray, PrefbenchError, Sample, Scores
from prefbench.cli.grids import to_text
from prefbench.cli.main import main
from prefbench.metrics.fid import FrechetDistance
from prefbench.reports.contrasts.contrasts import MeasuredContrasts, as_json, contrast
from prefbench.reports.contrasts.grids import contrast_grid, standings_grid
from prefbench.run.folder import RunFolder
from prefbench.score.score_files import samples_digest
from prefbench.score.scored_folder import ScoredFolder
from prefbench.stats.jackknife import jackknife_test
from prefbench.stats.paired import holm, paired_difference
from prefbench.stats.permutation import label_swap
from prefbench.stats.rules import p_sentence
from prefbench.stats.strengths import UnlinkedError, bradley_terry, strengths, unlinked, wins


def scores(values: FloatArray) -> Scores:
    """Of a table users x prompts."""
    rows, columns = np.indices(values.shape).reshape(2, -1)
    return Scores(values.ravel(), np.char.add("u", rows.astype(str)), np.char.add("p", columns.astype(str)))


def build(
    folder: Path,
    method: str,
    values: FloatArray,
    *,
    direction: str = "up",
    digest: str = "d",
    undirected: Sequence[str] = (),
) -> ScoredFolder:
    """A run that was scored for one metric over images, with the values of a table users x prompts."""
    spec: dict[str, Any] = {
        "suite": "toy", "suite_parameters": {}, "suite_digest": digest, "split": "test", "method": method,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "tiny", "backbone_digest": "b",
        "steps": 2, "guidance": 1.0,
        "dtype": "float32", "seed": 0, "samples_per_case": 1, "users": None, "batch": 4,
    }  # fmt: skip
    store, names = RunFolder(folder), [f"u{i:02d}" for i in range(len(values))]
    kinds = dict.fromkeys(names, "one")
    store.write_description({"spec": spec, "method": {"name": method}, "kinds": kinds, "planned": values.size})
    samples = [
        Sample(f"{method}/{user}/{p}", user, f"{user}/{p}", f"prompt {p}", 0, 1, "ok", image="0" * 64)
        for user in names
        for p in range(values.shape[1])
    ]
    store.append_samples(samples)
    header: dict[str, object] = {
        "metric": "utility@1",
        "direction": direction,
        "question": "preference",
        "unit": "image",
    }
    header |= {"won_by": [], "undirected": list(undirected)}
    rows = [
        {"key": sample.key, "column": "utility", "value": None if np.isnan(value) else float(value)}
        for sample, value in zip(samples, values.ravel(), strict=True)
    ]
    store.write_scores("utility", {**header, "samples": samples_digest(samples)}, rows)
    return ScoredFolder.open(folder)


def no_suite() -> None:
    raise AssertionError("metrics over images need no suite")


def compared(tmp_path: Path, tables: Mapping[str, FloatArray], **choices: object) -> MeasuredContrasts:
    runs = [build(tmp_path / name, name, table) for name, table in tables.items()]
    return contrast(runs, no_suite, **choices)


# ------------------------------------------------------------------------------------------------ effect sizes


# ----------------------------------------------------------------------------------------------- leave one out


@pytest.mark.slow
def test_a_planted_user_turns_significance_and_order_and_nobody_else_does(tmp_path: Path) -> None:
    """All that `lucky` has over `prompt-only` is one user; `good` is better for all."""
    rng = np.random.default_rng(1)
    noise = 0.02 * rng.standard_normal((3, 30, 6))
    base = np.zeros((30, 6)) + noise[0]
    lucky, good = noise[1] - 0.002, 0.5 + noise[2]
    lucky[7] += 0.6
    found = compared(tmp_path, {"prompt-only": base, "lucky": lucky, "good": good})
    assert found.standings is not None
    assert [row.label for row in found.standings.rows] == ["good", "lucky", "prompt-only"]
    assert [(o.ahead, o.behind, o.turns) for o in found.standings.overtakings] == [
        ("good", "lucky", ()),
        ("lucky", "prompt-only", ("user u07",)),
    ]
    assert {row.method: row.turns for row in found.rows} == {"lucky": (), "good": ()}
    assert "lucky and prompt-only change places without user u07." in to_text(standings_grid(found, found.standings))


@pytest.mark.slow
def test_a_planted_prompt_and_user_turn_a_contrast(tmp_path: Path) -> None:
    """Every user gains 1 but one, who loses so much that the difference is lost in the spread; likewise a prompt."""
    rng = np.random.default_rng(2)
    base = np.zeros((20, 8))
    one_user, one_prompt = (1 + 0.3 * rng.standard_normal((2, 20, 8))).copy()
    one_user[3] -= 14
    one_prompt[:, 5] -= 7
    found = compared(tmp_path, {"prompt-only": base, "user": one_user, "prompt": one_prompt})
    turns = {row.method: row.turns for row in found.rows}
    assert turns == {"user": ("user u03",), "prompt": ("prompt prompt 5",)}
    text = to_text(contrast_grid(found))
    assert "user − prompt-only in utility changes significance without user u03." in text
    assert "1 prompt" in text


def test_what_many_turn_is_counted_and_named_in_part(tmp_path: Path) -> None:
    """Half of the users lie a hair above, the others a hair less below: any one of the upper half decides."""
    base, other = np.zeros((20, 2)), np.full((20, 2), 0.01)
    other[:10] -= 0.0199
    found = compared(tmp_path, {"prompt-only": base, "other": other})
    assert found.standings is not None
    (pair,) = found.standings.overtakings
    assert len(pair.turns) == 10
    names = "user u10, user u11, user u12, user u13, user u14 and others"
    notes = standings_grid(found, found.standings).notes
    assert f"other and prompt-only change places without any one of 10: {names}." in notes


# ---------------------------------------------------------------------------------------------- Bradley-Terry


def test_three_fits_of_strengths_agree() -> None:
    """choix by spectral ranking, choix by likelihood, and scikit-learn's logistic regression without an intercept."""
    truth, rng = np.array([0.0, 0.4, 1.0, -0.8]), np.random.default_rng(0)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4) for _ in range(150)]
    won = [rng.random() < expit(truth[i] - truth[j]) for i, j in pairs]
    ordered = [(i, j) if w else (j, i) for (i, j), w in zip(pairs, won, strict=True)]
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(np.array(ordered).T), 1)
    ours = bradley_terry(counts)
    by_likelihood = choix.opt_pairwise(4, ordered)
    x = np.array([np.eye(4)[i] - np.eye(4)[j] for i, j in pairs])
    logistic = LogisticRegression(fit_intercept=False, C=1e8, tol=1e-10, max_iter=10_000).fit(x, won).coef_[0]
    assert ours == pytest.approx(by_likelihood - by_likelihood.mean(), abs=1e-5)
    assert ours == pytest.approx(logistic - logistic.mean(), abs=1e-4)
    assert ours == pytest.approx(truth - truth.mean(), abs=0.3)


def test_wins_are_by_user_and_prompt_with_ties_half_and_gaps_left_out() -> None:
    users, prompts = np.array(["a", "a", "a", "b", "b"]), np.array(["p", "p", "q", "p", "q"])
    first = Scores(np.array([1.0, 0.0, 2.0, 3.0, np.nan]), users, prompts)
    second = Scores(np.array([0.0, 0.5, 2.0, 4.0, 1.0]), users, prompts)
    # a: p is won 0.5 : 0.25 on average, q is a tie. b: p is lost, q is not known of both.
    won = wins([first, second])
    assert list(zip(won.users, won.prompts, strict=True)) == [("a", "p"), ("a", "q"), ("b", "p"), ("b", "q")]
    assert won.counts[:, 0, 1].tolist() == [1, 0.5, 0, 0]
    assert won.counts[:, 1, 0].tolist() == [0, 0.5, 1, 0]
    assert wins([first, second], higher_is_better=False).counts[:, 0, 1].tolist() == [0, 0.5, 1, 0]


def test_intervals_of_strengths_cover_and_shrink_with_users() -> None:
    rng = np.random.default_rng(5)

    def width(users: int) -> float:
        tables = rng.standard_normal((3, users, 6)) + np.array([0.0, 0.2, 0.5])[:, None, None]
        found = strengths({str(i): scores(t) for i, t in enumerate(tables)})
        for estimate in found.values():
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.value is not None
            assert estimate.low < estimate.value < estimate.high
        assert found["0"].value < found["1"].value < found["2"].value  # type: ignore[operator]
        return found["2"].high - found["2"].low  # type: ignore[operator]

    assert width(200) < 0.7 * width(50)


def test_strengths_of_the_unlinked_are_refused_by_name(tmp_path: Path) -> None:
    tables = np.random.default_rng(0).standard_normal((3, 10, 4))
    methods = {"a": scores(tables[0]), "b": scores(tables[1]), "best": scores(tables[2] + 100)}
    with pytest.raises(UnlinkedError, match=r"between (best \| a, b|a, b \| best)"):
        strengths(methods)
    with pytest.raises(UnlinkedError):
        bradley_terry(np.zeros((2, 2)))
    assert unlinked(np.array([[0.0, 1.0], [1.0, 0.0]])) == []
    assert bradley_terry(np.array([[0.0, 1e5, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))[0] > 5, "linked by a hair"
    found = compared(tmp_path, {"prompt-only": tables[0], "best": tables[2] + 100})
    assert found.standings is not None
    assert "no strengths: wins do not lead both ways between" in to_text(standings_grid(found, found.standings))


# -------------------------------------------------------------------------------------------------- contrasts


@pytest.mark.slow
def test_holm_runs_over_the_contrasts_of_each_metric(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tables = {name: 0.2 * i + rng.standard_normal((20, 5)) for i, name in enumerate(("prompt-only", "a", "b", "c"))}
    found = compared(tmp_path, tables)
    assert [(row.method, row.baseline) for row in found.rows] == [(n, "prompt-only") for n in ("a", "b", "c")]
    assert [row.p_holm for row in found.rows] == pytest.approx(holm([row.p or 0 for row in found.rows]).tolist())
    assert "Holm over the 3 contrasts of each metric, not over metrics" in " ".join(contrast_grid(found).notes)
    runs = list(found.runs.values())
    everyone = contrast(runs, no_suite, all_pairs=True)
    assert len(everyone.rows) == 6
    assert [row.p_holm for row in everyone.rows] == pytest.approx(holm([row.p or 0 for row in everyone.rows]).tolist())
    against_a = contrast(runs, no_suite, baseline="a")
    swapped = next(row for row in against_a.rows if row.method == "prompt-only")
    assert swapped.difference.value == pytest.approx(-(found.rows[0].difference.value or 0))
    assert json.loads(json.dumps(as_json(found), allow_nan=False))["family"] == (
        "Holm over the 3 contrasts of each metric, not over metrics"
    )


def test_missing_samples_are_left_out_of_both_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    base, better, none = rng.standard_normal((12, 4)), rng.standard_normal((12, 4)) + 0.5, np.full((12, 4), np.nan)
    base[0], better[1, :2] = np.nan, np.nan
    found = compared(tmp_path, {"prompt-only": base, "better": better, "none": none})
    rows = {row.method: row for row in found.rows}
    partly = rows["better"]
    assert (partly.difference.n_users, partly.difference.n_samples, partly.difference.missing) == (11, 42, 6)
    assert partly.difference.value == pytest.approx((partly.value or 0) - (partly.other or 0))
    assert (rows["none"].difference.value, rows["none"].p, rows["none"].difference.missing) == (None, None, 48)
    assert partly.p == partly.p_holm, "what cannot be tested is no part of the family"
    text = to_text(contrast_grid(found)) + to_text(standings_grid(found, found.standings or pytest.fail("none")))
    assert "— (48 missing)" in text
    assert "nan" not in text.lower().replace("none", "")
    assert json.dumps(as_json(found), allow_nan=False)


def test_where_lower_is_better_the_lower_one_wins(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    low, high = rng.standard_normal((2, 12, 4)) + np.array([0.0, 1.0])[:, None, None]
    runs = [
        build(tmp_path / name, name, table, direction="down") for name, table in (("prompt-only", high), ("low", low))
    ]
    found = contrast(runs, no_suite)
    (row,) = found.rows
    assert row.difference.value is not None
    assert row.difference.value < 0
    assert row.effect is not None
    assert row.effect.wins is not None
    assert row.effect.wins > 0.8
    assert found.standings is not None
    assert [standing.label for standing in found.standings.rows] == ["low", "prompt-only"]
    strong, weak = (standing.strength for standing in found.standings.rows)
    assert strong is not None
    assert weak is not None
    assert (strong.value or 0) > (weak.value or 0)


def test_what_has_no_direction_has_no_arrow_and_no_winner(tmp_path: Path) -> None:
    low, high = np.random.default_rng(4).standard_normal((2, 12, 4))
    runs = [build(tmp_path / n, n, t, undirected=["utility"]) for n, t in (("prompt-only", low), ("other", high))]
    found = contrast(runs, no_suite)
    (row,) = found.rows
    assert row.effect is not None
    assert row.effect.wins is None
    assert row.p is not None
    text = to_text(contrast_grid(found))
    assert "utility" in text
    assert not {"↑", "↓"} & set(text)
    assert found.standings is None
    with pytest.raises(PrefbenchError, match="neither more nor less of it is better"):
        contrast(runs, no_suite, by="utility")


def test_alike_methods_are_seldom_told_apart() -> None:
    """Three methods of one distribution: in about 5 % of studies, not more, some contrast is significant after Holm."""
    rng, repeats, found = np.random.default_rng(9), 200, 0
    for _ in range(repeats):
        common = rng.standard_normal((25, 1)) + rng.standard_normal((1, 6))
        drawn = [
            scores(common + 0.5 * rng.standard_normal((25, 1)) + 0.3 * rng.standard_normal(6)
                   + rng.standard_normal((25, 6)))
            for _ in range(3)
        ]  # fmt: skip
        p = [paired_difference(drawn[i], drawn[0], replicates=400).p_value or 1 for i in (1, 2)]
        found += bool((holm(p) < 0.05).any())
    assert found / repeats <= 0.09


# ------------------------------------------------------------------------------------------------ the command


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def drawn(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two methods drawn for three users of picturebook, and scored."""
    out = tmp_path_factory.mktemp("runs")
    options = ["--backbone", tiny_sd, "--device", "cpu", "--users", "3", "--steps", "2", "--batch", "10", "--out", out]
    for method in ("prompt-only", "copy"):
        done = invoke("run", "--method", method, *options, "--json")
        assert done.exit_code == 0, done.output
    return sorted(out.iterdir(), reverse=True)


@pytest.mark.slow
def test_compare_tests_metrics_over_images_and_over_sets(drawn: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "numbers.json"
    before = {path: path.stat().st_mtime_ns for folder in drawn for path in folder.rglob("*")}
    metrics = ("utility", "prompt-fidelity", "clip-score", "fid", "kid")
    done = invoke("compare", *drawn, "--swaps", "19", "--metrics", ",".join(metrics), "--out", out, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads(out.read_text())
    assert {"command", "code", "hardware", "versions", "label_swaps"} <= set(found)
    rows = {row["metric"]: row for row in found["rows"]}
    assert set(rows) == set(metrics)
    for row in rows.values():
        assert (row["method"], row["baseline"], row["n_users"], row["n_samples"]) == ("copy", "prompt-only", 3, 30)
        assert row["difference"] == pytest.approx(row["value"] - row["other"], abs=1e-6)
        assert 0 < row["p"] <= row["p_holm"] <= 1
    assert rows["fid"]["dz"] is None
    for name in ("fid", "kid"):
        assert rows[name]["low"] <= rows[name]["difference"] <= rows[name]["high"]
    assert {rows[name]["extractor"] for name in ("clip-score", "fid", "kid")} == {"mini-clip"}
    assert found["family"] == "Holm over the 5 contrasts of this table"
    assert [rows[name]["p_holm"] for name in metrics] == pytest.approx(holm([rows[n]["p"] for n in metrics]).tolist())
    assert rows["utility"]["low"] is rows["utility"]["high"] is None, "three users"
    # What a run folder holds, its own fid among it, is neither changed nor contradicted.
    stored = [json.loads((folder / "summary.json").read_text())["rows"] for folder in drawn]
    own, other = (next(row["value"] for row in summary if row["metric"] == "fid") for summary in reversed(stored))
    assert (rows["fid"]["value"], rows["fid"]["other"]) == pytest.approx((own, other))
    assert before == {path: path.stat().st_mtime_ns for folder in drawn for path in folder.rglob("*")}


@pytest.mark.slow
def test_compare_shows_plain_tables(drawn: list[Path]) -> None:
    done = invoke("compare", *drawn, "--metrics", "kid,utility/silent", "--swaps", "19")
    assert done.exit_code == 0, done.output
    assert "copy − prompt-only" in done.stdout
    text = " ".join(done.stdout.split())
    assert f"{p_sentence()} p of metrics over sets: Student's t on values without single users and prompts" in text
    assert "Adjusted: Holm over the 2 contrasts of this table." in text
    assert "standings by utility" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_set_contrasts_are_label_swaps_of_the_metric_or_students_t_of_what_leaving_out_moves(drawn: list[Path]) -> None:
    """Against the swap done by hand on the features, users exchanged one by one, and values without each prompt."""
    from prefbench.reports.contrasts.sets import SetContrasts
    from prefbench.run.prepare import suite_of_run
    from prefbench.score.inputs import MetricInputs
    from prefbench.score.material import Material

    runs = {path.name: ScoredFolder.open(path) for path in drawn}
    suite = suite_of_run(next(iter(runs.values())).spec)
    pair = tuple(runs)
    (found,) = SetContrasts(suite, runs, swaps=49).of("fid", [(pair[0], pair[1])])
    metric = FrechetDistance()
    sets = [MetricInputs(suite).sets(metric, Material(run.folder, suite, "test")) for run in runs.values()]
    reference = sets[0][1]
    ordered = [s[0].select(np.lexsort((s[0].prompts, s[0].users))) for s in sets]
    users = np.unique(ordered[0].users)

    def difference(swapped: NDArray[np.bool_]) -> float:
        values = []
        for own, other in (ordered, ordered[::-1]):
            parts = [(other if s else own).select(own.users == user) for user, s in zip(users, swapped, strict=True)]
            joined = [np.concatenate([getattr(p, name) for p in parts]) for name in ("features", "users", "prompts")]
            values.append(metric.compare(FeatureSet(*joined), reference))
        return values[0] - values[1]

    left_out = []
    for field in ("users", "prompts"):
        names = np.unique(getattr(ordered[0], field))
        each = []
        for name in names:
            if field == "prompts" and len(set(ordered[0].users[ordered[0].prompts == name])) < 2:
                continue  # it falls with its only user
            first, second = (s.select(getattr(s, field) != name) for s in ordered)
            others = reference.select(getattr(reference, field) != name)
            each.append(metric.compare(first, others) - metric.compare(second, others))
        left_out.append(each)
    students = jackknife_test(found.difference.value or 0, left_out)
    assert students is not None
    assert found.p == pytest.approx(max(students.p_value, label_swap(len(users), difference, replicates=49)))
    assert found.difference.high == pytest.approx((found.difference.value or 0) + students.half_width)
    assert found.difference.value == pytest.approx(difference(np.zeros(len(users), dtype=np.bool_)))


MISTAKES = {
    "one run": (["a"], "takes at least two runs"),
    "other suites": (["a", "other"], "these runs differ in the data (suite digest), d and e: a and other"),
    "no baseline": (["a", "b"], "unknown baseline 'prompt-only' (known: a, b); or compare --pairs all"),
    "near baseline": (["ours", "a", "--baseline", "our"], "unknown baseline 'our'; did you mean 'ours'?"),
    "no such metric": (["a", "b", "--pairs", "all", "--metrics", "utilty"], "did you mean 'utility'?"),
    "metric by": (["a", "b", "--pairs", "all", "--by", "utilty"], "did you mean 'utility'?"),
    "no run": (["absent", "nowhere"], "absent is not a run folder"),
    "the same run": (["a", "a", "--pairs", "all"], "a is given twice with the same settings"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "ours"):
        build(Path(name), name, np.arange(6.0).reshape(3, 2))
    build(Path("other"), "other", np.ones((3, 2)), digest="e")
    arguments, expected = MISTAKES[what]
    done = invoke("compare", *arguments)
    assert done.exit_code == 2
    assert done.stdout in ("", "compare\n")
    *left_out, last = done.stderr.strip().splitlines()
    assert expected in done.output
    assert len(left_out) == 0
    assert last.startswith("prefbench: ")


@pytest.mark.slow
def test_a_metric_that_one_run_lacks_is_said(drawn: list[Path], tmp_path: Path) -> None:
    runs = [shutil.copytree(path, tmp_path / path.name) for path in drawn]
    (runs[1] / "scores" / "kid.jsonl").unlink()
    done = invoke("compare", *runs, "--metrics", "kid")
    assert done.exit_code == 2
    assert "kid: copy was not scored for it; prefbench score RUN --metrics kid" in done.stderr
    others = invoke("compare", *runs, "--swaps", "9")
    assert others.exit_code == 0
    assert "no kid: copy was not scored for it" in others.stdout


@pytest.mark.slow
def test_unequal_sets_are_not_compared(drawn: list[Path], tmp_path: Path) -> None:
    runs = [shutil.copytree(path, tmp_path / path.name) for path in drawn]
    samples = next((runs[1] / "samples").iterdir())
    samples.write_text("\n".join(samples.read_text().splitlines()[:-1]) + "\n")
    assert invoke("score", runs[1]).exit_code == 0
    with pytest.raises(PrefbenchError, match="another number of images of each"):
        contrast_sets(runs)
    done = invoke("compare", *runs, "--swaps", "9")
    assert done.exit_code == 0, done.output
    assert "no fid: copy and prompt-only hold other users or prompts" in done.stdout


def contrast_sets(paths: list[Path]) -> MeasuredContrasts:
    from prefbench.run.prepare import suite_of_run

    runs = [ScoredFolder.open(path) for path in paths]
    return contrast(runs, lambda: suite_of_run(runs[0].spec), metrics=["fid"], swaps=9)
