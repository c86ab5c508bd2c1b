"""Drawing with a real backbone: cut batches, batch sizes, and what stands in keys and seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prefbench.api import PrefbenchError
from prefbench.api.reports import Bar
from prefbench.models.backbones.batches import usual_batch
from prefbench.run.execute import execute
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import Settings, prepare


def digests(folder: RunFolder) -> dict[str, str | None]:
    return {key: sample.image for key, sample in folder.samples().items()}


def settings(tiny_sd: Path, out: Path, **changes: object) -> Settings:
    usual = {"method": "prompt-only", "backbone": str(tiny_sd), "device": "cpu", "steps": 2, "users": 2, "batch": 8}
    return Settings(out=out, **(usual | changes))  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_cut_batch_of_a_real_backbone_ends_with_the_same_images(tiny_sd: Path, tmp_path: Path) -> None:
    reference = prepare(settings(tiny_sd, tmp_path / "whole"))
    execute(reference)
    cut = prepare(settings(tiny_sd, tmp_path / "cut"))
    execute(cut)
    path = cut.folder.path / "samples" / "0.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    head, rows = lines[:1], lines[1:]
    for row in map(json.loads, rows[5:]):
        cut.folder.image_path(row["image"]).unlink()
    path.write_text("".join(head + rows[:5]))
    assert execute(prepare(settings(tiny_sd, tmp_path / "cut"))).drawn == 15
    assert digests(cut.folder) == digests(reference.folder)


@pytest.mark.slow
def test_another_batch_size_moves_pixels_by_rounding_only(tiny_sd: Path, tmp_path: Path) -> None:
    one, eight = (prepare(settings(tiny_sd, tmp_path / str(batch), batch=batch, steps=6)) for batch in (1, 8))
    for prepared in (one, eight):
        execute(prepared)
    alone, together = digests(one.folder), digests(eight.folder)
    assert set(alone) == set(together)
    for key in alone:
        pair = [
            np.asarray(f.image(d[key] or ""), dtype=float) for f, d in ((one.folder, alone), (eight.folder, together))
        ]
        assert np.abs(pair[0] - pair[1]).mean() < 1


@pytest.mark.slow
def test_a_run_goes_on_in_other_batches_and_records_them(tiny_sd: Path, tmp_path: Path) -> None:
    undisturbed = prepare(settings(tiny_sd, tmp_path / "whole"))
    execute(undisturbed)
    begun = prepare(settings(tiny_sd, tmp_path / "parts"))
    execute(replace(begun, plan=begun.plan[:1]))
    assert execute(prepare(settings(tiny_sd, tmp_path / "parts", batch=5))).drawn == 12
    own, whole = digests(begun.folder), digests(undisturbed.folder)
    assert set(own) == set(whole)
    for key in own:
        pair = [np.asarray(f.image(d[key] or ""), int) for f, d in ((begun.folder, own), (undisturbed.folder, whole))]
        assert np.abs(pair[0] - pair[1]).max() <= 1
    assert [row.batch for row in begun.folder.starts()] == [8, 5]
    assert begun.folder.read_description()["spec"]["batch"] == 8


def telling(advance: Callable[[int], object]) -> Bar:
    """A bar for the drawing alone."""

    @contextmanager
    def bar(stage: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
        assert (stage, unit) == ("draw", "img")
        assert total >= 10
        yield advance

    return bar


@pytest.mark.slow
def test_progress_moves_within_a_batch_and_adds_up(tiny_sd: Path, tmp_path: Path) -> None:
    steps_told: list[int] = []
    execute(prepare(settings(tiny_sd, tmp_path, steps=8)), bar=telling(steps_told.append))
    # Two batches of 8 and one of 4 in 8 steps: a picture a step, the last one when its batch is there.
    assert steps_told == [1] * 20


@pytest.mark.slow
def test_progress_of_a_method_that_draws_several_and_keeps_one_never_overtakes(tiny_sd: Path, tmp_path: Path) -> None:
    steps_told: list[int] = []
    prepared = prepare(settings(tiny_sd, tmp_path, method="best-of-n", parameters={"n": 2}, users=1, batch=5))
    execute(prepared, bar=telling(lambda more: steps_told.append(sum(steps_told[-1:]) + more)))
    assert steps_told[-1] == 10
    # The first batch is taken for that of a method that draws once; its last picture waits for its end.
    assert steps_told[:2] == [2, 4]
    assert steps_told == sorted(set(steps_told))


def test_the_batch_is_chosen_by_device_and_size_of_the_pictures() -> None:
    batches = [usual_batch(torch.device(name), side) for name in ("cpu", "cuda") for side in (32, 512, 1024)]
    assert batches == [8, 1, 1, 100, 16, 4]


def test_a_run_without_a_batch_takes_that_of_its_device(tiny_sd: Path, tmp_path: Path) -> None:
    prepared = prepare(settings(tiny_sd, tmp_path, batch=None))
    assert prepared.spec.batch == usual_batch(torch.device("cpu"), prepared.backbone.card.resolution)
    assert prepared.folder.path == prepare(settings(tiny_sd, tmp_path)).folder.path


def test_methods_start_from_the_same_noise(tiny_sd: Path, tmp_path: Path) -> None:
    plans = [prepare(settings(tiny_sd, tmp_path, method=name)).plan for name in ("prompt-only", "truth")]
    seeds, keys = (
        [[getattr(p, field) for batch in plan for p in batch] for plan in plans] for field in ("seed", "key")
    )
    assert seeds[0] == seeds[1]
    assert set(keys[0]).isdisjoint(keys[1])


def test_the_folder_of_a_file_is_in_no_key(tiny_sd: Path, tmp_path: Path) -> None:
    text = (
        "from prefbench.api import Method, MethodCard\n"
        "class Mine(Method):\n"
        "    card = MethodCard(name='mine', version='1', summary='mine')\n"
        "    def generate(self, requests):\n"
        "        return []\n"
    )
    keys = []
    for name, content in (("a", text), ("b", text), ("c", text + "# edited\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(content)
        prepared = prepare(settings(tiny_sd, tmp_path, method=f"{tmp_path / name / 'mine.py'}:Mine"))
        keys.append(prepared.plan[0][0].key)
    assert keys[0] == keys[1] != keys[2]


def test_what_is_no_method_is_refused(tiny_sd: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def mine(histories):\n    return histories\n")
    with pytest.raises(PrefbenchError, match=r"is no class derived from prefbench\.api\.Method"):
        prepare(settings(tiny_sd, tmp_path, method=f"{tmp_path / 'mine.py'}:mine"))
