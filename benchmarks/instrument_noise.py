"""What noise wins from the learned scorer and from clip-score: `prompt-only` with pixels moved by 4, 8 and 16 levels.

    python -m benchmarks.instrument_noise --out benchmarks/results/instrument-noise.json

The attack knows weights, prompts and the very histories that the scorer is asked with. A share of 0 is `prompt-only`; 1
is `inferred` for the scorer, and for clip-score what the right prompt is worth above another one on the same pictures.
`benchmarks/reader_noise.py` has the same for the reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.reader_noise import LEVELS, STEPS, Drawn, draw
from prefbench.api import Extractor, FloatArray, PrefbenchError, Request, Scorer
from prefbench.api.gradients import SlopedExtractor, Slopes
from prefbench.files import write_atomic
from prefbench.methods.attacks.clip_noise import agreement_slopes
from prefbench.methods.attacks.scorer_noise import sloped_scorer
from prefbench.methods.shared.climbing import Through, climb
from prefbench.registry import load
from prefbench.run.environment import code_state, hardware, versions

_REPLICATES = 2000


class Instrument(NamedTuple):
    """Something that gives pictures of a user values."""

    id: str
    values: Callable[[Drawn, NDArray[np.uint8]], FloatArray]
    """(N,) of a user's pictures, one per prompt."""
    slopes: Callable[[Drawn, FloatArray], Slopes]
    roof: Callable[[Drawn], FloatArray]
    """The values (N,) that count as 1."""
    floor: Callable[[Drawn], FloatArray]
    """The values (N,) that count as 0."""


@click.command()
@click.option("--users", type=click.IntRange(min=2), default=25, show_default=True)
@click.option("--through", type=click.Choice(["plain", "shifts", "shifts and jpeg"]), default="plain")
@click.option("--out", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(users: int, through: Through, out: Path | None) -> None:
    """Prints and writes the value and the share at each strength, with an interval over users."""
    torch.set_num_threads(1)
    drawn = draw(users)
    content = {
        "users": users,
        "images": sum(len(one.prompts) for one in drawn),
        "steps": STEPS,
        "through": through,
        "instruments": {one.id: measured(one, drawn, through) for one in (scorer(), clip_score())},
        "code": code_state(),
        "hardware": hardware(),
        "versions": versions(),
    }
    if out is not None:
        write_atomic(out, json.dumps(content, indent=1) + "\n")


def scorer() -> Instrument:
    """P(liked) of `preference`, asked with what only scorers see."""
    judge, suite = sloped_scorer("preference"), load("suite", "picturebook")()

    def values(one: Drawn, pictures: NDArray[np.uint8]) -> FloatArray:
        return cast("Scorer", judge).score(suite.history(one.user.id, "scorer"), _texts(one), list(pictures))

    def slopes(one: Drawn, pictures: FloatArray) -> Slopes:
        return judge.score_slopes(suite.history(one.user.id, "scorer"), _texts(one), pictures)

    return Instrument(
        cast("Scorer", judge).card.name,
        values,
        slopes,
        roof=lambda one: values(one, one.inferred),
        floor=lambda one: values(one, one.plain),
    )


def clip_score() -> Instrument:
    """100 times the cosine of a picture and its prompt."""
    towers: Extractor = load("extractor", "mini-clip")()

    def agreement(one: Drawn, pictures: NDArray[np.uint8], shift: int = 0) -> FloatArray:
        images, texts = towers.images(list(pictures)), towers.texts(np.roll(_texts(one), shift).tolist())
        cosines = (images * texts).sum(1) / (np.linalg.norm(images, axis=1) * np.linalg.norm(texts, axis=1))
        return np.asarray(100 * cosines)

    def slopes(one: Drawn, pictures: FloatArray) -> Slopes:
        asked = cast("list[Request]", [SimpleNamespace(prompt=text) for text in _texts(one)])
        return agreement_slopes(cast("SlopedExtractor", towers), asked, pictures)

    return Instrument(
        "clip-score",
        agreement,
        slopes,
        roof=lambda one: agreement(one, one.plain),
        floor=lambda one: agreement(one, one.plain, shift=1),
    )


def _texts(one: Drawn) -> list[str]:
    return [prompt.text for prompt in one.prompts]


def measured(instrument: Instrument, drawn: Sequence[Drawn], through: Through) -> dict[str, Any]:
    floor, plain, roof = (
        np.array([of(one).mean() for one in drawn])
        for of in (instrument.floor, lambda one: instrument.values(one, one.plain), instrument.roof)
    )
    click.echo(f"{instrument.id}: prompt-only {plain.mean():.3f}, counts as 1 {roof.mean():.3f}")
    rows = list(_rows(instrument, drawn, through, (floor, plain, roof)))
    return {"floor": float(floor.mean()), "prompt-only": float(plain.mean()), "roof": float(roof.mean()), "rows": rows}


def _rows(
    instrument: Instrument, drawn: Sequence[Drawn], through: Through, frame: tuple[FloatArray, ...]
) -> Iterator[dict[str, Any]]:
    """The value at each strength, and its rise over `prompt-only` as a share of what lies between floor and roof."""
    floor, plain, roof = frame
    chosen = np.random.default_rng(0).integers(len(drawn), size=(_REPLICATES, len(drawn)))
    for levels in LEVELS:
        won = np.array([instrument.values(one, _noisy(instrument, one, levels, through)).mean() for one in drawn])
        shares = (won - plain)[chosen].mean(1) / (roof - floor)[chosen].mean(1)
        row = {
            "levels": levels,
            "value": float(won.mean()),
            "share": float((won - plain).mean() / (roof - floor).mean()),
            "low": float(np.quantile(shares, 0.025)),
            "high": float(np.quantile(shares, 0.975)),
        }
        click.echo("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        yield row


def _noisy(instrument: Instrument, one: Drawn, levels: int, through: Through) -> NDArray[np.uint8]:
    def slopes(pictures: FloatArray) -> Slopes:
        return instrument.slopes(one, pictures)

    pictures = climb(list(one.plain), slopes, levels=levels, steps=STEPS, seeds=one.seeds, through=through)
    return np.stack(pictures)


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"instrument_noise: {error}") from error
