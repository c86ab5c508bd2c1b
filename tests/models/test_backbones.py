"""Backbones on tiny checkpoints of the real classes in the real layout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from prefbench.api import PrefbenchError
from prefbench.models.backbones import weights
from prefbench.models.backbones.batches import rows_of
from prefbench.models.backbones.cards import SD15, SDXL
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.folders import install_folder
from prefbench.suites.picturebook.miniatures.cards import MINI_SD
from tests.support import tiny

CARDS = {
    "sd15": replace(SD15, resolution=tiny.RESOLUTION),
    "sdxl": replace(SDXL, resolution=tiny.RESOLUTION),
    "mini-sd": MINI_SD,
}
PROMPTS = ["a red fox in the snow", "two boats at night", "an old house by the sea", "a red house"]
SEEDS = [3, 1, 4, 1 << 63]
STEPS = 4
each = pytest.mark.parametrize("name", list(CARDS))


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    save = {"sd15": tiny.save_tiny_sd15, "sdxl": tiny.save_tiny_sdxl, "mini-sd": tiny.save_tiny_mini_sd}
    return {name: save[name](root / name) for name in save}


@pytest.fixture
def load(folders: dict[str, Path]) -> Callable[..., DiffusersBackbone]:
    def load_one(name: str, **options: Any) -> DiffusersBackbone:
        card = replace(CARDS[name], source=str(folders[name]))
        return load_backbone(card, **{"device": "cpu", "steps": STEPS, **options})

    return load_one


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def stack(images: Sequence[Image.Image]) -> NDArray[np.float64]:
    return np.stack([np.asarray(image, dtype=np.float64) for image in images])


def assert_close(images: Sequence[Image.Image], others: Sequence[Image.Image]) -> None:
    """Equal up to float rounding: a mean difference below one level, the conformance suite's bound."""
    assert np.abs(stack(images) - stack(others)).mean() < 1


def assert_differ(images: Sequence[Image.Image], others: Sequence[Image.Image]) -> None:
    """Further apart than rounding. Untrained denoisers hear their prompts faintly, so the bound is low."""
    assert (stack(images) != stack(others)).mean() > 0.01


# ---------------------------------------------------------------------------------------------------- drawing


@each
@pytest.mark.slow
def test_same_seed_twice_is_equal_and_prompt_and_seed_matter(name: str, load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load(name, guidance=9.0)
    first = backbone.generate(PROMPTS, SEEDS)
    assert [image.size for image in first] == [(backbone.card.resolution,) * 2] * 4
    np.testing.assert_array_equal(stack(first), stack(backbone.generate(PROMPTS, SEEDS)))
    assert_differ(first, backbone.generate(PROMPTS[::-1], SEEDS))
    assert_differ(first, backbone.generate(PROMPTS, SEEDS, negative_prompts=["blurry and dark"] * 4))
    assert np.abs(stack(first) - stack(backbone.generate(PROMPTS, SEEDS[::-1]))).mean() > 5


@each
@pytest.mark.slow
def test_an_image_depends_on_no_neighbour(name: str, load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load(name)
    together = backbone.generate(PROMPTS, SEEDS)
    alone = [backbone.generate([prompt], [seed])[0] for prompt, seed in zip(PROMPTS, SEEDS, strict=True)]
    assert_close(together, alone)
    assert_close(together, backbone.generate(PROMPTS[::-1], SEEDS[::-1])[::-1])


@each
def test_equals_a_bare_call_of_diffusers(
    name: str, load: Callable[..., DiffusersBackbone], folders: dict[str, Path]
) -> None:
    backbone = load(name)
    bare = getattr(diffusers, backbone.card.pipeline).from_pretrained(folders[name])
    expected = bare(
        PROMPTS,
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
        num_inference_steps=STEPS,
        guidance_scale=backbone.card.guidance,
    ).images
    assert np.abs(stack(backbone.generate(PROMPTS, SEEDS)) - stack(expected)).max() <= 1


class _Remembering(diffusers.EulerDiscreteScheduler):  # type: ignore[misc]
    """Keeps what earlier calls left behind, as multistep schedulers would if `set_timesteps` did not reset them."""

    left = 0.0

    def step(self, model_output: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        self.left += 1
        return super().step(model_output + self.left, *args, **kwargs)


def test_no_call_inherits_the_state_of_the_scheduler(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sd15")
    backbone.pipeline.scheduler = _Remembering.from_config(backbone.pipeline.scheduler.config)
    first = backbone.generate(PROMPTS, SEEDS)
    np.testing.assert_array_equal(stack(first), stack(backbone.generate(PROMPTS, SEEDS)))


@each
@pytest.mark.slow
def test_evaluations_are_the_passes_really_made(name: str, load: Callable[..., DiffusersBackbone]) -> None:
    for guidance, scheduler in ((5.0, None), (1.0, None), (5.0, diffusers.HeunDiscreteScheduler)):
        backbone = load(name, guidance=guidance)
        if scheduler:
            backbone.pipeline.scheduler = scheduler.from_config(backbone.pipeline.scheduler.config)
        rows: list[int] = []
        backbone.pipeline.unet.register_forward_hook(lambda _m, given, _out, rows=rows: rows.append(len(given[0])))
        backbone.generate(PROMPTS[:1], SEEDS[:1])
        assert sum(rows) == backbone.nfe


@each
def test_each_prompt_is_encoded_once(name: str, load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load(name)
    encoders = [part for key, part in backbone.pipeline.components.items() if key.startswith("text_encoder")]
    calls: list[object] = []
    for encoder in encoders:
        encoder.register_forward_hook(lambda module, _given, _out: calls.append(module))
    for _ in range(2):
        backbone.generate(PROMPTS[:2] * 2, SEEDS, negative_prompts=["blurry and dark"] * 4)
    assert len(calls) == 3 * len(encoders)
    backbone.prompts.forget()
    backbone.generate(PROMPTS[:1], SEEDS[:1])
    assert len(calls) == (3 + 2) * len(encoders)


def test_each_sample_has_its_own_image_embeds(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sd15")
    backbone.pipeline.unet._load_ip_adapter_weights([_tiny_ip_adapter(backbone.pipeline.unet)])
    backbone.pipeline.set_ip_adapter_scale(20.0)
    embeds = 5 * torch.randn(8, 1, 6, generator=torch.Generator().manual_seed(0))
    together = backbone.generate(PROMPTS, SEEDS, ip_adapter_image_embeds=[embeds])
    pairs = [embeds[[i, 4 + i]] for i in range(4)]
    alone = [backbone.generate([PROMPTS[i]], [SEEDS[i]], ip_adapter_image_embeds=[pairs[i]])[0] for i in range(4)]
    assert_close(together, alone)
    assert_differ(together, backbone.generate(PROMPTS, SEEDS, ip_adapter_image_embeds=[embeds.flip(0)]))
    backbone.batches.largest = 3
    assert_close(together, backbone.generate(PROMPTS, SEEDS, ip_adapter_image_embeds=[embeds]))


def _tiny_ip_adapter(unet: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of an IP-Adapter in their published layout: image vectors of 6, four tokens."""
    width, random = unet.config.cross_attention_dim, torch.Generator().manual_seed(0)
    projection = {"proj.weight": torch.randn(4 * width, 6, generator=random), "proj.bias": torch.zeros(4 * width)}
    projection |= {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    layers = {}
    for i, key in enumerate(unet.attn_processors):
        if "attn2" in key:
            inner = unet.get_submodule(key.removesuffix(".processor")).to_k.weight.shape[0]
            for part in ("to_k_ip", "to_v_ip"):
                layers[f"{i}.{part}.weight"] = torch.randn(inner, width, generator=random)
    return {"image_proj": projection, "ip_adapter": layers}


# --------------------------------------------------------------------------------------------------- the latents


def test_roundtrip_of_mini_sd_is_exact(load: Callable[..., DiffusersBackbone]) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    drawn = load("mini-sd").roundtrip(Image.fromarray(pixels))
    np.testing.assert_array_equal(np.asarray(drawn), pixels)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_roundtrip_keeps_size_and_precision(dtype: str, load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sdxl", dtype=dtype)
    assert backbone.roundtrip(Image.new("L", (40, 21), 128)).size == (40, 21)
    assert backbone.pipeline.vae.dtype == backbone.dtype


# --------------------------------------------------------------------------------------------------------- memory


def _fails_above(batch: int, module: torch.nn.Module, error: RuntimeError) -> torch.utils.hooks.RemovableHandle:
    def hook(_module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > batch:
            raise error

    return module.register_forward_pre_hook(hook)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
@pytest.mark.slow
def test_halves_the_batch_when_memory_runs_out(
    error: RuntimeError, load: Callable[..., DiffusersBackbone], caplog: pytest.LogCaptureFixture
) -> None:
    backbone = load("sdxl")
    expected = backbone.generate(PROMPTS, SEEDS)
    rows: list[int] = []
    backbone.pipeline.unet.register_forward_pre_hook(lambda _module, given: rows.append(len(given[0])))
    _fails_above(2 * 2, backbone.pipeline.unet, error)
    assert_close(backbone.generate(PROMPTS, SEEDS), expected)
    assert_close(backbone.generate(PROMPTS, SEEDS), expected)
    assert rows == [8] + 4 * STEPS * [4]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.slow
def test_one_image_too_many(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sd15")
    _fails_above(0, backbone.pipeline.unet, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(PrefbenchError, match="not even one 16x16 image in float32 fits"):
        backbone.generate(PROMPTS, SEEDS)


@pytest.mark.slow
def test_an_upcast_autoencoder_survives_running_out_of_memory(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sdxl", dtype="float16", steps=1)
    expected = backbone.generate(PROMPTS[:2], SEEDS[:2])
    decoder, left = backbone.pipeline.vae.decoder, [1]

    def fail_once(_module: torch.nn.Module, _given: object) -> None:
        if left:
            left.clear()
            raise torch.OutOfMemoryError("CUDA out of memory")

    decoder.register_forward_pre_hook(fail_once)
    assert_close(backbone.generate(PROMPTS[:2], SEEDS[:2]), expected)
    assert backbone.pipeline.vae.dtype == torch.float16


def test_other_errors_pass_and_nan_is_one(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sd15")
    with pytest.raises(PrefbenchError, match="drew NaN in float32"):
        backbone.generate(PROMPTS[:1], SEEDS[:1], latents=torch.full((1, 4, 8, 8), torch.nan))
    _fails_above(0, backbone.pipeline.unet, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        backbone.generate(PROMPTS, SEEDS)


def test_rows_of_cuts_batch_first_tensors() -> None:
    rows = torch.arange(3)
    given = {"a": rows, "b": [torch.arange(6)], "c": {"d": torch.zeros(1, 7)}, "scale": 0.5}
    cut = rows_of(given, 1, 3, 3)
    assert cut["a"].tolist() == [1, 2]
    assert cut["b"][0].tolist() == [1, 2, 4, 5]
    assert cut["c"]["d"].shape == (1, 7)
    assert cut["scale"] == 0.5
    with pytest.raises(PrefbenchError, match=r"x\[0\] has 5 rows for 3 samples; it needs 3, 6 or 1"):
        rows_of({"x": [torch.zeros(5)]}, 0, 1, 3)


def test_lengths_must_agree(load: Callable[..., DiffusersBackbone]) -> None:
    backbone = load("sd15")
    with pytest.raises(PrefbenchError, match="4 prompts but 3 seeds"):
        backbone.generate(PROMPTS, SEEDS[:3])
    assert backbone.generate([], []) == []


# -------------------------------------------------------------------------------------------------------- loading


@each
def test_loads_by_folder_silently(name: str, folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    backbone = load_backbone(str(folders[name]), device="cpu", steps=2)
    assert capfd.readouterr() == ("", "")
    assert (backbone.card.name, backbone.card.pipeline) == (name, CARDS[name].pipeline)
    assert (backbone.card.resolution, backbone.dtype) == (CARDS[name].resolution, torch.float32)
    assert backbone.generate(PROMPTS[:1], SEEDS[:1])[0].width == backbone.card.resolution
    assert capfd.readouterr() == ("", "")


def test_loads_the_half_precision_files_of_a_hub_snapshot(folders: dict[str, Path], hub: Path) -> None:
    snapshot = hub / "models--stable-diffusion-v1-5--stable-diffusion-v1-5" / "snapshots" / str(SD15.revision)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folders["sd15"], dtype=torch.float16)
    pipeline.save_pretrained(snapshot, variant="fp16")
    _name_safety_checker(snapshot / "model_index.json")
    card = replace(SD15, resolution=tiny.RESOLUTION)
    assert weights.missing(card) is None
    backbone = load_backbone(card, device="cpu")
    assert backbone.digest
    assert backbone.dtype == backbone.pipeline.unet.dtype == torch.float32
    shutil.copy(folders["sd15"] / "unet" / "diffusion_pytorch_model.safetensors", snapshot / "unet")
    assert load_backbone(card, device="cpu").digest == backbone.digest, "the full-precision file is not the one loaded"
    for path in (snapshot / "unet").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(PrefbenchError, match=r"has no files of unet; get it with: hf download"):
        load_backbone(card)


def _name_safety_checker(index: Path) -> None:
    """Adds what the real repository lists and no backbone loads."""
    checker = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    index.write_text(json.dumps(json.loads(index.read_text()) | checker))


@pytest.mark.usefixtures("hub")
def test_absent_weights_name_the_command() -> None:
    with pytest.raises(PrefbenchError) as raised:
        load_backbone("sdxl")
    assert str(raised.value) == (
        "backbone 'sdxl': there is no local copy of stabilityai/stable-diffusion-xl-base-1.0; get it with: "
        f"hf download stabilityai/stable-diffusion-xl-base-1.0 --revision {SDXL.revision}"
        ' --include "*.json" --include "*.txt" --include "*.fp16.safetensors" --exclude "safety_checker/*"'
    )
    assert weights.missing(replace(MINI_SD, source="/nowhere/mini-sd")) == "prefbench train mini-sd --install"


def visible(folder: Path) -> dict[str, str]:
    """What a model's folder holds, whatever lies hidden beside it."""
    files = (path for path in folder.glob("mini/**/*") if path.is_file())
    return {path.relative_to(folder / "mini").as_posix(): path.read_text() for path in files}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A model that was trained anew, of three files, and an older one of other files in its place."""
    for folder, names in (("final", ("card.json", "unet/config.json", "vae/config.json")), ("weights/mini", ("old",))):
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(name)
    return tmp_path


def test_installing_replaces_the_whole_folder(trained: Path) -> None:
    for _ in range(2):
        install_folder(trained / "final", trained / "weights" / "mini")
        assert visible(trained / "weights").keys() == {"card.json", "unet/config.json", "vae/config.json"}
        assert [path.name for path in (trained / "weights").iterdir()] == ["mini"]


def cut_copy(source: Path, target: Path, **_: object) -> None:
    """Copies one file of several."""
    shutil.copy(source / "card.json", target)
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["copy", "first rename", "second rename"])
def test_an_installation_that_is_cut_leaves_no_part_of_a_model(
    trained: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = {"old": "old"}, {name: name for name in ("card.json", "unet/config.json", "vae/config.json")}
    left = iter([moment != "first rename", False])
    rename = Path.rename

    def cut_rename(path: Path, target: Path) -> None:
        if not next(left):
            raise KeyboardInterrupt
        rename(path, target)

    with monkeypatch.context() as patch:
        if moment == "copy":
            patch.setattr(shutil, "copytree", cut_copy)
        else:
            patch.setattr(Path, "rename", cut_rename)
        with pytest.raises(KeyboardInterrupt):
            install_folder(trained / "final", trained / "weights" / "mini")
    assert visible(trained / "weights") == ({} if moment == "second rename" else old)
    install_folder(trained / "final", trained / "weights" / "mini")
    assert visible(trained / "weights") == new


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuad"}, "unknown device 'cuad'; did you mean 'cuda'?"),
        ({"device": "cpu:x"}, "unknown device 'cpu:x'"),
        ({"device": "cuda:99"}, "no device 'cuda:99' here"),
        ({"dtype": "flaot16"}, "unknown dtype 'flaot16'; did you mean 'float16'?"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"guidance": float("nan")}, "guidance must be at least 0"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str, load: Callable[..., DiffusersBackbone]) -> None:
    with pytest.raises(PrefbenchError, match=message.replace("?", r"\?")):
        load("sd15", **options)


def test_wrong_backbones(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="unknown backbone 'sdlx'; did you mean 'sdxl'"):
        load_backbone("sdlx")
    with pytest.raises(PrefbenchError, match=r"model_index\.json cannot be read"):
        load_backbone(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(PrefbenchError, match="cannot drive a FluxPipeline, only StableDiffusionPipeline, Stable"):
        load_backbone(tmp_path)


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["sd15"], tmp_path / "sd15"))


def test_parameters_without_weights_are_an_error(copied: Path) -> None:
    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        path = copied / part / f"{name}.safetensors"
        whole = load_file(path)
        save_file(dict(list(whole.items())[1:]), path, metadata={"format": "pt"})
        with pytest.raises(PrefbenchError, match="weights are missing in") as raised:
            load_backbone(copied)
        assert str(raised.value).isprintable()
        save_file(whole, path, metadata={"format": "pt"})
    load_backbone(copied)


def test_pickled_weights_and_foreign_modules_are_refused(copied: Path) -> None:
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps(index | {"vae": ["antigravity", "AutoencoderKL"]}))
    with pytest.raises(PrefbenchError, match="vae comes from 'antigravity', not from diffusers"):
        load_backbone(copied)
    (copied / "model_index.json").write_text(json.dumps(index))
    stored = copied / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(stored), stored.with_suffix(".bin"))
    stored.unlink()
    with pytest.raises(PrefbenchError, match=r"has unet as \.bin only"):
        load_backbone(copied)


def test_half_precision_on_the_cpu_is_warned_of(
    load: Callable[..., DiffusersBackbone], caplog: pytest.LogCaptureFixture
) -> None:
    assert load("mini-sd", dtype="bfloat16").dtype == torch.bfloat16
    assert "many times slower" in caplog.text


def test_digest_is_of_the_files_that_are_loaded(copied: Path) -> None:
    def digest() -> str:
        return load_backbone(copied, device="cpu").digest

    before = digest()
    (copied / "card.json").write_text("{}")
    (copied / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"not read")
    assert digest() == before
    scheduler = copied / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("0.012", "0.013"))
    assert digest() != before


@pytest.mark.slow
def test_mini_sd_loads_where_nothing_else_was_imported(folders: dict[str, Path]) -> None:
    code = "import sys; from prefbench.models.backbones import loader; loader.load_backbone(sys.argv[1], device='cpu')"
    command = [sys.executable, "-c", code, str(folders["mini-sd"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Expected types" not in done.stderr


def test_cards_and_weights_need_no_torch() -> None:
    code = (
        "import sys; from prefbench import registry; from prefbench.models.backbones import weights\n"
        "cards = [registry.load('backbone', name) for name in registry.names('backbone')]\n"
        "print([weights.missing(card) for card in cards] and sorted({'torch', 'diffusers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
