"""Actors of a Ray cluster of two local nodes draw one run: the rows and images of one process, though some end."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prefbench
from prefbench.api import PrefbenchError
from prefbench.calls import Run
from prefbench.engines.ray_workers import Ray
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from tests.support.marked_runs import METHODS, SAMPLES, marked, rows

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed: pip install 'prefbench[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with room for one worker each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_worker_niceness", "0")  # its own gives way to all else on the machine
        try:
            cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
            cluster.second = cluster.add_node(num_cpus=1)
        except Exception as error:  # what Ray needs of a machine, such as ports and shared memory, is Ray's affair
            pytest.skip(f"no local Ray cluster starts here ({type(error).__name__}: {error})")
        yield cluster
        cluster.shutdown()


def once(condition: Callable[[], bool], then: Callable[[], object]) -> threading.Thread:
    """Does something as soon as it is time."""

    def wait() -> None:
        while not condition():
            time.sleep(0.05)
        then()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_actors_draw_what_one_process_draws_though_one_is_killed(
    cluster: Any, alone: Path, choices: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = sorted(RunFolder(alone).samples().values(), key=lambda one: (one.user, one.index))
    at = marked(tmp_path / "marks", end="kill", at=str(samples[7].seed), times=1)
    run = prefbench.run(f"{METHODS}:Odd", devices="cpu:2", ray=Ray(cluster.address), out=tmp_path, **choices, **at)
    assert rows(run.path) == rows(alone)
    assert len(RunFolder(run.path).finished()) == SAMPLES
    assert "is replaced: " in caplog.text
    assert len(list((tmp_path / "marks").glob("end-*"))) == 1
    assert len(RunFolder(run.path).profiles()) == len(list((tmp_path / "marks").glob("profile-*"))) == 3


def test_an_actor_scores_what_one_process_scores(
    cluster: Any, scored: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(scored.path, tmp_path / scored.path.name)
    shutil.rmtree(copy / "scores")
    one = scored.samples().set_index("key")["utility"]

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("this process scores images itself")

    monkeypatch.setattr(Evaluator, "image_rows", refused)
    by_actor = prefbench.score(copy, "utility", devices="cpu:1", ray=Ray(cluster.address)).samples().set_index("key")
    assert by_actor["utility"].to_dict() == pytest.approx(one.to_dict(), rel=1e-5)


def test_a_node_is_lost_and_what_it_drew_is_handed_over(
    cluster: Any, alone: Path, choices: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images travel to this process, and the worker of the lost node finds no room any more."""
    written: list[str] = []
    put_encoded = RunFolder.put_encoded

    def noted(folder: RunFolder, digest: str, png: bytes) -> None:
        written.append(digest)
        put_encoded(folder, digest, png)

    monkeypatch.setattr(RunFolder, "put_encoded", noted)
    marks = tmp_path / "marks"
    at = marked(marks, seconds=1.0)
    once(lambda: len(list(marks.glob("batch-*"))) > 1, lambda: cluster.remove_node(cluster.second))
    ray = Ray(cluster.address, collect=True)
    run = prefbench.run(f"{METHODS}:Odd", devices="cpu:2", ray=ray, out=tmp_path, **choices, **at)
    assert rows(run.path) == rows(alone)
    assert len(RunFolder(run.path).finished()) == SAMPLES
    assert {one.image for one in RunFolder(run.path).samples().values()} == set(written)
    assert [node["Alive"] for node in _nodes(cluster)].count(False) == 1


def _nodes(cluster: Any) -> list[dict[str, Any]]:
    ray = pytest.importorskip("ray")
    ray.init(address=cluster.address, log_to_driver=False)
    nodes: list[dict[str, Any]] = ray.nodes()
    ray.shutdown()
    return nodes


def test_what_a_cluster_cannot_give_is_one_line(cluster: Any, choices: dict[str, Any], tmp_path: Path) -> None:
    choices = {**choices, "out": tmp_path}
    for devices, line in (
        (None, "has no room for a worker of 1 GPU; on the CPU ask for cpu:2"),
        ("cuda:0,cuda:1", "Ray chooses the devices itself: give --devices 8, cpu:8 or all"),
    ):
        with pytest.raises(PrefbenchError, match=line):
            prefbench.run(f"{METHODS}:Odd", devices=devices, ray=Ray(cluster.address), **choices)
    for share in (1.5, "x", None, True):
        with pytest.raises(PrefbenchError, match="share of 1, or a whole number"):
            Ray(gpus_per_worker=share)  # type: ignore[arg-type]
    with pytest.raises(PrefbenchError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        prefbench.run(f"{METHODS}:Odd", devices="cpu:2", ray=Ray("127.0.0.1:1"), **choices)
