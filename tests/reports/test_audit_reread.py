"""Reading again: numbers that hang on single pixels fall under a change that nobody sees, those of pictures stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import prefbench
from prefbench.api import Drawing, Features, Method, MethodCard, Pixels, Request, Sample, Truth, to_pixels
from prefbench.check.findings import Finding
from prefbench.reports.audit.checks import audit
from prefbench.reports.audit.contents import SuiteContents, read_suite
from prefbench.reports.audit.reread import Loss, _losses, chosen, compressed, moved
from prefbench.run.folder import RunFolder
from tests.support.peopled_suite import Light, PeopledSuite

PLACE = (slice(8, 24, 4), slice(8, 24, 4))
"""The pixels that the fragile instrument looks at."""


class Fragile(Light):
    """Likes light in a few pixels and looks at nothing else."""

    def utility(self, user: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:  # noqa: ARG002
        light = np.array([picture[PLACE].mean() / 255 for picture in pictures])
        return dict.fromkeys(("total", *self.groups), light)


class FragileSuite(PeopledSuite):
    @property
    def truth(self) -> Truth:
        return Fragile()


class Plain(Method):
    """Even grey."""

    card = MethodCard(name="plain", version="1", summary="grey", backbone_kind=None)

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return [Drawing(Image.fromarray(self.pixels(request.seed)), request.prompt) for request in requests]

    def pixels(self, seed: int) -> Any:
        return np.full((32, 32, 3), 100 + seed % 50, np.uint8)


class Playing(Plain):
    """Grey with the pixels set that count."""

    card = MethodCard(name="playing", version="1", summary="grey", backbone_kind=None)

    def pixels(self, seed: int) -> Any:
        pixels = super().pixels(seed)
        pixels[PLACE] = 255
        return pixels


@pytest.fixture(scope="module")
def seen() -> SuiteContents:
    return read_suite(PeopledSuite(), "test")


def reread(method: type[Method], folder: Path, seen: SuiteContents, backbone: Path, **choices: Any) -> Finding:
    options: dict[str, Any] = {"suite": f"{__file__}:FragileSuite", "backbone": str(backbone), "out": folder}
    run = prefbench.run(method, device="cpu", steps=1, samples=1, **options, **choices)
    return next(one for one in audit(RunFolder(run.path), FragileSuite(), seen) if one.check == "read again")


@pytest.mark.slow
def test_who_plays_single_pixels_fails_and_an_even_picture_does_not(
    tmp_path: Path, seen: SuiteContents, tiny_sd: Path
) -> None:
    honest, played = (reread(method, tmp_path, seen, tiny_sd) for method in (Plain, Playing))
    assert honest.outcome == "ok"
    assert honest.detail == "12 images, lost of the range: utility moved by a pixel +0.000; utility as JPEG 75 +0.000"
    assert played.outcome == "FAILED"
    assert {row["change"] for row in played.rows} >= {"moved by a pixel"}
    assert played.rows[0]["before"] == 1.0
    assert played.rows[0]["lost"] > 0.4


@pytest.mark.slow
def test_a_run_that_was_not_scored_has_nothing_to_read_again(
    tmp_path: Path, seen: SuiteContents, tiny_sd: Path
) -> None:
    finding = reread(Plain, tmp_path, seen, tiny_sd, score=False)
    assert (finding.outcome, finding.detail.partition(" utility")[0]) == ("not applicable", "there are no scores of")


def test_a_move_is_by_one_pixel_in_four_ways() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    right, left, down, up = (to_pixels(image) for image in moved(Image.fromarray(pixels)))
    assert (right[:, 1:] == pixels[:, :-1]).all()
    assert (right[:, 0] == pixels[:, 0]).all()
    assert (left[:, :-1] == pixels[:, 1:]).all()
    assert (down[1:] == pixels[:-1]).all()
    assert (up[:-1] == pixels[1:]).all()
    assert {one.shape for one in (right, left, down, up)} == {pixels.shape}


def test_a_jpeg_has_the_same_size_and_other_pixels() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8))
    (jpeg,) = compressed(image)
    assert jpeg.size == image.size
    assert 0 < np.abs(to_pixels(jpeg).astype(int) - to_pixels(image)).mean() < 60


def test_losses_are_shares_of_the_range_which_for_clip_score_is_what_prompts_are_worth() -> None:
    means = {"as it is": 30.0, "moved by a pixel": 27.0, "as JPEG 75": 31.0, "another prompt": 10.0}
    assert [loss.share for loss in _losses("clip-score", means)] == pytest.approx([0.15, -0.05])
    assert Loss("utility", "as JPEG 75", 0.9, 0.3, 1.0).row()["lost"] == 0.6
    assert _losses("clip-score", {**means, "another prompt": 28.0}) == [], "pictures of no prompt have nothing to lose"


def test_every_sample_may_be_looked_at_and_nobody_knows_which() -> None:
    """Or noise would be put on the others alone."""
    drawn = [SimpleNamespace(index=i % 2, user=f"user-{i // 10}") for i in range(1000)]
    looks = [chosen(cast("list[Sample]", drawn)) for _ in range(3)]
    assert all(len(look) == 200 for look in looks)
    assert all({one.index for one in look} == {0, 1} for look in looks)
    assert all(len({one.user for one in look}) > 60 for look in looks)
    assert len({tuple(drawn.index(cast("Any", one)) for one in look[:5]) for look in looks}) == 3
