"""Drawing with a real backbone: cut batches, batch sizes, and what stands in keys and seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prefbench.api import PrefbenchError
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
    for row in map(json.loads, lines[5:]):
        cut.folder.image_path(row["image"]).unlink()
    path.write_text("".join(lines[:5]))
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


def test_a_run_that_was_begun_with_another_batch_size_says_so(tiny_sd: Path, tmp_path: Path) -> None:
    execute(prepare(settings(tiny_sd, tmp_path, users=1)))
    with pytest.raises(PrefbenchError, match="was begun with --batch 8: give the same one, or another --out"):
        execute(prepare(settings(tiny_sd, tmp_path, users=1, batch=4)))


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
