"""`train ours` and `ours` on checkpoints in the real layouts: SD 1.5 with Idefics2, SDXL with Qwen2.5-VL, made tiny."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import Case, Context, Drawing, History, Judgment, Picture, PrefbenchError, ProbeItem, Request
from prefbench.methods.ours import weights
from prefbench.methods.ours.method import PrefGen
from prefbench.methods.ours.train import (
    ablation,
    injection_recipe,
    injection_stage,
    job,
    layer_stage,
    question_recipe,
    question_stage,
)
from prefbench.methods.ours.train.ablation import Change
from prefbench.methods.ours.train.injection_task import InjectionTask
from prefbench.methods.ours.train.layer_stage import Probed
from prefbench.methods.ours.train.question_task import QuestionTask
from prefbench.methods.ours.train.stages import train
from prefbench.methods.ours.vectors import Layers
from prefbench.methods.shared.candidates import candidate_seeds
from prefbench.methods.shared.questions import TEMPLATES, Examples, follow_up, likes_question
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.loader import load_mllm
from prefbench.run import payloads
from prefbench.training.adapter import AdapterTask
from prefbench.training.requests import TrainRequest
from prefbench.training.variants import AblationRequest
from tests.support import tiny, tiny_mllms, tiny_suite
from tests.support.tiny_suite import history, judged, save_tiny_tower

pytestmark = pytest.mark.slow
"""Every stage is trained once for each pair of models."""

SUITE = f"{tiny_suite.__file__}:TinySuite"
SCALES = {"sd15-idefics2": ("sd15", "idefics2"), "sdxl-qwen": ("sdxl", "qwen")}
SAVE = {
    "sd15": tiny.save_tiny_sd15,
    "sdxl": tiny.save_tiny_sdxl,
    "idefics2": tiny_mllms.save_tiny_idefics2,
    "qwen": tiny_mllms.save_tiny_qwen,
    "tower": save_tiny_tower,
}
STEPS = 24
"""More than the twenty after which the loop first asks whether to save."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {name: save(root / name) for name, save in SAVE.items()}


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """The real recipes, a few steps long, saved whenever the loop asks."""
    asking, fitting = question_recipe.PREDECESSOR, injection_recipe.FULL
    few = {"batch": 1, "save_every_s": 0.0, "images": STEPS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(question_recipe, "PREDECESSOR", replace(asking, questions=replace(asking.questions, **few)))
        patch.setattr(injection_recipe, "FULL", replace(fitting, histories=2, fit=replace(fitting.fit, **few)))
        patch.setattr(layer_stage, "PROBED", Probed(gallery=4, batch=32))
        yield


def train_tiny(
    folders: dict[str, Path], scale: str, folder: Path, *, images: int | None = None, **changes: Any
) -> dict[str, Any] | None:
    backbone, mllm = (str(folders[name]) for name in SCALES[scale])
    common = {"suite": SUITE, "backbone": backbone, "mllm": mllm, "image_tower": str(folders["tower"])}
    return train(TrainRequest(folder, images), **common | changes)


@dataclass(frozen=True)
class Trained:
    """What a training left, and with what it was made."""

    name: str
    folder: Path
    backbone: Path
    card: dict[str, Any]

    @property
    def final(self) -> Path:
        return self.folder / "final"


@pytest.fixture(scope="module", params=SCALES)
def trained(
    request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """All three stages in one call."""
    folder = tmp_path_factory.mktemp("train") / request.param
    card = train_tiny(folders, request.param, folder)
    assert card is not None
    return Trained(request.param, folder, folders[SCALES[request.param][0]], card)


# --------------------------------------------------------------------------------------------------- training


def test_every_stage_leaves_its_result_and_its_card(trained: Trained) -> None:
    cards = [json.loads((trained.folder / name / "card.json").read_text()) for name in ("mllm", "layers", "final")]
    assert [card["name"] for card in cards] == ["ours: questions", "ours: layers", "ours: injection"]
    assert cards[2] == json.loads(json.dumps(trained.card))
    questions, layers, injection = cards
    assert questions["data"] == {"suite": "tiny", "split": "train", "users": 6, "mllm": SCALES[trained.name][1]}
    assert questions["training"]["questions"]["steps"] == injection["training"]["injection"]["steps"] == STEPS
    assert layers["data"]["split"] == "val"
    assert layers["data"]["users"] == 20
    assert len(layers["data"]["layers"]["sem"]) == 1, "one of two layers is left for e_core"
    assert layers["data"]["layers"]["sem"] != layers["data"]["layers"]["core"]
    rules = {"chosen", "random", "random-sem", "random-core", "all", "top-four", "answer"}
    assert set(layers["data"]["alternatives"]) == rules
    assert injection["data"]["histories"] == 12
    assert injection["layers"] == layers["data"]
    aligned = injection["alignment"]
    assert aligned["before"]["users"] == aligned["after"]["users"] == 6
    assert aligned["before"]["all_floor"] == aligned["after"]["all_floor"], "the words are the same"
    assert len({aligned[when]["all"] for when in ("before", "aligned first", "after")}) == 3
    assert "prefbench train ours -p suite=" in injection["command"]
    for name in (
        "questions.png",
        "final.png",
        "layers/probing.csv",
        "layers/probing.png",
        "final/probing.csv",
        "final/probing.png",
        "questions/questions/loss.csv",
    ):
        assert (trained.folder / name).stat().st_size > 50


def test_a_language_models_checkpoint_holds_its_adapter_alone(trained: Trained) -> None:
    stored = torch.load(trained.folder / "questions" / "questions" / "checkpoint.pt", weights_only=True)
    assert stored["task"]
    assert all("lora_" in name for name in stored["task"])
    assert not (trained.folder / "questions" / question_stage.IMAGE_TOKENS).exists(), (
        "nothing asks for it in this recipe"
    )
    assert load_mllm(trained.folder / "mllm", device="cpu").adapter is not None


class KilledError(RuntimeError):
    """Stands for whatever ends a process."""


def kill_at(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """Lets the given call of a function fail."""
    real, calls = getattr(owner, name), iter(range(1, 10_000))

    def fails(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            raise KilledError(name)
        return real(*arguments, **named)

    patch.setattr(owner, name, fails)


@pytest.mark.parametrize("trained", ["sd15-idefics2"], indirect=True)
def test_a_training_that_is_killed_again_and_again_ends_the_same(
    trained: Trained, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Inside the questions, between stages, inside the layers, while histories are stored, inside the injection."""
    killed = tmp_path / "killed"
    places: list[tuple[Any, str, int]] = [
        (QuestionTask, "forward", STEPS - 2),
        (job, "load_mllm", 1),
        (layer_stage, "probe_liking", 1),
        (injection_stage.torch, "save", 1),
        (InjectionTask, "forward", STEPS - 2),
    ]
    for place in places:
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, *place)
            with pytest.raises(KilledError):
                train_tiny(folders, trained.name, killed)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, QuestionTask, "forward", 1)  # a stage that is done is not done again
        kill_at(patch, layer_stage, "choose", 1)
        kill_at(patch, InjectionTask, "forward", STEPS - 20 + 1)  # and this one goes on from its checkpoint
        card = train_tiny(folders, trained.name, killed)
    assert card is not None
    assert card["training"]["injection"]["steps"] == STEPS
    for name in ("final/adapter.safetensors", "mllm/adapter_model.safetensors", "layers/layers.json"):
        assert (killed / name).read_bytes() == (trained.folder / name).read_bytes()
    assert not list(killed.rglob("*.tmp")), "nothing half written is left"


def test_stages_run_by_themselves_at_the_length_that_is_asked_for(
    trained: Trained, folders: dict[str, Path], tmp_path: Path
) -> None:
    def stage(name: str, images: int | None = None) -> dict[str, Any]:
        card = train_tiny(folders, trained.name, tmp_path / "out", stage=name, images=images)
        assert card is not None
        return card

    assert stage("questions", 2)["training"]["questions"]["seen"] == 2
    read = stage("layers")["data"]["mllm"]
    assert stage("injection", 2)["training"]["injection"]["seen"] == 2
    before = (tmp_path / "out" / "read.pt").read_bytes()
    assert stage("injection", 3)["training"]["injection"]["seen"] == 3
    assert (tmp_path / "out" / "read.pt").read_bytes() == before, "histories are read once"
    assert stage("questions", 4)["training"]["questions"]["seen"] == 4
    assert stage("layers")["data"]["mllm"] != read
    with pytest.raises(PrefbenchError, match=r"injection/alignment/checkpoint\.pt does not fit this training"):
        stage("injection", 4)
    shutil.rmtree(tmp_path / "out" / "injection")
    assert stage("injection", 4)["training"]["injection"]["seen"] == 4
    assert (tmp_path / "out" / "read.pt").read_bytes() != before, "another model reads them anew"


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from prefbench.methods.ours.train import injection_recipe, layer_stage, question_recipe
from prefbench.methods.ours.train.stages import train
from prefbench.methods.ours.vectors import Layers
from prefbench.training.requests import TrainRequest

asking, fitting = question_recipe.PREDECESSOR, injection_recipe.FULL
question_recipe.PREDECESSOR = replace(asking, questions=replace(asking.questions, batch=1, images=4))
injection_recipe.FULL = replace(fitting, histories=2, fit=replace(fitting.fit, batch=1, images=4))
layer_stage.PROBED = layer_stage.Probed(gallery=4, batch=32)
names = ("suite", "backbone", "mllm", "image_tower")
train(TrainRequest(Path(sys.argv[1])), **dict(zip(names, sys.argv[2:], strict=True)))
"""


def test_two_processes_train_one_adapter(folders: dict[str, Path], tmp_path: Path) -> None:
    """Started by torchrun: one of them stores, the other waits for it between the stages."""
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    models = [str(folders[name]) for name in ("sd15", "idefics2", "tower")]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py"), str(tmp_path / "out"), SUITE, *models],
        env={**os.environ, "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out" / "final" / "card.json").read_text())
    assert (card["training"]["injection"]["steps"], card["training"]["injection"]["seen"]) == (2, 4)


def test_a_model_that_starts_from_nothing_takes_the_miniatures_recipe(folders: dict[str, Path], tmp_path: Path) -> None:
    """And a suite without words is enough for it; users who judged too little are said to be left out."""
    card = train_tiny(
        folders,
        "sd15-idefics2",
        tmp_path / "out",
        stage="questions",
        images=16,
        mllm=f"{tiny_suite.__file__}:UNTRAINED",
        suite=f"{tiny_suite.__file__}:WordlessSuite",
    )
    assert card is not None
    first = {"sorting", "verdicts"}  # no words, so none to describe with
    assert {*card["training"]} == {*first, "questions"}
    assert card["training"]["questions"]["seen"] == 16
    usual = question_recipe.MINIATURE
    for name in first:
        whole = getattr(usual, name).images
        assert card["recipe"][name]["images"] == round(16 * whole / usual.questions.images), "as much shorter"
        assert card["training"][name]["seen"] >= card["recipe"][name]["images"]
    assert card["data"]["users"] == 3
    assert (tmp_path / "out" / "verdicts.png").exists()
    stored = load_mllm(tmp_path / "out" / "mllm", device="cpu")
    assert stored.adapter is None
    assert stored.card.history == "verdicts"


def test_what_is_trained_is_in_float32_whatever_the_denoiser_is_in(folders: dict[str, Path]) -> None:
    backbone = load_backbone(folders["sd15"], device="cpu", dtype="bfloat16")
    config = weights.Config("sd15", "", "", weights.Widths(6, 3, 4), 16, 2)
    task = InjectionTask(
        AdapterTask(backbone.pipeline, weights.attach(backbone, config)),
        backbone.dtype,
        alignment="mmd",
        weight=0.1,
    )
    words = backbone.prompts("a fox")["prompt_embeds"]
    batch = {
        "pictures": torch.rand(2, 3, 16, 16),
        "features": torch.randn(2, 13),
        "conditioned": torch.tensor([True, True]),
        "words": words.float().repeat(2, 1, 1),
        "spoken": torch.ones(2, words.shape[1], dtype=torch.bool),
        "u": torch.tensor([0.2, 0.8]),
        "noise": torch.randn(2, 4, 8, 8),
        "prompt_embeds": words.repeat(2, 1, 1),
    }
    torch.autograd.backward(task(batch))
    trainable = [parameter for parameter in task.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trainable} == {torch.float32}
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trainable)
    assert backbone.pipeline.unet.conv_in.weight.dtype == torch.bfloat16


OPTIONS: dict[str, Any] = {
    "targets": "picks",
    "layers": "all",
    "alignment": "mmd",
    "alignment_weight": 1.0,
    "train_users": 3,
    "attention_rate": 0.1,
    "seed": 4,
}


@pytest.mark.parametrize("trained", ["sd15-idefics2"], indirect=True)
def test_every_option_of_the_injection_is_in_its_recipe_and_its_command(
    trained: Trained, folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(trained.folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "injection")
    card = train_tiny(folders, trained.name, tmp_path / "out", stage="injection", images=3, **OPTIONS)
    assert card is not None
    told = card["recipe"] | {"seed": card["recipe"]["fit"]["seed"]}
    assert {name: told[name] for name in OPTIONS} == OPTIONS
    assert all(f" -p {name}={value}" in card["command"] for name, value in OPTIONS.items())
    assert (card["data"]["users"], card["data"]["histories"]) == (3, 6)
    assert Layers.load(tmp_path / "out" / "final" / weights.LAYERS).sem == (1, 2)
    method_of(trained, weights=str(tmp_path / "out" / "final")).profile(HISTORIES[0])


@pytest.mark.parametrize("trained", ["sd15-idefics2"], indirect=True)
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ({"alignment_weight": -1.0}, "alignment_weight must be 0 or more and finite, got -1.0"),
        ({"attention_rate": float("nan")}, "attention_rate must be 0 or more and finite, got nan"),
        ({"train_users": 1}, "train_users must be 0 for all, or at least 2"),
        ({"layers": "random"}, "knows no layers 'random'; run -p stage=layers again"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    trained: Trained, folders: dict[str, Path], tmp_path: Path, option: dict[str, Any], line: str
) -> None:
    """The last one on layers that were chosen before others were kept beside them."""
    shutil.copytree(trained.folder, tmp_path / "out")
    path = tmp_path / "out" / "layers" / "card.json"
    stored = json.loads(path.read_text())
    del stored["data"]["alternatives"]
    path.write_text(json.dumps(stored))
    with pytest.raises(PrefbenchError, match=line):
        train_tiny(folders, trained.name, tmp_path / "out", stage="injection", images=3, **option)


# -------------------------------------------------------------------------------------------------- ablations


@pytest.mark.parametrize("trained", ["sd15-idefics2"], indirect=True)
def test_variants_are_trained_on_equal_terms(
    trained: Trained, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "parts": {"without e_img": Change({"without": ("img",)})},
        "alignment": {"none": Change({"alignment": "none"}), "the same": Change({"alignment": "mmd-both"})},
        "questions": {"none": Change(untrained=True)},
    }
    monkeypatch.setattr(ablation, "TRAINED", changes)

    def unasked(_: job.Job, at: Path) -> Path:
        load_mllm(folders["idefics2"], device="cpu").save(at)
        return at

    monkeypatch.setattr(ablation, "_language_model", lambda _: "mini-mllm")
    monkeypatch.setattr(job.Job, "unasked", unasked)
    shutil.copytree(trained.folder, tmp_path / "ours")
    backbone = str(folders[SCALES[trained.name][0]])
    request = AblationRequest(tmp_path / "ours", images=3, suite=SUITE, backbone=backbone)
    said: list[str] = []
    found = ablation.ours(request, said.append)
    assert said[0].startswith("4 trainings of 3 images: about 0.0 core-hours")
    trainings = ["whole: whole", "parts: without e_img", "alignment: none", "questions: none"]
    assert said[1:] == [f"train {name}" for name in trainings], "what changes nothing is no variant"
    assert found.training == {"images": 3}
    assert set(found.defaults) == {"user_scale", "user_guidance"}
    swept = {(v.group, v.name) for v in found.variants}
    own = {(name.replace("_", " "), f"{value:g}") for name, value in found.defaults.items()}
    assert not own & swept, "the whole method stands for its own values"
    made = {variant.name: variant.weights for variant in found.variants if variant.weights is not None}
    folders_of = [variant.weights for variant in found.variants if variant.weights is not None]
    cards = [json.loads((path / "card.json").read_text()) for path in folders_of]
    assert [card["training"]["injection"]["seen"] for card in cards] == [3, 3, 3, 3]
    assert [card["recipe"]["alignment"] for card in cards] == ["mmd-both", "mmd-both", "none", "mmd-both"]
    assert len({card["data"]["mllm"] for card in cards}) == 2
    assert cards[3]["data"]["mllm"] != cards[0]["data"]["mllm"], "that one answered no question"
    assert weights.Config.load(made["without e_img"] / weights.CONFIG).without == ("img",)
    drawn = {variant.group for variant in found.variants if variant.weights is None}
    assert drawn == {"history", "negative", "words", "best of", "user scale", "user guidance"}
    for variant in found.variants:
        PrefGen(**variant.parameters)
    method_of(trained, weights=str(folders_of[3])).profile(HISTORIES[0])
    assert json.loads((made["whole"] / "card.json").read_text())["recipe"]["fit"]["lr"] == injection_recipe.FULL.fit.lr
    with pytest.raises(PrefbenchError, match="was trained on 3 images, not 5; remove"):
        ablation.ours(replace(request, images=5), said.append)


@pytest.mark.parametrize("trained", ["sd15-idefics2"], indirect=True)
def test_groups_are_trained_alone_and_with_several_seeds(
    trained: Trained, folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(trained.folder, tmp_path / "ours")
    backbone = str(folders[SCALES[trained.name][0]])
    request = AblationRequest(
        tmp_path / "ours", images=3, suite=SUITE, backbone=backbone, seeds=2, only=("keys and values",)
    )
    said: list[str] = []
    found = ablation.ours(request, said.append)
    assert {variant.group for variant in found.variants} == {"whole", "keys and values"}
    assert "train whole: whole, seed 2 of 2" in said
    for variant in found.variants:
        assert variant.weights is not None
        (other,) = variant.more_weights
        assert (variant.weights / weights.FILE).read_bytes() != (other / weights.FILE).read_bytes()
    frozen = next(variant for variant in found.variants if variant.name == "frozen")
    assert frozen.weights is not None
    fresh = weights.attach(load_backbone(backbone, device="cpu"), weights.Config.load(frozen.weights / weights.CONFIG))
    _, adapter, _, _ = weights.load(frozen.weights, load_backbone(backbone, device="cpu"))
    for before, after in zip(fresh.layers.parameters(), adapter.layers.parameters(), strict=True):
        torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3, msg="keys and values are the text's")
    said.clear()
    ablation.ours(replace(request, only=("intra-probe", "keys and values"), seeds=1), said.append)
    assert "no variant intra-probe: random layers: these are the whole method's own layers" in said, "of two there are"
    with pytest.raises(PrefbenchError, match="'part'"):
        ablation.ours(replace(request, only=("part",)), said.append)


# ---------------------------------------------------------------------------------------------------- drawing


def backbone_of(trained: Trained, **options: Any) -> DiffusersBackbone:
    defaults: dict[str, Any] = {"device": "cpu", "steps": 2}
    return load_backbone(trained.backbone, **defaults | options)


def method_of(trained: Trained, *, backbone: DiffusersBackbone | None = None, **parameters: Any) -> PrefGen:
    method = PrefGen(**{"weights": str(trained.final), "user_scale": 4.0} | parameters)
    method.setup(Context(backbone or backbone_of(trained)))
    return method


def requests_for(method: PrefGen, histories: Sequence[History]) -> list[Request]:
    """A prompt each, users in turn."""
    profiles = [method.profile(one) for one in histories]
    return [
        Request(Case(f"case-{i}", profile.user, tiny_suite.PROMPTS[i % 3]), 0, 7 * i + 1, profile)
        for i, profile in enumerate(profiles)
    ]


HISTORIES = [history(f"test-{i}", i, n) for i, n in enumerate((3, 1, 2, 4))]


def stack(drawings: Sequence[Drawing] | Sequence[Image.Image]) -> NDArray[np.float64]:
    images = [drawing.image if isinstance(drawing, Drawing) else drawing for drawing in drawings]
    return np.stack([np.asarray(image, dtype=np.float64) for image in images])


@pytest.fixture(scope="module")
def method(trained: Trained) -> PrefGen:
    return method_of(trained, negative="disliked")


def test_a_profile_is_the_users_vector_and_the_opposite_users(method: PrefGen) -> None:
    one, payload = HISTORIES[0], method.profile(HISTORIES[0]).payload
    widths = method.config.widths
    assert payload.shape == (2, widths.total)
    assert payload.dtype == torch.float32
    assert (widths.sem, widths.core, widths.img) == (tiny_mllms.WIDTH, tiny_mllms.WIDTH, tiny_suite.TOWER_WIDTH)
    opposite = method.profile(History(one.user, one.disliked, one.liked)).payload
    torch.testing.assert_close(payload, opposite.flip(0))
    assert not torch.allclose(payload[0], payload[1])
    represented = method.represent(one)
    assert {"last 0", "last 2", "mean 1", "e_sem", "e_core", "e_img"} <= set(represented)
    np.testing.assert_allclose(represented["e_img"], payload[0, widths.parts["img"]].numpy())


def test_a_picture_is_looked_at_after_what_the_model_said(method: PrefGen) -> None:
    one, judgment = HISTORIES[0], HISTORIES[1].liked[0]
    asked = ProbeItem(judgment.picture, judgment.prompt)
    shown = Examples.of(one)
    said = method.mllm.answers([likes_question(shown)])[0]
    states = method.mllm.states([follow_up(shown, said, TEMPLATES.like[0], judgment.picture.load())])
    found = method.represent(one, asked)
    assert set(found) == {f"{pooling} {i}" for pooling in ("last", "mean") for i in range(states.last.shape[1])}
    np.testing.assert_allclose(found["last 2"], states.last[0, 2].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["mean 1"], states.mean[0, 1].numpy(), rtol=1e-4, atol=1e-5)
    nobody = method.represent(History("nobody", (), ()), asked)
    assert not np.allclose(nobody["last 2"], found["last 2"])


def test_several_users_in_one_batch_equal_the_same_users_alone(method: PrefGen) -> None:
    requests = requests_for(method, HISTORIES)
    together = method.generate(requests)
    assert [drawing.image.size for drawing in together] == [(tiny.RESOLUTION,) * 2] * 4
    assert all(drawing.image.mode == "RGB" for drawing in together)
    alone = [method.generate([request])[0] for request in requests]
    assert np.abs(stack(together) - stack(alone)).mean() < 1
    backwards = method.generate(requests[::-1])[::-1]
    assert np.abs(stack(together) - stack(backwards)).mean() < 1


def test_the_best_of_n_by_its_own_verdicts_is_kept_and_paid_for(trained: Trained) -> None:
    method = method_of(trained, n=3)
    requests = requests_for(method, HISTORIES[:2])
    kept = method.generate(requests)
    single = method_of(trained, backbone=method.context.backbone)
    for request, drawing, history_ in zip(requests, kept, HISTORIES, strict=False):
        profile = single.profile(history_)
        rivals = [
            single.generate([replace(request, seed=seed, profile=profile)])[0]
            for seed in candidate_seeds(request.seed, 3)
        ]
        images = [rival.image for rival in rivals]
        best = int(Verdicts(method.mllm).of(history_, images).argmax())
        np.testing.assert_allclose(np.asarray(drawing.image, float), np.asarray(images[best], float), atol=2)
        assert drawing.nfe == 3 * rivals[0].nfe
    assert payloads.parse(payloads.dump(requests[0].profile.payload))["after"]["answer"] == (
        method.verdicts.answer(HISTORIES[0])
    )


def test_own_words_stand_in_the_prompt(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_of(trained, words=True)
    monkeypatch.setattr(method.mllm, "answers", lambda asked, **_: ["red foxes"] * len(asked))
    (drawing,) = method.generate(requests_for(method, HISTORIES[:1]))
    assert drawing.prompt_used == f"{tiny_suite.PROMPTS[0]}, red foxes"
    monkeypatch.setattr(method.mllm, "answers", lambda asked, **_: [TEMPLATES.nothing] * len(asked))
    method = method_of(trained, words=True)
    monkeypatch.setattr(method.mllm, "answers", lambda asked, **_: [TEMPLATES.nothing] * len(asked))
    (drawing,) = method.generate(requests_for(method, HISTORIES[:1]))
    plain = method_of(trained)
    (expected,) = plain.generate(requests_for(plain, HISTORIES[:1]))
    assert drawing.prompt_used == tiny_suite.PROMPTS[0]
    assert np.array_equal(np.asarray(drawing.image), np.asarray(expected.image))


def test_of_a_model_that_judges_phrases_the_surest_liked_ones_stand_in_the_prompt(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"red": 0.6, "big": 0.9, "at sea": 0.55, "old": 0.7, "wet": 0.49, "blue": -0.9, "a fox": 0.95, "a cat": 0.99}
    groups = (("red", "blue"), ("big",), ("at sea", "old"), ("wet",), ("a fox", "a cat"))
    negatives: list[Any] = []
    for sure, words, unwanted in (
        (0.5, "big, old, red", "blue"),
        (0.65, "big, old", "blue"),
        (0.95, "", None),
    ):
        method = method_of(trained, words=True, sure=sure)
        method.reader = method_of(trained).reader  # which is asked for no phrases
        monkeypatch.setattr(method.mllm, "card", replace(method.mllm.card, phrases=groups))
        monkeypatch.setattr(method.asking, "phrases", lambda _: told)
        draw = method.context.backbone.generate

        def noted(*given: Any, draw: Any = draw, **more: Any) -> Any:
            negatives.append(more["negative_prompts"])
            return draw(*given, **more)

        monkeypatch.setattr(method.context.backbone, "generate", noted)
        (drawing,) = method.generate(requests_for(method, HISTORIES[:1]))
        assert negatives.pop() == (None if unwanted is None else [unwanted])
        assert drawing.prompt_used == ", ".join(filter(None, (tiny_suite.PROMPTS[0], words)))
    with pytest.raises(PrefbenchError, match="sure must be from 0 to 1"):
        PrefGen(sure=1.5)


def test_users_draw_differently(method: PrefGen) -> None:
    first, second, *_ = requests_for(method, HISTORIES)
    swapped = replace(first, profile=second.profile)
    assert (stack(method.generate([first])) != stack(method.generate([swapped]))).mean() > 0.01


def test_scale_zero_is_the_prompt_alone_at_the_same_guidance(trained: Trained) -> None:
    method = method_of(trained, user_scale=0.0, user_guidance=4.0)
    drawings = method.generate(requests_for(method, HISTORIES[:2]))
    plain = backbone_of(trained)
    expected = plain.generate(list(tiny_suite.PROMPTS[:2]), [1, 8], guidance_scale=4.0)
    assert np.abs(stack(drawings) - stack(expected)).mean() < 1
    assert [drawing.prompt_used for drawing in drawings] == list(tiny_suite.PROMPTS[:2])
    assert [drawing.nfe for drawing in drawings] == [plain.nfe] * 2


def test_both_halves_of_guidance_are_heard(trained: Trained) -> None:
    drawn = {}
    for negative in ("average", "disliked"):
        method = method_of(trained, negative=negative, user_guidance=8.0)
        requests = requests_for(method, HISTORIES[:2])
        assert requests[0].profile.payload.shape[0] == (1 if negative == "average" else 2)
        drawn[negative] = stack(method.generate(requests))
    assert (drawn["average"] != drawn["disliked"]).mean() > 0.01
    unguided = method_of(trained, user_guidance=1.0)
    drawing = unguided.generate(requests_for(unguided, HISTORIES[:1]))[0]
    assert drawing.nfe * 2 == backbone_of(trained).nfe


def test_an_empty_history_is_the_average_user(method: PrefGen) -> None:
    profile = method.profile(History("nobody", (), ()))
    assert not profile.payload.any()
    drawings = method.generate(requests_for(method, [History("nobody", (), ()), HISTORIES[0]]))
    vectors = torch.zeros(2, 1, method.config.widths.total)
    expected = method.context.backbone.generate(
        [tiny_suite.PROMPTS[0]], [1], ip_adapter_image_embeds=[vectors], guidance_scale=method.user_guidance
    )
    assert np.abs(stack(drawings[:1]) - stack(expected)).mean() < 1
    assert method.represent(History("nobody", (), ()))["e_sem"].any() == np.False_


def test_one_side_may_be_empty(method: PrefGen) -> None:
    one, image = HISTORIES[0], method.config.widths.parts["img"]
    liked, disliked = History("a", one.liked, ()), History("a", (), one.disliked)
    for half, known in ((liked, True), (disliked, False)):
        vector = method.profile(half).payload[0]
        assert vector.isfinite().all()
        assert vector.any()
        assert bool(vector[image].any()) == known, "without a liked image e_img is the average one"
    assert len(method.generate(requests_for(method, [liked, disliked]))) == 2


@pytest.mark.parametrize("negative", ["average", "disliked"])
def test_dislikes_can_be_hidden(trained: Trained, negative: str) -> None:
    """From the opposite user too."""
    hidden, seeing = (method_of(trained, liked_only=only, negative=negative) for only in (True, False))
    one = HISTORIES[0]
    shown = replace(one, disliked=())
    torch.testing.assert_close(hidden.profile(one).payload, seeing.profile(shown).payload)
    assert not torch.allclose(hidden.profile(one).payload, seeing.profile(one).payload)


def test_other_weights_are_another_run(trained: Trained, tmp_path: Path) -> None:
    first = method_of(trained)
    (tmp_path / "mllm").symlink_to(trained.folder / "mllm")
    weights.save(tmp_path / "same", first.config, first.adapter, first.layers, first.scales)
    with torch.no_grad():
        next(iter(first.adapter.parameters())).add_(1.0)
    weights.save(tmp_path / "changed", first.config, first.adapter, first.layers, first.scales)
    same, changed = (method_of(trained, weights=str(tmp_path / name)) for name in ("same", "changed"))
    assert first.weights_digest == same.weights_digest, "wherever they lie"
    assert changed.weights_digest != same.weights_digest


def test_a_saved_and_loaded_adapter_draws_the_same(trained: Trained, tmp_path: Path) -> None:
    """The whole folder is moved: the language model is found beside the weights wherever they lie."""
    first = method_of(trained)
    moved = tmp_path / "elsewhere"
    weights.save(moved / "final", first.config, first.adapter, first.layers, first.scales)
    (moved / "mllm").symlink_to(trained.folder / "mllm")
    second = method_of(trained, weights=str(moved / "final"))
    images = [stack(method.generate(requests_for(method, HISTORIES[:2]))) for method in (first, second)]
    assert np.abs(images[0] - images[1]).mean() < 0.5  # float16 on disk was float16 before


def test_it_draws_in_half_precision(trained: Trained) -> None:
    method = method_of(trained, backbone=backbone_of(trained, dtype="bfloat16"))
    assert {parameter.dtype for parameter in method.adapter.parameters()} == {torch.bfloat16}
    assert len(method.generate(requests_for(method, HISTORIES[:2]))) == 2


# -------------------------------------------------------------------------------------------------- bad input


def one_line(error: pytest.ExceptionInfo[PrefbenchError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unreadable_image_in_a_history(method: PrefGen) -> None:
    bad = Judgment(Picture("0" * 64, path=Path("gone.png")), "a fox", True)
    with pytest.raises(PrefbenchError, match=r"user 'ada' cannot be read: gone\.png: there is no such file") as error:
        method.profile(History("ada", (bad,), ()))
    one_line(error)


def test_a_history_longer_than_the_context(trained: Trained) -> None:
    method = method_of(trained)
    method.mllm.card = replace(method.mllm.card, context=60)
    with pytest.raises(PrefbenchError, match="longer than the context of 60; show it a shorter history") as error:
        method.profile(History("a", tuple(judged("red", i, liked=True) for i in range(12)), ()))
    one_line(error)


def test_weights_for_another_backbone_or_language_model(
    trained: Trained, folders: dict[str, Path], tmp_path: Path
) -> None:
    other = "sdxl" if trained.backbone.name == "sd15" else "sd15"
    method = PrefGen(weights=str(trained.final))
    with pytest.raises(PrefbenchError, match=f"trained with '{trained.backbone.name}'.* that of '{other}' is") as error:
        method.setup(Context(load_backbone(folders[other], device="cpu")))
    one_line(error)
    (tmp_path / "mllm").symlink_to(folders[SCALES[trained.name][1]])  # the same model without what it was taught
    (tmp_path / "final").symlink_to(trained.final)
    config = weights.Config.load(trained.final / weights.CONFIG)
    with pytest.raises(
        PrefbenchError, match=r"trained with another state of mllm .*train it again: prefbench"
    ) as error:
        weights.load_language_model(
            tmp_path / "final", replace(config, mllm=str(tmp_path / "mllm")), backbone_of(trained)
        )
    one_line(error)
    without = replace(config, image_tower=str(tmp_path / "nowhere"))
    with pytest.raises(PrefbenchError, match=r"the image tower: there are no weights in .*nowhere; get") as error:
        weights.load_image_embedder(trained.final, without, backbone_of(trained))
    one_line(error)
    wide = replace(config, widths=replace(config.widths, img=99))
    with pytest.raises(PrefbenchError, match="needs image embeddings of width 99, here they have width 12") as error:
        weights.load_image_embedder(trained.final, wide, backbone_of(trained))
    one_line(error)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stage": "question"}, r"unknown stage 'question'; did you mean 'questions'\? .known: questions, layers, inj"),
        ({"stage": "layers"}, "mllm does not exist; run -p stage=questions first"),
        ({"stage": "injection"}, r"layers\.json does not exist; run -p stage=layers first"),
        ({"images": 10}, "--images needs -p stage=questions or -p stage=injection"),
        ({"images": 10, "stage": "layers"}, "--images needs -p stage=questions"),
        ({"images": 0, "stage": "injection"}, "--images must be at least 1, got 0"),
        ({"mllm": "idefics3"}, "unknown mllm 'idefics3'; did you mean 'idefics2-8b'"),
        ({"suite": f"{tiny_suite.__file__}:EmptySuite"}, "suite 'tiny' has no train user with more than 4 likes"),
    ],
)
def test_a_training_that_cannot_be(
    changes: dict[str, Any], line: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(PrefbenchError, match=line) as error:
        train_tiny(folders, "sd15-idefics2", tmp_path / "out", **changes)
    one_line(error)
    assert not (tmp_path / "out").exists()


def test_too_few_users_to_choose_layers_on(
    trained: Trained, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (trained.folder / "layers" / "layers.json").read_bytes()
    monkeypatch.setattr(layer_stage, "PROBED", Probed(gallery=5))
    with pytest.raises(PrefbenchError, match=r"needs 25 val users .* suite 'tiny' has 20") as error:
        train_tiny(folders, trained.name, trained.folder, stage="layers")
    one_line(error)
    assert (trained.folder / "layers" / "layers.json").read_bytes() == before


def test_a_training_loses_nothing_by_an_image_that_cannot_be_read(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = f"{tiny_suite.__file__}:DamagedSuite"

    def teach(images: int) -> dict[str, Any] | None:
        return train_tiny(folders, "sd15-idefics2", tmp_path / "out", suite=suite, stage="questions", images=images)

    teach(1)
    checkpoint = tmp_path / "out" / "questions" / "questions" / "checkpoint.pt"
    before = checkpoint.read_bytes()
    monkeypatch.setenv("TINY_DAMAGED", "1")
    with pytest.raises(PrefbenchError, match="history of user 'train-0' cannot be read") as error:
        teach(2)
    one_line(error)
    assert checkpoint.read_bytes() == before
    assert load_mllm(tmp_path / "out" / "mllm", device="cpu")
    monkeypatch.delenv("TINY_DAMAGED")
    card = teach(2)
    assert card is not None
    assert card["training"]["questions"]["steps"] == 2
