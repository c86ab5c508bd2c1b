"""What a run keeps of users: asked once, tried again where it failed, scored from the files alone, shown as users."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from prefbench.api import (
    Drawing,
    Evidence,
    Features,
    History,
    Judgment,
    Method,
    MethodCard,
    MetricCard,
    Picture,
    PrefbenchError,
    ProbeItem,
    Request,
    Sample,
    Scores,
    Split,
    SuiteCard,
    User,
    UserMetric,
    Viewer,
)
from prefbench.cli.grids import to_text
from prefbench.cli.main import main
from prefbench.probing.plan import ITEMS_PER_SIDE, ProbePlan, probe_plans
from prefbench.reports.contrasts.contrasts import contrast
from prefbench.reports.table.compare import as_json, compare
from prefbench.reports.table.grids import run_grid, runs_grid
from prefbench.run.folder import RunFolder
from prefbench.run.states import collect_states, load_states
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary, summarise
from prefbench.stats.paired import paired_difference
from prefbench.stats.table import Table
from prefbench.suites.picturebook.suite import Picturebook
from tests.support.plain_names import PlainNames

USERS = ("ann", "bob", "cem", "dot")
"""`cem` has two likes and no dislikes before methods."""
HERE = str(Path(__file__))


def level(value: int) -> Picture:
    return Picture.of(Image.new("RGB", (4, 4), (value, value, value)))


class World:
    """As much of a suite as is asked."""

    card = SuiteCard("world", "1", "", "", "none", (), {})
    digest = "d" * 64
    truth = None

    def users(self, split: Split) -> Sequence[User]:
        return [User(user, split) for user in USERS]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        first = {"method": 0, "scorer": 100}[viewer] + 20 * USERS.index(user)
        likes, dislikes = (2, 0) if (user, viewer) == ("cem", "method") else (4, 4)
        judged = [Judgment(level(first + i), f"prompt {i % 4}", i < likes) for i in range(likes + dislikes)]
        return History(user, tuple(judged[:likes]), tuple(judged[likes:]))


class Knowing(Method):
    """How many likes it was told of, and how bright an asked picture is; notes what it is asked."""

    card = MethodCard(name="knowing", version="1", summary="")

    def __init__(self, broken: Mapping[str, Any] | None = None) -> None:
        self.broken = broken or {}  # user to what it hands back in place of vectors
        self.asked: list[tuple[str, str | None]] = []

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        raise NotImplementedError(requests)

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        self.asked.append((history.user, None if item is None else item.prompt))
        if history.user in self.broken:
            return self.broken[history.user]()
        told = float(len(history.liked))
        if item is None:
            return {"told": np.array([told, 1.0])}
        return {"looks": np.array([told, np.asarray(item.picture.load()).mean(), 0.0])}


def raising() -> Any:
    raise RuntimeError("no idea of this user")


@pytest.fixture
def plans() -> list[ProbePlan]:
    world = World()
    return probe_plans({u: world.history(u) for u in USERS}, {u: world.history(u, "scorer") for u in USERS})


def test_a_user_is_asked_once_and_read_back_with_verdicts(tmp_path: Path, plans: list[ProbePlan]) -> None:
    folder, method, steps = RunFolder(tmp_path), Knowing(), list[int]()
    result = collect_states(plans, method, folder, advance=steps.append, names=PlainNames())
    assert (result.users, result.collected, result.failed, steps) == (4, 4, {}, [1] * 4)
    assert method.asked.count(("ann", None)) == 2
    assert len(method.asked) == 3 * 2 + 4 * 2 * ITEMS_PER_SIDE, "a history with likes alone is not halved"
    again = collect_states(plans, method, folder, names=PlainNames())
    assert (again.collected, len(method.asked)) == (0, 3 * 2 + 4 * 2 * ITEMS_PER_SIDE)
    found = load_states(folder, World(), USERS)  # type: ignore[arg-type]
    ann, cem = found["ann"], found["cem"]
    assert ann.half_states["told"].tolist() == [[2.0, 1.0], [2.0, 1.0]]
    assert ann.half_states["told"].dtype == np.float32
    assert [j.liked for j in ann.judgments] == [True] * 4 + [False] * 4
    assert ann.item_states["looks"].tolist() == [[4.0, 100.0 + i, 0.0] for i in range(8)]
    shown = {picture.digest for half in ann.half_pictures for picture in half}
    assert shown == {level(i).digest for i in range(8)}
    assert (cem.half_states, cem.half_pictures) == ({}, ((), ()))
    assert cem.item_states["looks"][0].tolist() == [2.0, 140.0, 0.0]
    rows = list(RunFolder(tmp_path).representations().values())
    assert [(row.user, row.status) for row in rows] == [(user, "ok") for user in USERS]
    assert all(row.seconds >= 0 for row in rows)


def test_other_questions_are_asked_anew(tmp_path: Path, plans: list[ProbePlan]) -> None:
    folder, method = RunFolder(tmp_path), Knowing()
    collect_states(plans, method, folder, names=PlainNames())
    world = World()
    turned = {u: History(u, world.history(u).disliked, world.history(u).liked) for u in USERS}
    unseen = {u: world.history(u, "scorer") for u in USERS}
    assert collect_states(probe_plans(turned, unseen), method, folder, names=PlainNames()).collected == 4
    assert len(list((tmp_path / "representations").iterdir())) == 4, "in place of the old files"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (raising, "RuntimeError: no idea of this user"),
        (lambda: {"a": np.array([1.0, np.nan])}, "layer 'a' holds NaN"),
        (lambda: {"a": np.array([1e300])}, "layer 'a' holds NaN or infinite"),
        (lambda: {"a": np.zeros((1, 2))}, "layer 'a' has no vector"),
        (lambda: {"a": np.zeros(0)}, "layer 'a' has no vector"),
        (lambda: {"a": np.zeros(np.random.default_rng().integers(1, 1000))}, "no vector of one length"),
        (lambda: {str(np.random.default_rng().integers(10**9)): np.zeros(2)}, "represents one user by the layers"),
    ],
)
def test_what_fails_for_a_user_is_a_row_and_is_tried_again(
    made: Any, said: str, tmp_path: Path, plans: list[ProbePlan]
) -> None:
    folder, method = RunFolder(tmp_path), Knowing({"bob": made})
    result = collect_states(plans, method, folder, names=PlainNames())
    assert (result.collected, list(result.failed)) == (3, ["bob"])
    assert said in result.failed["bob"]
    assert set(load_states(folder, World(), USERS)) == {"ann", "cem", "dot"}  # type: ignore[arg-type]
    assert folder.representations()["bob"].error == result.failed["bob"]
    method.broken = {}
    assert collect_states(plans, method, folder, names=PlainNames()).collected == 1
    assert set(load_states(folder, World(), USERS)) == set(USERS)  # type: ignore[arg-type]


def test_damaged_files_are_named(tmp_path: Path, plans: list[ProbePlan]) -> None:
    folder = RunFolder(tmp_path)
    collect_states(plans, Knowing(), folder, names=PlainNames())
    path = next((tmp_path / "representations").iterdir())
    whole = path.read_bytes()

    def refused() -> str:
        with pytest.raises(PrefbenchError, match="is unusable") as caught:
            load_states(folder, World(), USERS)  # type: ignore[arg-type]
        return str(caught.value)

    def renamed() -> str:
        """The line for a file that its user's row names."""
        row = folder.representations()[users[path.stem]]
        folder.append_representation(replace(row, arrays=hashlib.sha256(path.read_bytes()).hexdigest()))
        return refused()

    users = {hashlib.sha256(user.encode()).hexdigest()[:24]: user for user in USERS}
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path} is unusable" in refused()
    with np.load(path.parent / sorted(p.name for p in path.parent.iterdir() if p != path)[0]) as other:
        arrays = dict(other)
    np.savez(path, **arrays)
    assert "it is not what its row names" in refused()
    assert "it is of user" in renamed()
    np.savez(path, **{**arrays, "answers 0": np.array([object()])})  # a pickle
    assert "answers 0.npy is no array" in renamed()
    path.write_bytes(whole)
    with np.load(path) as own:
        arrays = {**own, "asked": np.array(["f" * 64])}
    np.savez(path, **arrays)
    assert f"KeyError: '{'f' * 64}'" in renamed()


@pytest.mark.parametrize("lost", ["row", "file", "end of the file", "another user's file"])
def test_states_that_lost_their_row_or_their_file_are_collected_again(
    lost: str, tmp_path: Path, plans: list[ProbePlan]
) -> None:
    folder = RunFolder(tmp_path)
    collect_states(plans, Knowing(), folder, names=PlainNames())
    expected = {user: states.half_states.keys() for user, states in load_states(folder, World(), USERS).items()}  # type: ignore[arg-type]
    rows = tmp_path / "representations.jsonl"
    path = tmp_path / "representations" / f"{hashlib.sha256(USERS[-1].encode()).hexdigest()[:24]}.npz"
    other = next(one for one in path.parent.iterdir() if one != path)
    losses: dict[str, Callable[[], object]] = {
        "row": lambda: rows.write_bytes(rows.read_bytes()[:-40]),
        "file": path.unlink,
        "end of the file": lambda: path.write_bytes(path.read_bytes()[:-100]),
        "another user's file": lambda: path.write_bytes(other.read_bytes()),
    }
    losses[lost]()
    assert collect_states(plans, Knowing(), folder, names=PlainNames()).collected == 1
    assert {user: states.half_states.keys() for user, states in load_states(folder, World(), USERS).items()} == expected  # type: ignore[arg-type]
    assert [row.user for row in folder.representations().values()] == list(USERS)


class Likes(UserMetric):
    """How many likes the method remembers in its first half; none of `dot`."""

    card = MetricCard("likes", "1", "likes", "side", "up", "user", "count", asks_representations=True)

    def score(self, users: Sequence[str], evidence: Evidence) -> Mapping[str, Sequence[float | None]]:
        halves = {user: one.half_states for user, one in evidence.representations.items()}
        told = [float(halves[u]["told"][0, 0]) if halves.get(u) and u != "dot" else None for u in users]
        known = evidence.representations
        return {
            "likes": told,
            "likes/all": [float(known[u].item_states["looks"][0, 0]) if u in known else None for u in users],
        }


def run_of(folder: Path, name: str, *, represents: bool | None = True, extra: float = 0.0) -> RunFolder:
    """A drawn run of two samples a user."""
    spec: dict[str, Any] = {
        "suite": "world", "suite_parameters": {}, "suite_digest": World.digest, "split": "test", "method": name,
        "method_version": "1", "parameters": {}, "control": None, "backbone": "b", "backbone_digest": "b",
        "steps": 2, "guidance": 1.0,
        "dtype": "float32", "seed": 0, "samples_per_case": 2, "users": None, "batch": 4,
    }  # fmt: skip
    store = RunFolder(folder / name)
    kinds = dict(zip(USERS, ("one", "one", "two", "two"), strict=True))
    about = {"spec": spec, "method": {"name": name}, "kinds": kinds, "planned": 10}
    store.write_description(about if represents is None else {**about, "represents": represents})
    store.append_samples(
        Sample(f"{name}/{u}/{i}", u, f"{u}/0", "p", i, 0, "ok", store.put_image(level(i).load()))
        for u in USERS
        for i in range(2)
    )
    header = {"metric": "utility@1", "direction": "up", "question": "preference", "unit": "image", "won_by": []}
    rows = [{"key": f"{name}/{u}/{i}", "column": "utility", "value": extra + i} for u in USERS for i in range(2)]
    material = Material(store, World(), "test")  # type: ignore[arg-type]
    store.write_scores("utility", {**header, "samples": material.digest}, rows)
    return store


def score(store: RunFolder) -> Any:
    evaluator = Evaluator(World(), [f"{HERE}:Likes"])  # type: ignore[arg-type]
    return evaluator.score(Material(store, World(), "test"))  # type: ignore[arg-type]


def test_scores_are_of_users_with_those_missing_counted(tmp_path: Path, plans: list[ProbePlan]) -> None:
    store = run_of(tmp_path, "knowing")
    assert score(store).refused == {"likes": "no representations were kept; run again with --metrics likes"}
    collect_states(plans, Knowing(), store, names=PlainNames())
    assert score(store).computed == ["likes"]
    assert score(store).computed == []
    rows = {(row.metric, row.kind): row for row in summarise(ScoredFolder.open(store.path))}
    likes = rows["likes", "all"]
    assert (likes.value, likes.n_users, likes.n_samples, likes.missing) == (2.0, 2, 2, 2)
    assert (rows["likes/all", "two"].value, rows["likes/all", "two"].n_users) == (3.0, 2)
    assert rows["utility", "all"].missing == 2, "two samples are not drawn yet, which takes no user away"
    run = ScoredFolder.open(store.path)
    store_summary(run)
    table = pandas.read_parquet(store.path / "samples.parquet")
    assert "utility" in table.columns
    assert "likes" not in table.columns, "its rows are samples"
    shown = to_text(run_grid(compare([run]), "knowing"))
    assert "2 users" in next(line for line in shown.splitlines() if line.strip().startswith("likes ↑"))
    assert "4 × 1 × 2 = 8" in next(line for line in shown.splitlines() if line.strip().startswith("utility ↑"))


def test_scores_follow_what_is_kept(tmp_path: Path, plans: list[ProbePlan]) -> None:
    store, lost = run_of(tmp_path, "knowing"), Knowing({"bob": raising})
    collect_states(plans, lost, store, names=PlainNames())
    score(store)
    (row,) = [row for row in summarise(ScoredFolder.open(store.path)) if (row.metric, row.kind) == ("likes", "all")]
    assert (row.n_users, row.missing) == (1, 3)
    lost.broken = {}
    collect_states(plans, lost, store, names=PlainNames())
    assert score(store).computed == ["likes"]


def test_a_method_without_representations_is_no_fault_of_the_run(tmp_path: Path) -> None:
    scoring = score(run_of(tmp_path, "plain", represents=False))
    assert (scoring.computed, scoring.refused) == ([], {})
    assert scoring.idle == {"likes": "the method has no representations"}
    older = score(run_of(tmp_path, "older", represents=None))
    assert set(older.refused) == {"likes"}, "a folder that does not say may have lost them"


def columns_of(run: ScoredFolder) -> Scores:
    return run.columns()["likes"].scores


@pytest.mark.slow
def test_methods_are_compared_user_by_user(tmp_path: Path, plans: list[ProbePlan]) -> None:
    class Twice(Knowing):
        def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
            found = super().represent(history, item)
            more = 1 + USERS.index(history.user) / 10
            return {layer: vector * more for layer, vector in found.items()}

    runs = []
    for name, method in (("first", Knowing()), ("second", Twice())):
        store = run_of(tmp_path, name)
        collect_states(plans, method, store, names=PlainNames())
        score(store)
        store_summary(ScoredFolder.open(store.path))
        runs.append(ScoredFolder.open(store.path))
    plain = run_of(tmp_path, "prompt-only", represents=False)
    store_summary(ScoredFolder.open(plain.path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = contrast(runs, lambda: None, baseline="first", metrics=["likes", "likes/all"])
    row, of_all = found.rows
    table = Table.of(columns_of(runs[0]).users, columns_of(runs[0]).prompts, [columns_of(runs[0]).values])
    assert (table.n_prompts, table.shared.tolist()) == (0, []), "users alone share no prompt that could be left out"
    assert of_all.difference.value == pytest.approx(np.mean([0.0, 0.4, 0.4, 1.2]))
    assert (of_all.difference.n_users, of_all.turns) == (4, ())
    columns = [columns_of(run) for run in (runs[1], runs[0])]
    assert row.difference == paired_difference(*columns).estimate
    assert row.difference.value == pytest.approx(np.mean([0.0, 0.2]))
    assert (row.difference.n_users, row.difference.n_prompts, row.difference.missing) == (2, 0, 2)
    with_frame = compare([*runs, ScoredFolder.open(plain.path)])
    cells = {line.split()[0]: line for line in to_text(runs_grid(with_frame)).splitlines() if line.split()}
    assert "(not scored)" in cells["prompt-only"]
    by_metric = {(row["label"], row["metric"]): row for row in as_json(with_frame.rows) if row["kind"] == "all"}
    assert by_metric["first", "likes"]["difference"] is None
    assert by_metric["first", "utility"]["difference"] == 0.0


METHOD = """
import numpy as np
from PIL import Image
from prefbench.api import Drawing, Method, MethodCard

class Gray(Method):
    card = MethodCard(name="gray", version="1", summary="levels of gray")

    def generate(self, requests):
        return [Drawing(Image.new("RGB", (32, 32), (r.seed % 256,) * 3), r.prompt) for r in requests]

class Knows(Gray):
    def represent(self, history, item=None):
        if any(j.picture.digest == UNKNOWN for j in history.liked):
            raise ValueError("nothing comes to mind")
        mean = np.mean([np.asarray(j.picture.load()) for j in history.liked], axis=(0, 1, 2))
        return {"colour": mean if item is None else mean * np.asarray(item.picture.load()).mean((0, 1))}
"""


@pytest.mark.slow
def test_the_command_keeps_them_where_a_metric_asks(tmp_path: Path, tiny_sd: Path) -> None:
    unknown = Picturebook().history("test-0001").liked[0].picture.digest
    (tmp_path / "mine.py").write_text(f'UNKNOWN = "{unknown}"\n' + METHOD)

    def invoke(name: str, *more: str, metrics: str = "utility,probing") -> Result:
        options = ["--users", "24", "--samples", "1", "--backbone", tiny_sd, "--device", "cpu", "--metrics", metrics]
        words = ["run", "--method", f"{tmp_path / 'mine.py'}:{name}", *options, "--out", tmp_path / "runs", *more]
        return CliRunner().invoke(main, [str(word) for word in words])

    plain = invoke("Gray")
    assert plain.exit_code == 0, plain.output
    assert "represented" not in plain.output
    assert "no probing: the method has no representations" in plain.output
    unasked = invoke("Knows", metrics="utility")
    assert unasked.exit_code == 0, unasked.output
    assert not list((tmp_path / "runs").glob("*/representations*"))
    failed = invoke("Knows")
    assert failed.exit_code == 1
    assert "drew 0 of 120 samples" in failed.output
    assert "represented 23 of 24 users in" in failed.output
    assert "1 x ValueError: nothing comes to mind" in failed.output
    allowed = invoke("Knows", "--allow-failures", "0.1", "--json")
    assert allowed.exit_code == 0, allowed.output
    assert "represented 0 of 24 users in" in allowed.stderr
    assert "23 were there already, 1 failed" in allowed.stderr
    rows = {row["metric"]: row for row in json.loads(allowed.stdout) if row["kind"] == "all"}
    assert (rows["probing"]["n_users"], rows["probing"]["missing"]) == (23, 1)
    assert 0 <= rows["probing"]["low"] <= rows["probing"]["value"] <= rows["probing"]["high"] <= 1
    (path,) = {found.parent for found in (tmp_path / "runs").glob("*/representations")}
    before = (path / "scores" / "probing.jsonl").read_text()
    for stored in (path / "scores").iterdir():
        stored.unlink()
    scored = CliRunner().invoke(main, ["score", str(path), "--metrics", "probing"])
    assert scored.exit_code == 0, scored.output
    assert (path / "scores" / "probing.jsonl").read_text() == before, "from the files alone"
