"""The training loop on a task learned in a second, killed for real; the losses against hand computations."""

from __future__ import annotations

import csv
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPTokenizer

from prefbench.api import PrefbenchError
from prefbench.models.backbones.space_to_depth import SpaceToDepthAutoencoder
from prefbench.suites.picturebook.data.corpus import GROUP, CorpusRecipe, load_corpus
from prefbench.suites.picturebook.miniatures.mini_clip import build_mini_clip, to_pixels
from prefbench.suites.picturebook.miniatures.mini_sd import build_mini_sd
from prefbench.suites.picturebook.miniatures.mini_vision import build_mini_vision, image_processor
from prefbench.suites.picturebook.world.axes import AXES, BY_PROMPT, CONTENTS, training_contents
from prefbench.suites.picturebook.world.words import TEXT_LENGTH, picturebook_tokenizer
from prefbench.training.contrastive import ContrastiveTask, DistillationTask
from prefbench.training.diffusion import LOOKS_DECIDED, SHAPES_DECIDED, CaptionBatches, DenoisingTask, noise_levels
from prefbench.training.loop import Batch, Checkpoint, FitConfig, fit
from prefbench.training.tokenizer import learn_clip_tokenizer
from tests.support import learning
from tests.support.learning import CONFIG, STEPS, Regression, draw


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Regression, Path]:
    """A run that nobody disturbed."""
    task, folder = Regression(), tmp_path_factory.mktemp("finished")
    fit(task, draw, CONFIG, folder)
    return task, folder


def stored(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


def losses(folder: Path) -> list[dict[str, float]]:
    with (folder / "loss.csv").open() as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def assert_same(a: Any, b: Any, path: str = "") -> None:
    """Equality to the last bit through dicts, lists and tensors; times may differ."""
    if isinstance(a, Mapping):
        assert a.keys() == b.keys(), path
        for key in a.keys() - {"wall_s", "core_s", "machine"}:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}/{i}")
    elif isinstance(a, Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


# ------------------------------------------------------------------------------------------------- the loop


def test_the_loss_falls_and_is_logged(finished: tuple[Regression, Path]) -> None:
    rows = losses(finished[1])
    assert [row["step"] for row in rows] == list(range(20, STEPS + 1, 20))
    assert [row["images"] for row in rows] == [8 * row["step"] for row in rows]
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    config = json.loads((finished[1] / "config.json").read_text())
    assert (config["images"], config["lr"]) == (CONFIG.images, CONFIG.lr)


@pytest.mark.slow
def test_the_same_configuration_gives_the_same_weights(finished: tuple[Regression, Path], tmp_path: Path) -> None:
    again = Regression()
    fit(again, draw, CONFIG, tmp_path)
    assert_same(again.state_dict(), finished[0].state_dict())
    other = Regression()
    fit(other, draw, replace(CONFIG, seed=6), tmp_path / "other")
    assert not torch.equal(other.unet[2].get_parameter("weight"), again.unet[2].get_parameter("weight"))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(finished: tuple[Regression, Path], tmp_path: Path) -> None:
    """Weights, moving average, optimizer and counters, after SIGKILL between two checkpoints."""
    step = killed_at(tmp_path)
    assert 20 <= step < STEPS
    task = Regression()
    progress = fit(task, draw, CONFIG, tmp_path)
    assert (progress.step, progress.images) == (STEPS, CONFIG.images)
    assert_same(task.state_dict(), finished[0].state_dict())
    assert_same(stored(tmp_path), stored(finished[1]))
    assert [row["step"] for row in losses(tmp_path)] == list(range(20, STEPS + 1, 20))


def killed_at(folder: Path) -> int:
    """Starts a training, kills it some steps after a checkpoint, and returns the step of that checkpoint."""
    root = Path(learning.__file__).parents[2]
    child = subprocess.Popen([sys.executable, learning.__file__, str(folder)], cwd=root, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "loss.csv").exists() or len(losses(folder)) < learning.SLOW_FROM // 20:
        assert child.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline, "the training wrote no checkpoint"
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    return int(stored(folder)["progress"]["step"])


def test_a_finished_run_is_not_trained_again(finished: tuple[Regression, Path], tmp_path: Path) -> None:
    first, again = Regression(), Regression()
    fit(first, draw, CONFIG, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    progress = fit(again, draw, CONFIG, tmp_path)
    assert progress.step == STEPS
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert_same(again.state_dict(), finished[0].state_dict())


def test_more_images_continue_a_run(tmp_path: Path) -> None:
    """Without decay, one run of 60 steps is a run of 30 made longer."""
    config = replace(CONFIG, images=8 * 60, decay=0.0)
    whole, parts = Regression(), Regression()
    fit(whole, draw, config, tmp_path / "whole")
    assert fit(parts, draw, replace(config, images=8 * 30), tmp_path / "parts").step == 30
    assert fit(parts, draw, config, tmp_path / "parts").step == 60
    assert_same(stored(tmp_path / "parts"), stored(tmp_path / "whole"))
    assert_same(parts.state_dict(), whole.state_dict())


@pytest.mark.slow
def test_two_processes_train_one_model_and_resume(tmp_path: Path) -> None:
    """Started by torchrun: each sees its own batches, and the run goes on from the checkpoint of the first."""

    def train(**steps: int) -> None:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        pairs = [word for name, n in steps.items() for word in (str(tmp_path / name), str(8 * 2 * n))]
        root = Path(learning.__file__).parents[2]
        environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(
            [*command, learning.__file__, *pairs],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    train(whole=40, parts=20)
    train(parts=40)
    progress = stored(tmp_path / "parts")["progress"]
    assert (progress["step"], progress["images"]) == (40, 8 * 2 * 40)
    assert progress["machine"] == [f"2 x {platform.machine()} CPU, 1 thread(s) each"]
    assert_same(stored(tmp_path / "parts"), stored(tmp_path / "whole"))
    alone = Regression()
    fit(alone, draw, replace(CONFIG, images=8 * 40, decay=0.0), tmp_path / "alone")
    assert not torch.equal(stored(tmp_path / "whole")["task"]["unet.2.weight"], alone.unet[2].get_parameter("weight"))


def test_a_resumed_run_drops_the_same_units(tmp_path: Path) -> None:
    """Dropout draws from torch's own generator, whose state a resumed run must continue."""
    config = replace(CONFIG, images=8 * 60, decay=0.0)
    whole, parts = Regression(dropout=0.5), Regression(dropout=0.5)
    fit(whole, draw, config, tmp_path / "whole")
    fit(parts, draw, replace(config, images=8 * 30), tmp_path / "parts")
    fit(parts, draw, config, tmp_path / "parts")
    assert_same(parts.state_dict(), whole.state_dict())


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    calls = 0

    def poisoned(rng: np.random.Generator, size: int) -> Batch:
        nonlocal calls
        calls += 1
        batch = draw(rng, size)
        return batch if calls <= 32 else {**batch, "y": batch["y"] * float("nan")}

    with pytest.raises(FloatingPointError, match="the loss is nan at step 33; the last checkpoint is kept"):
        fit(Regression(), poisoned, CONFIG, tmp_path)
    assert stored(tmp_path)["progress"]["step"] == 20
    assert all(torch.isfinite(tensor).all() for tensor in stored(tmp_path)["task"].values())
    assert fit(Regression(), draw, CONFIG, tmp_path).step == STEPS


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_damaged_checkpoint_is_named(damage: str, finished: tuple[Regression, Path], tmp_path: Path) -> None:
    data = (finished[1] / "checkpoint.pt").read_bytes()
    damaged = {"cut": data[: len(data) // 2], "empty": b"", "noise": b"not a checkpoint" * 100}[damage]
    (tmp_path / "checkpoint.pt").write_bytes(damaged)
    with pytest.raises(PrefbenchError, match=r"checkpoint\.pt"):
        fit(Regression(), draw, CONFIG, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == damaged


def test_a_checkpoint_of_another_model_is_refused(finished: tuple[Regression, Path], tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((finished[1] / "checkpoint.pt").read_bytes())
    other = Regression()
    other.unet = nn.Sequential(nn.Tanh(), nn.Dropout(0.0), nn.Linear(8, 2))
    with pytest.raises(PrefbenchError, match=r"unet\.2\.weight"):
        fit(other, draw, CONFIG, tmp_path)


def test_a_checkpoint_of_another_schedule_is_refused(finished: tuple[Regression, Path], tmp_path: Path) -> None:
    """But for its length and how often it is stored; checkpoints of before it was noted go on."""
    path = tmp_path / "checkpoint.pt"
    path.write_bytes((finished[1] / "checkpoint.pt").read_bytes())
    with pytest.raises(PrefbenchError, match=r"it was made with lr=[0-9.]+, not 0\.25\)"):
        fit(Regression(), draw, replace(CONFIG, lr=0.25), tmp_path)
    fit(Regression(), draw, replace(CONFIG, save_every_s=1e3), tmp_path)
    content = torch.load(path, weights_only=True)
    del content["config"]
    torch.save(content, path)
    fit(Regression(), draw, replace(CONFIG, lr=0.25), tmp_path)


def test_on_checkpoint_sees_the_averaged_weights_in_evaluation_mode(tmp_path: Path) -> None:
    task, seen = Regression(), list[tuple[Checkpoint, Tensor, bool]]()

    def look(checkpoint: Checkpoint) -> None:
        seen.append((checkpoint, task.unet[2].get_parameter("weight").detach().clone(), task.training))

    fit(task, draw, CONFIG, tmp_path, on_checkpoint=look)
    assert [checkpoint.done for checkpoint, _, _ in seen] == [False] * 5 + [True]
    assert not any(training for _, _, training in seen)
    assert torch.equal(seen[-1][1], task.unet[2].get_parameter("weight"))
    assert not torch.equal(seen[-1][1], stored(tmp_path)["task"]["unet.2.weight"])


def test_the_average_follows_its_recursion(tmp_path: Path) -> None:
    """average <- d * average + (1 - d) * weights, where d = min(decay, 1 - (1 + t)^-0.75) after t updates."""
    average, decays = Regression().unet[2].get_parameter("weight").detach().clone(), []
    for steps in range(1, 7):
        task, folder = Regression(), tmp_path / str(steps)
        fit(task, draw, replace(CONFIG, images=8 * steps, decay=0.0, ema=0.6), folder)
        decays.append(min(0.6, 1 - steps**-0.75))
        average = decays[-1] * average + (1 - decays[-1]) * stored(folder)["task"]["unet.2.weight"]
        torch.testing.assert_close(task.unet[2].get_parameter("weight").detach(), average)
    assert decays[0] == 0 < decays[1] < decays[-1] == 0.6


def test_without_an_average_the_weights_are_the_trained_ones(tmp_path: Path) -> None:
    task = Regression()
    fit(task, draw, replace(CONFIG, images=8 * 20, ema=None), tmp_path)
    assert stored(tmp_path)["ema"] is None
    assert_same(stored(tmp_path)["task"], task.state_dict())


def test_progress_adds_up_over_resumed_runs(tmp_path: Path) -> None:
    config = replace(CONFIG, images=8 * 20)
    first = replace(fit(Regression(), draw, config, tmp_path))
    second = fit(Regression(), draw, replace(config, images=8 * 40), tmp_path)
    assert second.wall_s > first.wall_s > 0
    assert second.core_s > first.core_s > 0
    assert len(second.machine) == 1


# --------------------------------------------------------------------------------------------- learning rate


def test_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = FitConfig(images=1000, lr=0.1, warmup_steps=4, decay=0.2)
    assert [config.learning_rate(0, step) for step in range(5)] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    rates = [config.learning_rate(seen, 500) for seen in (0, 500, 800, 900, 950, 1000)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.025, 0.0])


def test_the_optimizer_takes_the_learning_rate_of_its_step(tmp_path: Path) -> None:
    config = replace(CONFIG, images=8 * 40, slow=(("text_encoder", 0.25),))
    fit(Regression(), draw, config, tmp_path)
    rate = config.learning_rate(8 * 39, 39)
    rates = {group["factor"]: group["lr"] for group in stored(tmp_path)["optimizer"]["param_groups"]}
    assert 0 < rate < config.lr
    assert rates == pytest.approx({0.25: 0.25 * rate, 1.0: rate})


def test_slow_parameters_move_by_their_factor(tmp_path: Path) -> None:
    """Adam's first step is the learning rate times the sign of the gradient."""
    task = Regression()
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    slow = (("text_encoder", 0.25), ("unet.2.bias", 0.0))
    fit(task, draw, replace(CONFIG, images=8, weight_decay=0.0, ema=None, decay=0.0, slow=slow), tmp_path)
    moved = {name: (p.detach() - before[name]).abs().max().item() for name, p in task.named_parameters()}
    rate = CONFIG.lr / CONFIG.warmup_steps
    assert moved["unet.2.weight"] == pytest.approx(rate, rel=1e-3)
    assert moved["text_encoder.weight"] == pytest.approx(0.25 * rate, rel=1e-3)
    assert moved["unet.2.bias"] == 0


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    task = Regression()
    task.text_encoder.requires_grad_(False)
    before = task.text_encoder.weight.detach().clone()
    fit(task, draw, replace(CONFIG, images=8 * 20), tmp_path)
    assert torch.equal(task.text_encoder.weight, before)


# ------------------------------------------------------------------------------------------------ tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return picturebook_tokenizer()


def test_every_word_of_the_world_is_one_token(tokenizer: CLIPTokenizer) -> None:
    phrases = [phrase for axis in AXES for phrase in axis.phrases if phrase is not None]
    for word in {word for text in (*BY_PROMPT, *phrases) for word in text.replace("-", " - ").split()}:
        assert len(tokenizer(word).input_ids) == 3, word


def test_the_longest_caption_fits(tokenizer: CLIPTokenizer) -> None:
    longest = max((content.scene((0,) * 9).caption([axis.name for axis in AXES[2:]]) for content in CONTENTS), key=len)
    assert len(tokenizer(longest).input_ids) <= TEXT_LENGTH


def test_other_text_encodes_and_comes_back(tokenizer: CLIPTokenizer) -> None:
    for text in ("a zebra in paris", "größe 42!", "日本"):
        ids = tokenizer(text).input_ids
        assert max(ids[1:-1]) < tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == text.replace(" ", "")
    assert tokenizer("").input_ids == [tokenizer.bos_token_id, tokenizer.eos_token_id]


def test_begin_and_end_have_the_highest_ids(tokenizer: CLIPTokenizer) -> None:
    """So the pooled position of CLIP, the highest id, is the end of the text."""
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)


def test_tokenizer_is_the_same_after_saving(tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    texts = [*BY_PROMPT, "a zebra, ocean colors", ""]
    expected = tokenizer(texts, padding="max_length", truncation=True).input_ids
    for loaded in (CLIPTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded(texts, padding="max_length", truncation=True).input_ids == expected
        assert len(loaded) == len(tokenizer)


def test_tokenizer_does_not_depend_on_the_order_of_texts() -> None:
    texts = ["a red fox", "the red box", "boxes in the sea"]
    one, other = (learn_clip_tokenizer(order, max_length=8) for order in (texts, texts[::-1]))
    assert one.get_vocab() == other.get_vocab()
    assert len(one("a red fox").input_ids) == 5


# ---------------------------------------------------------------------------------------------- autoencoder


def test_space_to_depth_is_exact() -> None:
    images = torch.rand(2, 3, 32, 48) * 2 - 1
    autoencoder = SpaceToDepthAutoencoder()
    latents = autoencoder.encode(images).latent_dist
    assert latents.mode().shape == (2, 12, 16, 24)
    assert torch.equal(autoencoder.decode(latents.mode()).sample, images)
    assert torch.equal(autoencoder(images, return_dict=False)[0], images)
    assert (latents.sample() - latents.mode()).abs().max() < 1e-5
    block = latents.mode()[0, :, 3, 5].view(3, 2, 2)
    assert torch.equal(block, images[0, :, 6:8, 10:12])


def test_space_to_depth_speaks_like_other_autoencoders(tmp_path: Path) -> None:
    autoencoder = SpaceToDepthAutoencoder(scaling_factor=1.5)
    autoencoder.save_pretrained(tmp_path)
    loaded = SpaceToDepthAutoencoder.from_pretrained(tmp_path)
    assert loaded.config.scaling_factor == 1.5
    assert (loaded.dtype, loaded.device.type) == (torch.float32, "cpu")
    real = AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                         up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4)  # fmt: skip
    images = torch.rand(1, 3, 8, 8)
    assert type(loaded.encode(images)) is type(real.encode(images))
    assert type(loaded.decode(torch.rand(1, 12, 4, 4))) is type(real.decode(torch.rand(1, 4, 4, 4)))
    with pytest.raises(ValueError, match="latent_channels must be 4 x in_channels = 12, got 4"):
        SpaceToDepthAutoencoder(latent_channels=4)


# -------------------------------------------------------------------------------------------------- losses


def test_denoising_loss_is_the_formula() -> None:
    """Noising, velocity and weight of every picture by hand, the denoiser called with the result."""
    pipeline = build_mini_sd()
    pipeline.unet.eval()
    rng = np.random.default_rng(0)
    corpus = load_corpus(CorpusRecipe("captioned", 64, seed=1))
    batch = CaptionBatches(corpus, pipeline.tokenizer, plain=[False] * 64, empty=0.0)(rng, 5)
    batch = {**batch, "u": torch.tensor([0.0, 0.2, 0.5, 0.9, 0.9999], dtype=torch.float64)}
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = np.cumprod(1 - betas)[[0, 200, 500, 900, 999]]
    weighted = []
    with torch.no_grad():
        states = pipeline.text_encoder(batch["tokens"])[0]
        for i, alpha in enumerate(alphas.tolist()):
            clean = pipeline.vae.config.scaling_factor * F.pixel_unshuffle(batch["pictures"][i], 2)
            noise = batch["noise"][i]
            noisy = alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise
            velocity = alpha**0.5 * noise - (1 - alpha) ** 0.5 * clean
            t = [0, 200, 500, 900, 999][i]
            predicted = pipeline.unet(noisy[None], t, states[i : i + 1]).sample[0]
            snr = alpha / (1 - alpha)
            weight = min(snr + 1, 6.0) / (snr + 1)
            weighted.append(weight * ((predicted - velocity) ** 2).mean().item())
        loss = DenoisingTask(pipeline)(batch).item()
    assert loss == pytest.approx(np.mean(weighted), rel=1e-4)


def test_denoising_trains_denoiser_and_text_tower() -> None:
    names = {name.split(".")[0] for name, p in DenoisingTask(build_mini_sd()).named_parameters() if p.requires_grad}
    assert names == {"unet", "text_encoder"}


@pytest.mark.slow
def test_caption_batches_empty_only_captions_without_style() -> None:
    corpus = load_corpus(CorpusRecipe("captioned", 400, seed=1))
    plain = [not any(named) for named in corpus.named.tolist()]
    tokenizer = picturebook_tokenizer()
    batch = CaptionBatches(corpus, tokenizer, plain=plain, empty=0.33)(np.random.default_rng(1), 2000)
    texts = [tokenizer.decode(row, skip_special_tokens=True).strip() for row in batch["tokens"]]
    contents = {tokenizer.decode(tokenizer(prompt).input_ids, skip_special_tokens=True).strip() for prompt in BY_PROMPT}
    empty, unstyled = texts.count(""), sum(text in contents for text in texts)
    assert empty / (empty + unstyled) == pytest.approx(0.33, abs=0.06)
    assert (empty + unstyled) / len(texts) == pytest.approx(np.mean(plain), abs=0.04)
    assert batch["pictures"].shape == (2000, 3, 32, 32)
    assert batch["noise"].shape == (2000, 12, 16, 16)
    assert -1 <= batch["pictures"].min() < -0.9
    assert 0.9 < batch["pictures"].max() <= 1


def test_noise_levels_cover_the_schedule() -> None:
    """In [0, 1), a quarter uniform, the rest around the middle."""
    corpus = load_corpus(CorpusRecipe("captioned", 64, seed=1))
    source = CaptionBatches(corpus, picturebook_tokenizer(), plain=[False] * 64, empty=0.0)
    u = np.concatenate([source(np.random.default_rng(seed), 64)["u"].numpy() for seed in range(20)])
    assert 0 <= u.min() < 0.02
    assert 0.98 < u.max() < 1
    assert np.mean((u > 0.25) & (u < 0.75)) == pytest.approx(0.25 * 0.5 + 0.75 * 0.69, abs=0.05)
    assert np.mean(u > 0.9) == pytest.approx(0.25 * 0.1 + 0.75 * 0.006, abs=0.01)


def test_noise_levels_lie_about_their_location() -> None:
    """Three in four are the logistic function of a normal deviate around it; stratified, so that 2,000 tell."""
    for location in (SHAPES_DECIDED, LOOKS_DECIDED, 2.0):
        peaked = noise_levels(np.random.default_rng(0), 2000, uniform=0.0, location=location).double()
        logits = torch.logit(peaked).numpy()
        assert (logits.mean(), logits.std()) == pytest.approx((location, 1.0), abs=0.01)
    assert torch.equal(
        *(noise_levels(np.random.default_rng(1), 9, **how) for how in ({}, {"location": SHAPES_DECIDED}))
    )


def test_contrastive_loss_shares_the_target_among_equal_captions() -> None:
    model = build_mini_clip(1).eval()
    tokens = picturebook_tokenizer()(["a cat at sea", "a cat at sea", "a cup at night"], padding="max_length",
                                     return_tensors="pt").input_ids  # fmt: skip
    pixels = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        found = ContrastiveTask(model)({"pixels": pixels, "tokens": tokens, "caption": torch.tensor([0, 0, 1])}).item()
        image, text = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
        logits = model.logit_scale.exp().item() * (image @ text.T).double()
    targets = [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]]
    by_hand = 0.0
    for matrix in (logits, logits.T):
        rows = [[v - torch.logsumexp(row, 0).item() for v in row.tolist()] for row in matrix]
        by_hand -= (
            sum(t * v for target, row in zip(targets, rows, strict=True) for t, v in zip(target, row, strict=True)) / 6
        )
    assert found == pytest.approx(by_hand, rel=1e-4)


def test_distillation_compares_directions_and_leaves_the_teacher_alone() -> None:
    teacher, student = build_mini_clip(1), build_mini_vision(2)
    task = DistillationTask(teacher, student)
    batch = {"pixels": torch.randn(2, 3, 64, 64), "student_pixels": torch.randn(2, 3, 32, 32)}
    loss = task(batch)
    with torch.no_grad():
        a = F.normalize(teacher.encode_image(batch["pixels"]), dim=1)
        b = F.normalize(student(pixel_values=batch["student_pixels"]).image_embeds, dim=1)
    assert loss.item() == pytest.approx(1 - (a * b).sum(1).mean().item(), abs=1e-5)
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert {name.split(".")[0] for name in task.state_dict()} == {"student"}


def test_the_image_processor_gives_the_towers_pixels() -> None:
    pictures = load_corpus(CorpusRecipe("captioned", 64, seed=1)).pictures[:4]
    processed = image_processor()([Image.fromarray(picture) for picture in pictures], return_tensors="pt").pixel_values
    torch.testing.assert_close(processed, to_pixels(pictures, 32), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_contrasts_are_groups_that_differ_on_two_worded_axes() -> None:
    """Silent axes vary freely; no group names a held-out content; every axis is contrasted somewhere."""
    corpus = load_corpus(CorpusRecipe("contrasts", 800, seed=4))
    groups = corpus.scenes.reshape(-1, GROUP, len(AXES))
    varied = np.array([[len(set(group[:, a].tolist())) > 1 for a in range(len(AXES))] for group in groups])
    silent = np.array([axis.silent for axis in AXES])
    assert varied[:, ~silent].sum(axis=1).max() == 2
    assert varied.any(axis=0).all()
    assert {corpus.scene(i).content for i in range(len(corpus))} <= set(training_contents())
