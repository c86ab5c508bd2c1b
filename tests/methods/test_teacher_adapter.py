"""`teacher-adapter`: two matrices read the history where `ours` has a language model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.api import Case, Context, PrefbenchError, Request
from prefbench.check import check_method
from prefbench.methods import teacher_adapter_training as training
from prefbench.methods.ours.fusion import Fusion
from prefbench.methods.ours.train import injection_recipe
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.weights import CONFIG
from prefbench.methods.shared.questions import Examples, likes_question
from prefbench.methods.shared.taste_reader import FILE, LAYERS, TasteReader
from prefbench.methods.teacher_adapter import TeacherAdapter
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.conversation import ask
from prefbench.training.requests import TrainRequest
from tests.support import tiny_suite
from tests.support.tiny import save_tiny_sd15
from tests.support.tiny_suite import history, judged, save_tiny_tower, train_user

pytestmark = pytest.mark.slow
"""The matrices and an adapter are trained, on tiny models."""

SUITE = f"{tiny_suite.__file__}:TinySuite"
STEPS = 64


class ColourEyes:
    """See nothing but the mean colour."""

    width, digest = 3, "colours"

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        return torch.stack([torch.from_numpy(np.asarray(i.convert("RGB"), np.float32).mean((0, 1))) for i in images])


@pytest.fixture(scope="module")
def eyes() -> Any:
    return ColourEyes()


@pytest.fixture(scope="module")
def reader(eyes: Any) -> TasteReader:
    users = [train_user(i) for i in range(6)]
    return TasteReader.learn(users, JudgedImages(users), eyes, steps=150)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, idefics2: Path) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {
        "backbone": str(save_tiny_sd15(root / "sd15")),
        "image_tower": str(save_tiny_tower(root / "tower")),
        "mllm": str(idefics2),
    }


def trained(folder: Path, models: dict[str, str], **changes: Any) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TasteReader, "learn", partial(TasteReader.learn, steps=20))
        card = training.train(TrainRequest(folder, STEPS), **{"suite": SUITE, **models, **changes})
    assert card is not None
    return card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]) -> Path:
    """Of an adapter that was trained on likes."""
    found = tmp_path_factory.mktemp("trained")
    trained(found, models)
    return found


def method_of(folder: Path, models: dict[str, str], **options: Any) -> TeacherAdapter:
    method = TeacherAdapter(weights=str(folder / "final"), **options)
    method.setup(Context(load_backbone(models["backbone"], device="cpu", steps=2)))
    return method


def drawn(method: TeacherAdapter, users: int = 2) -> list[Any]:
    profiles = [method.profile(history(f"test-{i}", i, 3)) for i in range(users)]
    requests = [Request(Case(f"c{i}", p.user, tiny_suite.PROMPTS[0]), 0, 7, p) for i, p in enumerate(profiles)]
    return list(method.generate(requests))


def test_it_conforms(folder: Path, models: dict[str, str]) -> None:
    weights = f"weights={folder / 'final'}"
    findings = check_method("teacher-adapter", [weights], backbone=models["backbone"], suite=SUITE)
    assert [finding for finding in findings if not finding.passed] == []


def test_the_matrices_know_what_a_new_user_likes_and_see_what_is_shown_alone(reader: TasteReader) -> None:
    told = [Examples.of(history(f"new-{i}", i, 3)) for i in range(2)]
    pictures = [judged(colour, 900 + i, liked=True).picture.load() for colour in ("red", "blue") for i in range(4)]
    for i, examples in enumerate(told):
        likes = reader.likes(reader.user(examples), pictures)
        red, blue = likes[:4], likes[4:]
        assert (red.min() > blue.max()) if i == 1 else (blue.min() > red.max()), "user 1 likes red, user 0 blue"
    exchanged = Examples(told[0].disliked, told[0].liked)
    torch.testing.assert_close(reader.user(exchanged), -reader.user(told[0]))
    states = reader.states([likes_question(one) for one in told])
    assert states.last.shape == (2, 1, reader.width)
    sem, core = LAYERS.of(states)
    torch.testing.assert_close(sem, torch.stack([reader.user(one) for one in told]))
    torch.testing.assert_close(sem, core)
    with pytest.raises(ValueError, match="shows no history"):
        reader.states([[ask("what does the user like")]])


def test_what_is_stored_is_what_is_read(reader: TasteReader, eyes: Any, tmp_path: Path) -> None:
    reader.save(tmp_path)
    again, examples = TasteReader.load(tmp_path, eyes), Examples.of(history("new", 1, 3))
    torch.testing.assert_close(again.user(examples), reader.user(examples))
    assert again.digest == reader.digest
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(PrefbenchError, match=r"holds no preference model .*; run prefbench train teacher-adapter"):
        TasteReader.load(tmp_path, eyes)


def test_first_tokens_are_as_large_as_the_recipe_says(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[tuple[float, bool]] = []
    monkeypatch.setattr(Fusion, "shrink", lambda _, factor, *, sem: factors.append((factor, sem)))
    for name, aligned_first in (("aligned", 64), ("not aligned", 0)):
        changed = replace(injection_recipe.FULL, initial_scale=0.125, aligned_first=aligned_first)
        monkeypatch.setattr(injection_recipe, "FULL", changed)
        assert trained(tmp_path / name, models)["recipe"]["initial_scale"] == 0.125
    assert factors == [(0.125, False), (0.125, True)], "an alignment gives the tokens of e_sem their size"


def test_it_trains_and_draws_every_user_other_pictures(folder: Path, models: dict[str, str], tmp_path: Path) -> None:
    card = json.loads((folder / "final" / "card.json").read_text())
    assert card["name"] == "teacher-adapter: injection"
    assert card["command"].startswith("prefbench train teacher-adapter ")
    assert (card["recipe"]["targets"], card["training"]["injection"]["seen"]) == ("likes", STEPS)
    method = method_of(folder, models, user_scale=4.0, user_guidance=3.0)
    images = [np.asarray(drawing.image, float) for drawing in drawn(method)]
    assert np.abs(images[0] - images[1]).mean() > 0.1
    assert method.card_in_use.encoders == (Path(models["mllm"]).name, "tower")
    parts = method.represent(history("test-0", 0, 3))
    assert {name: len(vector) for name, vector in parts.items()} == {"e_sem": 64, "e_core": 64, "e_img": 12}
    assert not method.profile(history("test-0", 0, 0)).payload.any(), "of nothing, the average user"
    picked = trained(tmp_path, models, targets="picks")
    assert picked["recipe"]["targets"] == "picks"


def test_of_several_drawings_the_one_that_the_matrices_like_best(folder: Path, models: dict[str, str]) -> None:
    method, told = method_of(folder, models, n=3), []

    def likes(user: Any, images: Any) -> Any:
        told.append((user, [np.asarray(image) for image in images]))
        return np.array([0.0, 2.0, 1.0])

    method._taste.likes = likes
    drawings = drawn(method)
    for drawing, (user, images) in zip(drawings, told, strict=True):
        np.testing.assert_array_equal(np.asarray(drawing.image), images[1])
        assert len({image.tobytes() for image in images}) == 3
        assert user.shape == (64,)
    assert drawings[0].nfe == 3 * drawn(method_of(folder, models))[0].nfe


def test_other_eyes_and_wrong_calls_are_one_line(folder: Path, models: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(folder / "final", tmp_path / "final")
    config = tmp_path / "final" / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mllm_digest": "0" * 64}))
    with pytest.raises(PrefbenchError, match="trained with another preference model"):
        method_of(tmp_path, models)
    with pytest.raises(PrefbenchError, match="seed must be 0 or more"):
        trained(tmp_path, models, seed=-1)
    with pytest.raises(PrefbenchError, match="has no train user"):
        trained(tmp_path, models, suite=f"{tiny_suite.__file__}:EmptySuite")
    with pytest.raises(PrefbenchError, match="give -p mllm its name"):
        training.train(TrainRequest(tmp_path, STEPS, install=True), mllm=models["mllm"])
