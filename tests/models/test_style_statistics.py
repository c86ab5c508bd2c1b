"""The extractor `style-statistics` against loops, on pictures of any size, and on styles that it must tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from prefbench import registry
from prefbench.api import Pixels, PrefbenchError
from prefbench.models.extractors.style_statistics import StyleStatistics
from tests.support.judged import smooth


def looped(picture: Pixels) -> list[float]:
    """The descriptor written out, pixel by pixel."""

    def root(moment: float) -> float:
        return float(np.sign(moment) * abs(moment) ** 0.5)

    levels = picture.reshape(-1, 3) / 255
    means = [float(np.mean(levels[:, c])) for c in range(3)]
    found = list(means)
    for a in range(3):
        for b in range(a, 3):
            found.append(root(float(np.mean((levels[:, a] - means[a]) * (levels[:, b] - means[b])))))
    for side in (128, 64, 32):
        scale = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)) / 255
        red, green, blue = (scale[..., c] for c in range(3))
        channels = ((red + green + blue) / 3, red - green, blue - (red + green) / 2)
        textures: list[list[float]] = [[] for _ in range(12)]
        for y in range(side - 1):
            for x in range(side - 1):
                for c, channel in enumerate(channels):
                    right, down = channel[y, x + 1] - channel[y, x], channel[y + 1, x] - channel[y, x]
                    for d, step in enumerate((right, down, (right + down) / 2**0.5, (right - down) / 2**0.5)):
                        textures[3 * d + c].append(abs(step))
        for i in range(12):
            for j in range(i, 12):
                found.append(root(float(np.dot(textures[i], textures[j])) / (side - 1) ** 2))
    return found


@pytest.mark.parametrize("shape", [(32, 32), (20, 50)])
def test_the_descriptor_equals_a_loop(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert StyleStatistics().images([picture])[0] == pytest.approx(looped(picture), abs=1e-12)


def test_it_is_registered_and_takes_pictures_of_any_size() -> None:
    extractor = registry.load("extractor", "style-statistics")()
    pictures = [np.full((h, w, 3), 40, np.uint8) for h, w in ((1, 1), (3, 200), (300, 200))]
    features = extractor.images(pictures)
    assert features.shape == (3, 243)
    assert np.isfinite(features).all()
    assert features[:, 3:] == pytest.approx(0, abs=1e-6)
    assert extractor.images([]).shape == (0, 0)
    assert extractor.id.startswith("style-statistics[")


def test_what_is_moved_or_mirrored_keeps_its_style_and_what_is_recoloured_does_not() -> None:
    rng = np.random.default_rng(1)
    stripes = np.zeros((64, 64, 3), np.uint8) + np.where(np.arange(64) % 8 < 4, 40, 200).astype(np.uint8)[:, None, None]
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    first, moved, turned, other = StyleStatistics().images(
        [stripes, np.roll(stripes, 8, axis=0), np.ascontiguousarray(stripes.transpose(1, 0, 2)), noise]
    )
    assert np.abs(first - moved).max() < 0.02
    assert np.abs(first - turned).max() > 0.1
    assert np.abs(first - other).max() > 0.1
    plain, recoloured = StyleStatistics().images([smooth(1), smooth(1)[..., ::-1]])
    assert plain[:3] == pytest.approx(recoloured[2::-1])
    assert np.abs(plain - recoloured).max() > 0.05


def test_the_texture_is_that_of_the_picture_and_not_of_its_pixels() -> None:
    small = smooth(4, 128)
    large = np.asarray(Image.fromarray(small).resize((512, 512), Image.Resampling.BICUBIC))
    first, second, other = StyleStatistics().images([small, large, smooth(5, 128)])
    assert np.abs(first - second).max() < 0.01 < np.abs(first - other).max()


def test_bad_input() -> None:
    with pytest.raises(PrefbenchError, match=r"uint8 pictures \(H, W, 3\), got float64"):
        StyleStatistics().images([np.zeros((4, 4, 3))])  # type: ignore[list-item]
    with pytest.raises(PrefbenchError, match="no text tower; 2 texts"):
        StyleStatistics().texts(["a", "b"])
