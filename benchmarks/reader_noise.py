"""How much of the gap noise closes: `prompt-only` with pixels moved up to 4, 8 and 16 levels, as the reader sees it.

    python benchmarks/reader_noise.py --result benchmarks/results/reader-noise.json
    python benchmarks/reader_noise.py --reader FOLDER     readers that are not installed

The attack is that of `reader-noise`: it knows users, instrument and weights, and averages over whatever the reading
averages over. 0 is `prompt-only` and 1 `inferred`, each as the same reader reads them. Beside it stand the accuracy on
clean held-out renderings, and how far readers disagree, with and without noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from prefbench.api import FloatArray, PrefbenchError, to_pixels
from prefbench.files import WEIGHTS, write_atomic
from prefbench.methods.shared.climbing import Through, climb
from prefbench.models.backbones.loader import load_backbone
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions
from prefbench.suites.picturebook.reader.panel import Panel
from prefbench.suites.picturebook.reader.reader import load_reader, reader_files, reading_accuracy
from prefbench.suites.picturebook.reader.slopes import expected_slopes
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.utilities import utilities
from prefbench.suites.picturebook.world.prompts import Prompt

LEVELS, STEPS = (4, 8, 16), 20
_REPLICATES = 2000


@dataclass(frozen=True)
class Drawn:
    """One user's prompts, and what two methods draw of them: uint8 (N, 32, 32, 3)."""

    user: Any
    prompts: Sequence[Prompt]
    seeds: Sequence[int]
    plain: NDArray[np.uint8]
    inferred: NDArray[np.uint8]


@click.command()
@click.option("--reader", type=click.Path(path_type=Path, exists=True), default=WEIGHTS / "reader", show_default=True)
@click.option("--users", type=click.IntRange(min=2), default=25, show_default=True)
@click.option("--through", type=click.Choice(["plain", "shifts", "shifts and jpeg"]), default="plain")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(reader: Path, users: int, through: Through, result: Path | None) -> None:
    """Prints and writes the share of the gap at each strength, with an interval over users."""
    torch.set_num_threads(1)
    panel, drawn = load_reader(reader), draw(users)
    low, high = ([utility(panel, d, pictures) for d, pictures in _of(drawn, name)] for name in ("plain", "inferred"))
    gap = np.mean(high) - np.mean(low)
    click.echo(f"prompt-only {np.mean(low):.3f}  inferred {np.mean(high):.3f}")
    rows = [attacked(panel, drawn, levels, through, np.array(low), np.array(high)) for levels in LEVELS]
    content = {
        "reader": [
            f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" for path in reader_files(reader)
        ],
        "users": users,
        "images": sum(len(d.prompts) for d in drawn),
        "steps": STEPS,
        "through": through,
        "prompt-only": float(np.mean(low)),
        "inferred": float(np.mean(high)),
        "gap": float(gap),
        "disagreement": _disagreement(panel, [d.plain for d in drawn]),
        "rows": rows,
        "accuracy": dict(reading_accuracy(panel)),
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    click.echo("  ".join(f"{name} {value:.3f}" for name, value in content["accuracy"].items()))
    if result is not None:
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def draw(users: int) -> list[Drawn]:
    """The first test users, the same pictures whatever reads them."""
    suite: Picturebook = load("suite", "picturebook")()
    backbone = load_backbone("mini-sd", device="cpu")
    drawn = []
    for number, user in enumerate(suite._find(one.id) for one in suite.users("test")[:users]):
        texts = [case.prompt for case in suite.cases(user.id)]
        seeds = [1000 * number + i for i in range(len(texts))]
        plain = [to_pixels(image) for image in backbone.generate(texts, seeds)]
        best = suite.truth.inferred(suite.history(user.id))
        renders = [suite.truth.render_inferred(best, text, seed) for text, seed in zip(texts, seeds, strict=True)]
        inferred = [to_pixels(backbone.roundtrip(render)) for render in renders]
        drawn.append(Drawn(user, [Prompt.of(text) for text in texts], seeds, np.stack(plain), np.stack(inferred)))
    return drawn


def _of(drawn: Sequence[Drawn], name: str) -> list[tuple[Drawn, NDArray[np.uint8]]]:
    return [(d, getattr(d, name)) for d in drawn]


def utility(panel: Panel, drawn: Drawn, pictures: NDArray[np.uint8]) -> float:
    """The mean utility of one user's pictures."""
    return float(utilities(drawn.user, drawn.prompts, panel.read(pictures))["total"].mean())


def noisy(panel: Panel, drawn: Drawn, levels: int, through: Through) -> NDArray[np.uint8]:
    """One user's plain pictures with the noise that this panel likes best."""

    def total(read: Mapping[str, FloatArray]) -> FloatArray:
        rows = len(read["object"]) // len(drawn.prompts)
        return utilities(drawn.user, [*drawn.prompts] * rows, read)["total"]

    def slopes(x: FloatArray) -> Any:
        return expected_slopes(panel, x, total)

    pictures = climb(list(drawn.plain), slopes, levels=levels, steps=STEPS, seeds=drawn.seeds, through=through)
    return np.stack(pictures)


def attacked(
    panel: Panel, drawn: Sequence[Drawn], levels: int, through: Through, low: FloatArray, high: FloatArray
) -> dict[str, Any]:
    """The row of one strength; `low` and `high` are the users' utilities of the two methods."""
    pictures = [noisy(panel, one, levels, through) for one in drawn]
    won = np.array([utility(panel, one, noise) for one, noise in zip(drawn, pictures, strict=True)])
    chosen = np.random.default_rng(0).integers(len(drawn), size=(_REPLICATES, len(drawn)))
    shares = (won[chosen].mean(1) - low[chosen].mean(1)) / (high[chosen].mean(1) - low[chosen].mean(1))
    row = {
        "levels": levels,
        "utility": float(won.mean()),
        "closed": float((won.mean() - low.mean()) / (high.mean() - low.mean())),
        "low": float(np.quantile(shares, 0.025)),
        "high": float(np.quantile(shares, 0.975)),
        "disagreement": _disagreement(panel, pictures),
    }
    click.echo("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    return row


def _disagreement(panel: Panel, pictures: Sequence[NDArray[np.uint8]]) -> float:
    return float(panel.disagreement(np.concatenate(pictures)).mean())


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"reader_noise: {error}") from error
