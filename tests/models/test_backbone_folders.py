"""Backbone folders as people have them: what cannot work is one line, before anything is drawn."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from prefbench.api import PrefbenchError
from prefbench.models.backbones.loader import load_backbone
from prefbench.run.prepare import Settings, check_names

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tiny_sd: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_sd, tmp_path / "mine"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def weights(folder: Path, part: str) -> Path:
    return next(iter(sorted((folder / part).glob("*.safetensors"))))


def pickled(folder: Path) -> None:
    path = weights(folder, "unet")
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()


def half(folder: Path) -> None:
    path = weights(folder, "unet")
    save_file(
        {name: tensor.half() for name, tensor in load_file(path).items()},
        path.with_name(f"{path.stem}.fp16.safetensors"),
    )
    path.unlink()


def scheduler(name: str, **settings: Any) -> Edit:
    def change(folder: Path) -> None:
        edit(folder / "model_index.json", scheduler=["diffusers", name])
        edit(folder / "scheduler" / "scheduler_config.json", _class_name=name, **settings)

    return change


UNET, INDEX = "unet/config.json", "model_index.json"
FOLDERS: dict[str, tuple[Edit, str]] = {
    "pickled weights": (pickled, r"unet as \.bin only, safetensors are read; get it with: pipeline\.save_pretrained"),
    "one variant of one part": (half, "unet as the variant fp16 only, the plain weights are read; get it with"),
    "no files of a part": (lambda f: shutil.rmtree(f / "unet"), r"unet/config\.json cannot be read"),
    "an empty entry": (
        lambda f: edit(f / INDEX, unet=[]),
        r"model_index\.json: unet is \[\], not a library and a class",
    ),
    "an entry of numbers": (lambda f: edit(f / INDEX, unet=[1, 2]), "not a library and a class"),
    "an entry of three": (lambda f: edit(f / INDEX, unet=["diffusers", "A", "B"]), "not a library and a class"),
    "deep nesting": (
        lambda f: (f / INDEX).write_text("[" * 200_000 + "]" * 200_000),
        r"model_index\.json cannot be read",
    ),
    "deep nesting of a part": (
        lambda f: (f / UNET).write_text('{"a":' * 90_000 + "1" + "}" * 90_000),
        "cannot be read",
    ),
    "an index that is a list": (lambda f: (f / INDEX).write_text("[]"), "holds no JSON object"),
    "endless layers": (
        lambda f: edit(f / "text_encoder" / "config.json", num_hidden_layers=10_000_000),
        "asks for too many num_hidden_layers; 1000 are the most",
    ),
    "endless layers of a block": (lambda f: edit(f / UNET, layers_per_block=10**7), "too many layers_per_block"),
    "endless blocks": (lambda f: edit(f / UNET, block_out_channels=[32] * 5000), "too many block_out_channels"),
    "flow matching": (
        scheduler("FlowMatchEulerDiscreteScheduler"),
        "is none of diffusion, such as those of flow matching",
    ),
    "a scheduler that is nowhere": (scheduler("NoSuchScheduler"), "cannot be loaded"),
}


@pytest.mark.parametrize(("change", "told"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_cannot_work_is_one_line(change: Edit, told: str, folder: Path) -> None:
    change(folder)
    started = time.process_time()
    with pytest.raises(PrefbenchError, match=told) as refused:
        load_backbone(folder, device="cpu")
    assert str(refused.value).isprintable()
    assert time.process_time() - started < 10


LEADING = {"steps_offset": 1, "timestep_spacing": "leading"}
STEPS = {
    "PNDM in one step": ("PNDMScheduler", LEADING, 1, "cannot take 1 steps .*; the nearest number that it takes is 4"),
    "PNDM in three": ("PNDMScheduler", LEADING, 3, "cannot take 3 steps .*; the nearest number that it takes is 4"),
    "DDIM in more than it was trained for": ("DDIMScheduler", LEADING, 1001, "cannot take 1001 steps"),
    "DDIM that begins after the last step": ("DDIMScheduler", LEADING, 1000, "cannot take 1000 steps"),
    "LCM in more than it was distilled for": ("LCMScheduler", {}, 60, "cannot take 60 steps"),
}


@pytest.mark.parametrize(("name", "settings", "steps", "told"), STEPS.values(), ids=STEPS)
def test_steps_that_a_scheduler_does_not_take_are_refused_before_drawing(
    name: str, settings: dict[str, Any], steps: int, told: str, folder: Path
) -> None:
    scheduler(name, **settings)(folder)
    with pytest.raises(PrefbenchError, match=told):
        load_backbone(folder, device="cpu", steps=steps)


TAKEN = {
    "PNDMScheduler": 4, "DDIMScheduler": 999, "LCMScheduler": 4, "EulerAncestralDiscreteScheduler": 2,
    "DDPMScheduler": 3,
    "EulerDiscreteScheduler": 1, "HeunDiscreteScheduler": 2, "UniPCMultistepScheduler": 3, "DEISMultistepScheduler": 3,
    "DPMSolverMultistepScheduler": 1, "KDPM2DiscreteScheduler": 2, "DPMSolverSinglestepScheduler": 3,
    "LMSDiscreteScheduler": 3,
}  # fmt: skip


@pytest.mark.parametrize(("name", "steps"), TAKEN.items())
@pytest.mark.slow
def test_a_folder_draws_without_a_word_from_the_library(
    name: str, steps: int, folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduler(name, **(LEADING if name in ("PNDMScheduler", "DDIMScheduler") else {}))(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        backbone = load_backbone(folder, device="cpu", steps=steps)
        if steps < 10:
            assert len(backbone.generate(["a red ball", "a house"], [1, 2])) == 2
        assert backbone.nfe >= steps
    assert not caplog.records
    assert capfd.readouterr().err == ""


SOURCES = {
    "x/y": "there is no folder x/y; a backbone is a registered name or a folder",
    "./nowhere": r"there is no folder \./nowhere",
    "mini-sdd": "unknown backbone 'mini-sdd'; did you mean 'mini-sd'",
    "a/" * 3000: "there is no folder",
}


@pytest.mark.parametrize(("source", "told"), SOURCES.items(), ids=["two parts", "a path", "a name", "too long"])
def test_a_backbone_that_is_not_there_is_named(source: str, told: str) -> None:
    with pytest.raises(PrefbenchError, match=told):
        check_names(Settings("prompt-only", backbone=source))
    with pytest.raises(PrefbenchError, match=told):
        load_backbone(source)


def test_a_single_file_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    with pytest.raises(PrefbenchError, match="is one file; a backbone is a registered name or a folder"):
        check_names(Settings("prompt-only", backbone=str(path)))
