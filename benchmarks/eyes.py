"""What passes from a picture to a language model: the world's axes, read off its vision tower and its image tokens.

    python benchmarks/eyes.py --mllm mini-mllm --result benchmarks/results/eyes-mini-mllm.json

A ridge classifier is fitted to 3,000 pictures that no model learned from, with the value of an axis as its label, and
measured on 1,000 others: on the outputs of the vision tower (in 16 segments of patches), on the image tokens that the
connector makes of them, and on the tokens' mean, as which a model with `pooled` is shown them.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prefbench.api import FloatArray, PrefbenchError
from prefbench.files import write_atomic
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.pooling import mean_token
from prefbench.run.environment import code_state, hardware, versions
from prefbench.suites.picturebook.data.corpus import held_out, load_corpus
from prefbench.suites.picturebook.world.axes import AXES

PICTURES, FITTED = 4_000, 3_000
ALPHA = 300.0
"""Of the ridge, for standardised features."""


@click.command()
@click.option("--mllm", default="mini-mllm", show_default=True, help="A registered name or a folder.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(mllm: str, result: Path | None) -> None:
    """Prints the accuracy for each axis from the tower, the image tokens and their mean, and tokens over tower."""
    torch.set_num_threads(1)
    corpus = load_corpus(held_out(PICTURES))
    model, whole = load_mllm(mllm), []
    model.model.model.connector.register_forward_hook(
        lambda _connector, _inputs, tokens: whole.append(tokens.detach()), prepend=True
    )
    states, _ = encode_images(model, [Image.fromarray(picture) for picture in corpus.pictures])
    tokens = torch.cat(whole).float()
    seen = {"tower": states, "tokens": tokens.flatten(1), "mean": mean_token(tokens).flatten(1)}
    rows = []
    for number, axis in enumerate(AXES):
        values = corpus.scenes[:, number]
        found = {name: _accuracy(features.double().numpy(), values) for name, features in seen.items()}
        rows.append({"axis": axis.name, "silent": axis.silent, **found, "passed": found["tokens"] / found["tower"]})
        click.echo("  ".join(f"{name} {v:.3f}" if isinstance(v, float) else str(v) for name, v in rows[-1].items()))
    if result is not None:
        content = {"mllm": Path(mllm).name, "rows": rows, "code": code_state()}
        content |= {"hardware": hardware(), "versions": versions()}
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def _accuracy(features: FloatArray, values: NDArray[np.int8]) -> float:
    probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=ALPHA)).fit(features[:FITTED], values[:FITTED])
    return float(np.mean(probe.predict(features[FITTED:]) == values[FITTED:]))


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"eyes: {error}") from error
