"""One resumable training loop on accelerate, for every model that prefbench trains.

A task is a module whose `forward(batch)` is the loss. The batch of a step is a function of (seed, rank, step), so a
run that was killed and resumed sees the same batches as one that was not, and ends in the same weights.
"""

from __future__ import annotations

import atexit
import csv
import functools
import json
import logging
import math
import pickle
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from tqdm import tqdm

from prefbench.api import PrefbenchError
from prefbench.files import atomic_file, write_atomic

logger = logging.getLogger(__name__)

Batch = Mapping[str, Tensor]
BatchSource = Callable[[np.random.Generator, int], Batch]
"""Draws a batch of the given size with the given generator."""


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train.

    The learning rate warms up, stays, and falls linearly to zero over the last `decay` share of the images, so a run
    can be made longer by resuming it with more `images` before the decay began.
    """

    images: int
    batch: int = 32
    """Images per step and process."""
    lr: float = 1e-3
    warmup_steps: int = 200
    decay: float = 0.25
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    slow: tuple[tuple[str, float], ...] = ()
    """Factors on the learning rate of parameters whose name begins so: `(("text_encoder", 0.25),)`."""
    ema: float | None = None
    """Decay of the moving average of the weights; None trains without one."""
    seed: int = 0
    save_every_s: float = 300.0

    def learning_rate(self, seen: int, step: int) -> float:
        remaining = max(0.0, 1 - seen / self.images)
        return self.lr * min(1.0, (step + 1) / self.warmup_steps) * min(1.0, remaining / max(self.decay, 1e-9))


@dataclass
class Progress:
    """Progress of a training so far; stored in every checkpoint and, at the end, in the card."""

    step: int = 0
    images: int = 0
    wall_s: float = 0.0
    core_s: float = 0.0
    """Processor seconds over all processes (GPU runs: wall seconds of the process)."""
    machine: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as `on_checkpoint` gets it: the task holds the averaged weights during the call."""

    progress: Progress
    loss: float
    done: bool


def fit(
    task: nn.Module,
    batches: BatchSource,
    config: FitConfig,
    folder: Path,
    *,
    made_of: str = "",
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None,
) -> Progress:
    """Trains `task` until it has seen `config.images` images, continuing from `folder` if it holds a checkpoint.

    Args:
        made_of: identifies data and model beyond `config`; a checkpoint with another value is refused, as is one of
            another `config`, but for its length and how often it is stored.

    Writes `checkpoint.pt`, `loss.csv` and `config.json` into `folder`. On return the task holds the averaged weights.
    """
    accelerator = Accelerator(step_scheduler_with_optimizer=False)
    if accelerator.num_processes > 1:
        _leave_group_at_exit()
    torch.manual_seed(config.seed)
    trainable = [p for p in task.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        _groups(task, config), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
    )
    task.to(accelerator.device)
    ema = None
    if config.ema is not None:
        ema = EMAModel(trainable, decay=config.ema, use_ema_warmup=True, power=0.75, foreach=True)
        ema.to(accelerator.device)
    state = _State(task, optimizer, ema, Progress(), folder / "checkpoint.pt", made_of, config)
    state.load(accelerator.device)
    _note_machine(state.progress, accelerator)
    if accelerator.is_main_process:
        write_atomic(folder / "config.json", json.dumps(asdict(config), indent=2) + "\n")
    wrapped, prepared = accelerator.prepare(task, optimizer)
    _run(accelerator, wrapped, prepared, batches, config, state, on_checkpoint)
    if ema is not None:
        ema.copy_to(trainable)
    return state.progress


@functools.cache
def _leave_group_at_exit() -> None:
    """Processes part before the interpreter ends, once: the group's own threads otherwise abort some of the exits."""
    atexit.register(PartialState().destroy_process_group)


def _groups(task: nn.Module, config: FitConfig) -> list[dict[str, Any]]:
    """The trainable parameters, grouped by their factor on the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            factor = next((f for prefix, f in config.slow if name.startswith(prefix)), 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _run(
    accelerator: Accelerator,
    task: nn.Module,
    optimizer: Any,
    batches: BatchSource,
    config: FitConfig,
    state: _State,
    on_checkpoint: Callable[[Checkpoint], None],
) -> None:
    progress, world = state.progress, accelerator.num_processes
    losses: list[float] = []
    clock = _Clock(progress, world)
    bar = tqdm(total=config.images, initial=progress.images, unit="img", disable=not accelerator.is_main_process)
    task.train()
    while progress.images < config.images:
        rng = np.random.default_rng([config.seed, accelerator.process_index, progress.step])
        batch = {k: v.to(accelerator.device) for k, v in batches(rng, config.batch).items()}
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * config.learning_rate(progress.images, progress.step)
        torch.manual_seed(int(rng.integers(2**63)))  # for dropout, which draws from torch's own generator
        loss = task(batch)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(task.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if state.ema is not None:
            state.ema.step(state.trainable)
        progress.step += 1
        progress.images += config.batch * world
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at step {progress.step}; the last checkpoint is kept")
        bar.update(config.batch * world)
        bar.set_postfix(loss=f"{np.mean(losses[-100:]):.4f}", refresh=False)
        finished = progress.images >= config.images
        if finished or _agreed(accelerator, clock.since_save() > config.save_every_s, progress.step):
            clock.update()
            if accelerator.is_main_process:
                mean = float(np.mean(losses))
                state.save()
                _log_loss(state.path.with_name("loss.csv"), progress, mean)
                state.with_average(lambda: on_checkpoint(Checkpoint(progress, mean, finished)))  # noqa: B023
            losses = []
            accelerator.wait_for_everyone()
            clock.saved()
    bar.close()


def _agreed(accelerator: Accelerator, due: bool, step: int) -> bool:
    """Whether to save now: the main process's clock decides for all, asked every twentieth step."""
    if step % 20:
        return False
    if accelerator.num_processes == 1:
        return due
    flag = torch.tensor(int(due and accelerator.is_main_process), device=accelerator.device)
    return bool(accelerator.reduce(flag, reduction="sum").item())


@dataclass
class _State:
    """All that a resumed run needs, saved and loaded together."""

    task: nn.Module
    optimizer: torch.optim.Optimizer
    ema: EMAModel | None
    progress: Progress
    path: Path
    made_of: str
    config: FitConfig

    @property
    def trainable(self) -> list[nn.Parameter]:
        return [p for p in self.task.parameters() if p.requires_grad]

    def save(self) -> None:
        stored = {
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "progress": asdict(self.progress),
            "made_of": self.made_of,
            "config": asdict(self.config),
        }
        with atomic_file(self.path) as temporary:
            torch.save(stored, temporary)

    def load(self, device: torch.device) -> None:
        if not self.path.exists():
            return
        try:
            # Via the CPU: with several processes on CPUs, devices are named "cpu:0", to which torch maps no file.
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            if stored.get("made_of", "") != self.made_of:
                raise ValueError("it was made by another recipe, or of other data")
            self._check(stored.get("config"))
            self.task.load_state_dict(stored["task"])
            self.optimizer.load_state_dict(stored["optimizer"])
            if self.ema is not None and stored["ema"] is not None:
                self.ema.load_state_dict(stored["ema"])
                self.ema.to(device)
            self.progress.__dict__.update(stored["progress"])
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise PrefbenchError(f"{self.path} does not fit this training ({reason}); use another --out") from error
        logger.info("resumed %s at step %d", self.path, self.progress.step)

    def _check(self, stored: Mapping[str, Any] | None) -> None:
        """Raises `ValueError` for another schedule; None is of checkpoints that were stored before it was noted."""
        if stored is None:
            return
        today = asdict(self.config)
        other = [name for name in today if name in stored and stored[name] != today[name]]
        if strange := sorted({*other} - {"images", "save_every_s"}):
            raise ValueError(f"it was made with {strange[0]}={stored[strange[0]]}, not {today[strange[0]]}")

    def with_average(self, action: Callable[[], None]) -> None:
        if self.ema is not None:
            self.ema.store(self.trainable)
            self.ema.copy_to(self.trainable)
        self.task.eval()
        try:
            action()
        finally:
            self.task.train()
            if self.ema is not None:
                self.ema.restore(self.trainable)


class _Clock:
    """Adds wall and processor time to the progress, and says how long ago the last checkpoint was."""

    def __init__(self, progress: Progress, processes: int) -> None:
        self._progress, self._processes = progress, processes
        self._wall, self._core = time.monotonic(), time.process_time()
        self._last_save = self._wall

    def since_save(self) -> float:
        return time.monotonic() - self._last_save

    def saved(self) -> None:
        self._last_save = time.monotonic()

    def update(self) -> None:
        wall, core = time.monotonic(), time.process_time()
        self._progress.wall_s += wall - self._wall
        self._progress.core_s += (core - self._core) * self._processes
        self._wall, self._core = wall, core


def _note_machine(progress: Progress, accelerator: Accelerator) -> None:
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " CPU"
    label = f"{accelerator.num_processes} x {name}, {torch.get_num_threads()} thread(s) each"
    if label not in progress.machine:
        progress.machine.append(label)


def _log_loss(path: Path, progress: Progress, loss: float) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if fresh:
            writer.writerow(("step", "images", "wall_s", "core_s", "loss"))
        row = (progress.step, progress.images, round(progress.wall_s, 1), round(progress.core_s, 1), round(loss, 6))
        writer.writerow(row)
