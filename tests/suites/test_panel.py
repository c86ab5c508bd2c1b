"""The instrument of several readers and views: what it averages, what it stores, and that training hardens it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from prefbench.api import PrefbenchError
from prefbench.suites.picturebook import truth as truth_module
from prefbench.suites.picturebook.data.corpus import Corpus, CorpusRecipe, load_corpus
from prefbench.suites.picturebook.reader import robust
from prefbench.suites.picturebook.reader.networks import Reader
from prefbench.suites.picturebook.reader.panel import Panel, moved
from prefbench.suites.picturebook.reader.reader import load_reader, save_reader
from prefbench.suites.picturebook.reader.reading import to_tensor
from prefbench.suites.picturebook.reader.robust import RobustReadingTask, robust_batches
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.world.axes import AXES
from prefbench.suites.picturebook.world.defects import DEFECTS
from prefbench.training.loop import Batch

VIEWS = ((0, 0), (1, -1))


def reader(network: str = "fine", seed: int = 0) -> Reader:
    torch.manual_seed(seed)
    return Reader(network).half().float().eval()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(CorpusRecipe("uniform", 64, seed=9))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel([reader("fine"), reader("coarse", 1)], views=VIEWS)


# -------------------------------------------------------------------------------------------------------- reading


def test_a_reading_is_the_mean_over_readers_and_views(panel: Panel, corpus: Corpus) -> None:
    """By rolling and by hand, in pictures whose edges are all alike."""
    pictures = corpus.pictures[:5].copy()
    pictures[:, :2], pictures[:, -2:], pictures[:, :, :2], pictures[:, :, -2:] = 90, 90, 90, 90
    read = panel.read(pictures)
    views = [pictures, np.roll(pictures, (1, -1), axis=(1, 2))]
    with torch.inference_mode():
        logits = [r(to_tensor(view)) for r in panel.readers for view in views]
    for a, axis in enumerate(panel.axes):
        expected = np.mean([z[a].double().softmax(1).numpy() for z in logits], axis=0)
        np.testing.assert_allclose(read[axis.name], expected, atol=1e-6)


def test_moved_pictures_repeat_their_edges(corpus: Corpus) -> None:
    pictures = to_tensor(corpus.pictures[:2])
    down = moved(pictures, (1, 0))
    assert torch.equal(down[:, :, 1:], pictures[:, :, :-1])
    assert torch.equal(down[:, :, 0], pictures[:, :, 0])
    right = moved(pictures, (0, -1))
    assert torch.equal(right[..., :-1], pictures[..., 1:])
    assert moved(pictures, (0, 0)) is pictures


def test_defects_are_read_by_readers_that_learned_them(panel: Panel, corpus: Corpus) -> None:
    assert list(panel.read(corpus.pictures[:3])) == [axis.name for axis in (*AXES, *DEFECTS)]
    assert list(Panel([reader("plain")]).read(corpus.pictures[:3])) == [axis.name for axis in AXES]


def test_disagreement_is_the_total_variation_between_readers(panel: Panel, corpus: Corpus) -> None:
    pictures = corpus.pictures[:4]
    one, other = (Panel([r], views=VIEWS).read(pictures) for r in panel.readers)  # type: ignore[list-item]
    expected = np.mean([np.abs(one[axis.name] - other[axis.name]).sum(1) / 2 for axis in AXES], axis=0)
    np.testing.assert_allclose(panel.disagreement(pictures), expected, atol=1e-9)
    assert (Panel([reader()]).disagreement(pictures) == 0).all()
    assert Panel([reader(), reader()]).disagreement(pictures) == pytest.approx(0)


def test_readers_are_saved_and_loaded_with_their_views(tmp_path: Path, panel: Panel, corpus: Corpus) -> None:
    save_reader(panel, tmp_path)
    loaded = load_reader(tmp_path)
    assert loaded.views == VIEWS
    for name, values in panel.read(corpus.pictures[:4]).items():
        np.testing.assert_array_equal(values, loaded.read(corpus.pictures[:4])[name])
    sizes = [path.stat().st_size for path in tmp_path.glob("*.safetensors")]
    assert len(sizes) == 2
    assert max(sizes) < 1.4e6


@pytest.mark.parametrize("config", ['{"networks": ["fine", "finer"], "views": [[0, 0]]}', "{}", "["])
def test_a_damaged_description_of_readers_is_named(config: str, tmp_path: Path, panel: Panel) -> None:
    save_reader(panel, tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(PrefbenchError, match=r"config\.json does not describe readers"):
        load_reader(tmp_path)


def test_of_several_readers_the_truth_tells_how_far_they_disagree(
    tmp_path: Path, panel: Panel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_reader(Panel([reader("plain")]), tmp_path / "one")
    monkeypatch.setattr(truth_module, "READER", tmp_path / "one")
    shipped = Picturebook().truth.id
    assert "disagreement" not in Picturebook().truth.groups
    save_reader(panel, tmp_path)
    monkeypatch.setattr(truth_module, "READER", tmp_path)
    truth = Picturebook().truth
    assert truth.groups[-1] == "disagreement"
    assert truth.id != shipped
    read = truth.utility("test-0000", ["a cat at sea"] * 3, list(corpus.pictures[:3]))
    np.testing.assert_allclose(read["disagreement"], panel.disagreement(corpus.pictures[:3]), atol=1e-9)
    (tmp_path / "config.json").write_text(json.dumps({"networks": ["fine", "coarse"], "views": [[0, 0]]}))
    assert Picturebook().truth.id != truth.id, "the views count"


# ------------------------------------------------------------------------------------------------------- training


def test_training_pictures_have_the_defects_and_the_noise_that_they_are_said_to_have(corpus: Corpus) -> None:
    batch = robust_batches(corpus)(np.random.default_rng(0), 200)
    spoiled = (batch["defects"] > 0).any(1).float().mean()
    assert 0.4 < spoiled < 0.6
    assert batch["size"].max() <= robust.LEVELS / 127.5
    assert 0.3 < (batch["size"] == 0).float().mean() < 0.5
    assert batch["attacked"].sum(1).min() >= 1
    assert batch["pictures"].shape == (200, 3, 32, 32)
    again = robust_batches(corpus)(np.random.default_rng(0), 200)
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_the_attack_of_training_raises_the_loss_and_stays_within_its_size(corpus: Corpus) -> None:
    task = RobustReadingTask(reader(), images=100).eval()
    batch = robust_batches(corpus)(np.random.default_rng(1), 16)
    noisy = task.attack(batch, batch["size"], steps=2)
    assert ((noisy - batch["pictures"].clamp(-1, 1)).abs() <= batch["size"] + 1e-5).all()

    def misread(pictures: Tensor) -> float:
        with torch.inference_mode():
            logits = task.network(pictures)
        losses = [torch.nn.functional.cross_entropy(z, batch["scenes"][:, a]) for a, z in enumerate(logits[:11])]
        return float(torch.stack(losses).sum())

    assert misread(noisy) > misread((batch["pictures"] + batch["start"] * batch["size"]).clamp(-1, 1))


def test_the_noise_of_training_grows_and_is_resumed_where_it_was(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = RobustReadingTask(reader(), images=64)
    batch = robust_batches(corpus)(np.random.default_rng(1), 16)
    sizes: list[float] = []

    def noted(batch: Batch, size: Tensor, *, steps: int) -> Tensor:
        sizes.append(float(size.max()))
        assert steps == 1
        return batch["pictures"]

    monkeypatch.setattr(task, "attack", noted)
    for _ in range(3):
        task(batch).backward()
    assert sizes[0] == 0 < sizes[1] == pytest.approx(float(batch["size"].max()))
    assert int(task.state_dict()["seen"]) == 48


def test_noise_is_no_defect_to_learn_where_the_attack_is_visible() -> None:
    logits = tuple(torch.zeros(2, 3) for _ in DEFECTS)
    levels = torch.zeros(2, len(DEFECTS), dtype=torch.long)
    faint, strong = (robust._defect_loss(logits, levels, torch.full((2,), size)) for size in (0.0, 0.1))
    assert float(faint / strong) == pytest.approx(4 / 3)
