"""What a conformance check says of a method's representations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prefbench.api import Features
from prefbench.check.findings import fail

ROUNDING = 1e-4
"""How far the numbers of a representation may move."""


def layers_of(vectors: Sequence[Mapping[str, Features]]) -> str:
    """The layers and their widths. Fails unless all are vectors, finite, and of one length wherever they stand."""
    shapes = [{layer: np.shape(vector) for layer, vector in layers.items()} for layers in vectors]
    if any(shape != shapes[0] for shape in shapes):
        fail(f"layers differ between users: {shapes[0]} and {next(s for s in shapes if s != shapes[0])}")
    flat = {layer: shape for layer, shape in shapes[0].items() if len(shape) != 1 or not shape[0]}
    if flat:
        fail(f"not vectors: {flat}")
    if not all(np.isfinite(vector).all() for layers in vectors for vector in layers.values()):
        fail("not all values are finite")
    return ", ".join(f"{layer} ({shape[0]})" for layer, shape in shapes[0].items())


def same_layers(first: Mapping[str, Features], second: Mapping[str, Features], tolerance: float) -> bool:
    """Whether all vectors are alike."""
    return all(np.allclose(vector, second[layer], rtol=tolerance, atol=tolerance) for layer, vector in first.items())
