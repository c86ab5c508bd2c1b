"""The figure of the layer stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import PrefbenchError
from prefbench.methods.ours.train.layer_figure import draw_layers
from prefbench.probing import LIKING_ACCURACY, VERIFICATION, StatePair, probe_liking, probe_users
from tests.support.probing import USER_LAYER, USERS, item_states, pairs, probe_labels


@pytest.mark.slow
def test_both_probes_are_drawn_and_the_chosen_layers_shaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    labels = probe_labels(rng)
    floor = StatePair(*rng.standard_normal((2, USERS, 4)))
    rows = probe_users(pairs(rng, planted=1.0), floor=floor) + probe_liking(
        item_states(rng, labels, planted=0.5), labels
    )
    one, two = (draw_layers(rows, tmp_path / name, choice={VERIFICATION: [USER_LAYER]}) for name in ("1.png", "2.png"))
    assert one.read_bytes() == two.read_bytes()
    with Image.open(one) as image:
        assert image.width == 1350
        blue = (np.abs(np.asarray(image.convert("RGB")).astype(int) - (0x0B, 0x6F, 0xAE)).sum(-1) < 20).sum()
    assert blue > 1000, "the line of a pooling is drawn"
    assert draw_layers(rows, tmp_path / "plain.png").read_bytes() != one.read_bytes(), "the choice is shaded"
    with pytest.raises(PrefbenchError, match="no rows of the task 'verification'"):
        draw_layers([row for row in rows if row.task == LIKING_ACCURACY], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
