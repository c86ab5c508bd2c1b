"""Extractors over transformers encoders, on the real class with random weights in the real layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.functional import normalize, resize, to_tensor
from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

from prefbench.api import PrefbenchError
from prefbench.models.extractors.dinov2 import dinov2_large, mini_dino
from prefbench.suites.picturebook.data.corpus import CorpusRecipe, load_corpus
from prefbench.suites.picturebook.miniatures.mini_dino import build_mini_dino, save_mini_dino
from prefbench.suites.picturebook.users.population import population
from prefbench.suites.picturebook.users.worlds import SECOND
from tests.support.tiny_scorers import hub_folder


def pictures(n: int, side: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_the_miniature_is_the_class_token_behind_the_last_norm(tmp_path: Path) -> None:
    encoder = build_mini_dino(3).half().float().eval()
    save_mini_dino(encoder, tmp_path)
    shown = pictures(5)
    pixels = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = encoder.float()(pixel_values=pixels).last_hidden_state[:, 0]
    found = mini_dino(tmp_path)
    np.testing.assert_allclose(found.images(list(shown)), expected, atol=1e-4)
    assert found.id.startswith("mini-dino[pooled]@")


def test_dinov2_is_found_in_the_hub_cache_and_resizes_as_its_processor_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(PrefbenchError, match="no local copy of facebook/dinov2-large; get it with: hf download"):
        dinov2_large()
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    model = Dinov2Model(Dinov2Config(**sizes)).eval()
    folder = hub_folder(tmp_path / "hub", "facebook/dinov2-large")
    model.save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)
    shown = pictures(3, side=64)
    processor = BitImageProcessor.from_pretrained(folder)
    rows = []
    for picture in shown:
        edge = resize(Image.fromarray(picture), [32], interpolation=3)
        cut = edge.crop((2, 2, 30, 30))
        pixels = normalize(to_tensor(cut), processor.image_mean, processor.image_std)
        with torch.no_grad():
            rows.append(model(pixel_values=pixels[None]).last_hidden_state[0, 0].numpy())
    np.testing.assert_allclose(dinov2_large().images(list(shown)), np.stack(rows), atol=1e-4)


def test_what_is_wrong_with_an_encoder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="prefbench train mini-dino --install"):
        mini_dino(tmp_path)
    save_mini_dino(build_mini_dino(), tmp_path)
    with pytest.raises(PrefbenchError, match="'mini-dino' has no text tower; 2 texts"):
        mini_dino(tmp_path).texts(["a", "b"])
    with pytest.raises(PrefbenchError, match="uint8 pictures"):
        mini_dino(tmp_path).images([np.zeros((32, 32, 3), np.float32)])
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(PrefbenchError, match="cannot be loaded"):
        mini_dino(tmp_path)


@pytest.mark.slow
def test_it_learns_from_what_scorer_users_judged() -> None:
    """Scenes in the order of the users, over again, each time drawn from another seed."""
    scenes = [
        shown.scene.indices
        for user in population("scorer")
        for part in ("method", "scorer")
        for side in (user.judged(part).liked, user.judged(part).disliked)
        for shown in side
    ]
    corpus = load_corpus(CorpusRecipe("judged", 40, seed=77))
    assert [tuple(row) for row in corpus.scenes.tolist()] == scenes[:40]
    again = load_corpus(CorpusRecipe("judged", 40, seed=78))
    assert (again.scenes == corpus.scenes).all()
    assert (again.pictures != corpus.pictures).any(axis=(1, 2, 3)).all()


@pytest.mark.slow
def test_what_users_of_the_second_world_judged_keeps_its_defects() -> None:
    """Drawn from another seed, as often spoilt as it was; the first world's recipes are called what they were."""
    histories = [user.judged(part) for user in population("scorer", SECOND)[:8] for part in ("method", "scorer")]
    judged = [entry for one in histories for entry in (*one.liked, *one.disliked)][:120]
    recipe = CorpusRecipe("judged", 120, seed=77, users="2")
    corpus = load_corpus(recipe)
    assert [tuple(row) for row in corpus.scenes.tolist()] == [entry.scene.indices for entry in judged]
    rng = np.random.default_rng([77, 0])
    again = [replace(entry, seed=int(rng.integers(2**31))).pixels for entry in judged]
    np.testing.assert_array_equal(corpus.pictures, np.stack(again))
    assert sum(any(entry.defects) for entry in judged) > 10
    assert recipe.digest != replace(recipe, users="1").digest == CorpusRecipe("judged", 120, seed=77).digest
    assert CorpusRecipe("judged", 129_600, seed=6).digest == "558a93048a21a54c"
