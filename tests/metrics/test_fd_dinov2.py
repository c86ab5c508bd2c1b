"""`fd-dinov2`: the distance of `fid` under another role, which a suite need not fill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import sqrtm

from prefbench.api import (
    Features,
    FeatureSet,
    Picture,
    Pixels,
    PrefbenchError,
    Reference,
    Sample,
    Split,
    SuiteCard,
    User,
)
from prefbench.metrics.fd_dinov2 import Dinov2Distance
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.sets import FLOOR_KEY, SET_KEY
from tests.support.judged import smooth
from tests.support.stored import scores_of

USERS = ("a", "b", "c")


class Corners:
    """The levels of two corner pixels (N, 6), in place of DINOv2."""

    id = "corners@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        return np.stack([np.concatenate([p[0, 0], p[-1, -1]]).astype(np.float64) for p in pictures])


class World:
    """As much of a suite as the metric asks: three users with twenty references each."""

    digest = "d" * 64
    truth = None

    def __init__(self, extractors: dict[str, str]) -> None:
        self.card = SuiteCard("world", "1", "", "", "none", ("fd-dinov2",), extractors)

    def users(self, split: Split) -> Sequence[User]:
        return [User(user, split) for user in USERS]

    def references(self, _: str) -> Sequence[Reference]:
        return [Reference(u, "p", Picture.of(Image.fromarray(smooth(seed, 8)))) for seed, u in enumerate(USERS * 20)]

    def crowd_references(self, _: str) -> Sequence[Reference]:
        return ()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.append_samples(
        Sample(f"{i:02d}", user, "case", "p", i, 0, "ok", folder.put_image(Image.fromarray(smooth(500 + i, 8))))
        for i, user in enumerate(USERS * 10)
    )
    return folder


def test_it_is_the_frechet_distance_of_the_role_dinov2(folder: RunFolder) -> None:
    suite: Any = World({"dinov2": f"{__file__}:Corners", "fidelity": "unused"})
    assert Evaluator(suite, ["fd-dinov2"]).score(Material(folder, suite, "test")).computed == ["fd-dinov2"]
    header, rows = scores_of(folder, "fd-dinov2")
    assert header["extractor"] == "corners@1"
    values = {row["key"]: row["value"] for row in rows}
    # Twenty references of each user in turn: the first half of them are those of even turn.
    x = Corners().images([smooth(500 + i, 8) for i in range(30)])
    y, z = (Corners().images([smooth(3 * t + u, 8) for u in range(3) for t in range(start, 20, 2)]) for start in (0, 1))
    for key, drawn in ((SET_KEY, x), (FLOOR_KEY, z)):
        covariances = [np.cov(s, rowvar=False) for s in (drawn, y)]
        shift = drawn.mean(axis=0) - y.mean(axis=0)
        root = np.real(sqrtm(covariances[0] @ covariances[1]))
        expected = shift @ shift + np.trace(covariances[0] + covariances[1] - 2 * root)
        assert values[key] == pytest.approx(expected, rel=1e-6)


def test_a_suite_without_the_role_says_so_in_one_line(folder: RunFolder) -> None:
    suite: Any = World({"fidelity": f"{__file__}:Corners"})
    scoring = Evaluator(suite, ["fd-dinov2"]).score(Material(folder, suite, "test"))
    assert scoring.broken == {"fd-dinov2": "world names no extractor for the role 'dinov2'"}


def test_its_card_is_its_own() -> None:
    card = Dinov2Distance().card
    assert (card.name, Dinov2Distance.extractor) == ("fd-dinov2", "dinov2")
    few = FeatureSet(np.zeros((1, 2)), np.array(["a"]), np.array(["p"]))
    with pytest.raises(PrefbenchError, match="fd-dinov2 needs at least 2 drawn images"):
        Dinov2Distance().compare(few, few)
