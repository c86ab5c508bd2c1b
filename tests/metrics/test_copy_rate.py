"""`copy-rate` on planted copies, its hashes against loops, its test against SciPy's Mann-Whitney statistic."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import cos, pi

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import mannwhitneyu

from prefbench.api import DrawnImages, Evidence, History, Pixels, PrefbenchError
from prefbench.metrics.copy_rate import CopyRate
from prefbench.metrics.shared.memorised import copy_detector, threshold
from prefbench.metrics.shared.picture_hash import picture_hash, view_hashes
from tests.support.judged import as_jpeg, cosine, cropped, drawn, evidence, history, resized, smooth, thumbnails

USERS, LIKES = 15, 20
"""15 x 14 x 20 pairs of a user and another user's like."""
SHOWN = {f"u{i}": history(f"u{i}", [100 * i, 100 * i + 1], [100 * i + 2]) for i in range(USERS)}
KEPT = {f"u{i}": history(f"u{i}", [100 * i + 10 + j for j in range(LIKES)], [100 * i + 50]) for i in range(USERS)}
RUN = evidence({"method": SHOWN, "scorer": KEPT})
METRIC = CopyRate()


def score(user: str, pictures: list[Pixels], given: Evidence = RUN) -> dict[str, list[float | None]]:
    columns = METRIC.score(DrawnImages(drawn(user, pictures), thumbnails(pictures), given))
    return {column: list(values) for column, values in columns.items()}


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "exact": lambda p: p,
    "jpeg": as_jpeg,
    "mirrored": lambda p: p[:, ::-1],
    "half size": lambda p: resized(p, 32, 32),
    "half size and back": lambda p: resized(resized(p, 32, 32), 64, 64),
    "brighter": lambda p: (p * 0.8 + 40).astype(np.uint8),
    "other sides": lambda p: resized(p, 80, 50),
    "cropped": lambda p: cropped(p, 0.1),
    "cropped a little": lambda p: cropped(p, 0.03),
    "mirrored jpeg of half size": lambda p: as_jpeg(resized(p[:, ::-1], 32, 32)),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_planted_copies_are_caught(change: Callable[[Pixels], Pixels]) -> None:
    for i in range(USERS):
        found = score(f"u{i}", [change(smooth(100 * i + j)) for j in range(3)])
        assert found["copy-rate"] == [1, 1, 1]
        assert found["copy-rate/hash"] == [1, 1, 1]


def test_the_embedding_sees_what_the_hash_does_not() -> None:
    shades = np.stack([smooth(100)[..., channel] for channel in (1, 2, 0)], axis=-1)
    exact = smooth(100)
    assert score("u1", [exact])["copy-rate/embedding"] == [1]
    noisy = (exact * 0.5 + 64 + np.random.default_rng(0).integers(-64, 65, exact.shape)).clip(0, 255).astype(np.uint8)
    found = score("u1", [noisy, shades])
    assert found["copy-rate/embedding"] == [1, 0]
    assert found["copy-rate"][0] == 1


def test_unrelated_pictures_and_other_users_pictures_are_not() -> None:
    """One picture in 500 may be; users with few likes have a coarse `nearer`."""
    found = [score(f"u{i}", [smooth(10_000 + 40 * i + j) for j in range(40)]) for i in range(USERS)]
    assert np.mean([columns["copy-rate"] for columns in found]) <= 0.01
    assert np.mean([columns["copy-rate/nearer"] for columns in found]) == pytest.approx(0.5, abs=0.1)
    assert score("u0", [smooth(100), smooth(510)])["copy-rate"] == [0, 0]


@pytest.mark.slow
def test_a_user_alone_gets_what_the_run_gets() -> None:
    """Chunks of a run are scored one after another: thresholds must come from the evidence, whoever is in the chunk."""
    samples = [s for i in range(USERS) for s in drawn(f"u{i}", [smooth(100 * i), smooth(7000 + i)])]
    features = thumbnails([s.pixels for s in samples])
    whole = CopyRate().score(DrawnImages(samples, features, RUN))
    one = CopyRate()
    pieces = [one.score(DrawnImages(samples[i : i + 2], features[i : i + 2], RUN)) for i in range(0, len(samples), 2)]
    for column, values in whole.items():
        assert [v for piece in pieces for v in piece[column]] == list(values)


# ----------------------------------------------------------------------------------------- the data-copying test


def test_nearer_is_the_mann_whitney_statistic_of_each_user() -> None:
    """With ties: of two equal likes, and of a sample with a like."""
    likes = {user: history(user, [i, i, i + 1, i + 2, i + 3]) for i, user in ((20, "u0"), (120, "u1"))}
    run = evidence({"method": SHOWN, "scorer": likes})
    for i, user in ((20, "u0"), (120, "u1")):
        pictures = [smooth(s) for s in (i, i + 7, i + 1, i + 30, i - 20)]
        shown = thumbnails([smooth(i - 20 + j) for j in range(3)])

        def distances(rows: NDArray[np.float64], shown: NDArray[np.float64] = shown) -> list[float]:
            return [round(1 - max(cosine(row, s) for s in shown), 9) for row in rows]

        held_out = distances(thumbnails([smooth(s) for s in (i, i, i + 1, i + 2, i + 3)]))
        statistic = mannwhitneyu(held_out, distances(thumbnails(pictures))).statistic
        found = score(user, pictures, run)["copy-rate/nearer"]
        assert np.mean([v for v in found if v is not None]) == pytest.approx(statistic / (5 * 5), abs=1e-12)
        assert found[-1] == 1


# ------------------------------------------------------------------------------------------------------ thresholds


@pytest.mark.slow
def test_thresholds_are_those_of_a_test_at_one_in_a_thousand() -> None:
    found = copy_detector(RUN)
    assert found.negatives == USERS * (USERS - 1) * LIKES
    bits, cosines = [], []
    for user, shown in SHOWN.items():
        pictures = [j.picture.load() for j in (*shown.liked, *shown.disliked)]
        views = np.concatenate([view_hashes(picture) for picture in pictures])
        features = thumbnails([np.asarray(picture) for picture in pictures])
        for other, kept in KEPT.items():
            for like in kept.liked if other != user else ():
                image = like.picture.load()
                own = picture_hash(image)[0]
                bits.append(min(sum(bin(int(a ^ b)).count("1") for a, b in zip(own, v, strict=True)) for v in views))
                (row,) = thumbnails([np.asarray(image)])
                cosines.append(max(cosine(row, f) for f in features))
    for closeness, limit in (
        (-np.array(bits, dtype=float), found.agreement_threshold),
        (np.array(cosines), found.cosine_threshold),
    ):
        assert (1 + np.sum(closeness > limit + 1e-12)) / (1 + len(closeness)) <= 0.001
        assert (1 + np.sum(closeness >= limit - 1e-12)) / (1 + len(closeness)) > 0.001


def test_a_threshold_that_no_copy_exceeds_is_none() -> None:
    assert threshold(np.arange(2000.0), 3000.0) == 1998
    assert threshold(np.arange(1000.0), 3000.0) == 999
    assert np.isnan(threshold(np.ones(2000), 1.0))
    assert np.isnan(threshold(np.arange(999.0), 1e6))


def test_a_like_that_somebody_else_was_shown_is_no_negative() -> None:
    shared = {**KEPT, "u3": replace(KEPT["u3"], liked=(*KEPT["u3"].liked, *SHOWN["u5"].liked))}
    found = copy_detector(evidence({"method": SHOWN, "scorer": shared}))
    assert found.negatives == USERS * (USERS - 1) * LIKES + (USERS - 2) * 2
    assert found.agreement_threshold < 0


def test_too_few_negatives_leave_only_the_test_without_a_threshold(caplog: pytest.LogCaptureFixture) -> None:
    few = evidence({"method": SHOWN, "scorer": {user: KEPT[user] for user in list(KEPT)[:3]}})
    with caplog.at_level(logging.WARNING):
        found = score("u0", [smooth(0), smooth(9000)], few)
    assert found["copy-rate"] == found["copy-rate/hash"] == found["copy-rate/embedding"] == [None, None]
    assert found["copy-rate/nearer"][0] == 1
    assert "need 1000 pairs of a user and another user's held-out like, there are 840" in caplog.text


def test_who_was_shown_nothing_gets_no_value() -> None:
    shown = {**SHOWN, "u0": History("u0", (), ())}
    kept = {**KEPT, "u1": History("u1", (), ())}
    run = evidence({"method": shown, "scorer": kept})
    assert copy_detector(run).negatives == (USERS - 1) * (USERS - 2) * LIKES + LIKES
    assert all(values == [None] for values in score("u0", [smooth(0)], run).values())
    assert score("u1", [smooth(100)], run) == {
        "copy-rate": [1],
        "copy-rate/hash": [1],
        "copy-rate/embedding": [1],
        "copy-rate/nearer": [None],
    }


def test_features_without_a_direction_and_without_rows() -> None:
    gray = np.full((64, 64, 3), 90, np.uint8)
    found = score("u0", [gray, smooth(0)])
    assert found["copy-rate/embedding"] == [None, 1]
    assert found["copy-rate"] == [None, 1]
    assert found["copy-rate/hash"][0] is not None
    with pytest.raises(PrefbenchError, match="one feature row per sample; give the suite a `similarity`"):
        CopyRate().score(DrawnImages(drawn("u0", [gray]), None, RUN))


# ------------------------------------------------------------------------------------------------------- the hashes


def looped_hash(grid: NDArray[np.float64], steps: NDArray[np.float64]) -> tuple[int, int]:
    """dHash and pHash bit by bit from the two reduced pictures."""
    difference = frequency = 0
    for row in steps:
        for left, right in pairwise(row):
            difference = 2 * difference + int(right > left)
    side = len(grid)
    waves = [[cos(pi * (2 * x + 1) * k / (2 * side)) for x in range(side)] for k in range(8)]
    scale = [(1 / side if k == 0 else 2 / side) ** 0.5 for k in range(8)]
    terms = [
        scale[u] * scale[v] * sum(grid[y][x] * waves[u][y] * waves[v][x] for y in range(side) for x in range(side))
        for u in range(8)
        for v in range(8)
    ]
    for term in terms:
        frequency = 2 * frequency + int(term > np.median(terms))
    return difference, frequency


@pytest.mark.parametrize("side", [32, 64, 5])
def test_hashes_equal_loops(side: int) -> None:
    image = Image.fromarray(smooth(3, side))
    gray = image.convert("L").convert("F")
    reduced = [np.asarray(gray.resize(size, Image.Resampling.BILINEAR), dtype=float) for size in ((32, 32), (9, 8))]
    packed = picture_hash(image)
    assert packed.shape == (1, 2)
    assert tuple(int.from_bytes(value.tobytes(), "big") for value in packed[0]) == looped_hash(*reduced)
    views = view_hashes(image)
    assert views.shape == (14, 2)
    assert (views[0] == packed[0]).all()
    assert (views[7] == picture_hash(Image.fromarray(smooth(3, side)[:, ::-1]))[0]).all()


def test_odd_pictures_have_hashes() -> None:
    for size in ((1, 1), (200, 3), (700, 900)):
        assert view_hashes(Image.new("RGB", size, (10, 200, 30))).shape == (14, 2)


def test_imagehash_gives_other_bits() -> None:
    """Why the hashes are our own: thresholds and copy rates are calibrated on their bits."""
    differing = []
    for seed in range(40):
        image = Image.fromarray(smooth(seed))
        ours = np.unpackbits(picture_hash(image)[0].view(np.uint8)).reshape(2, 64)
        theirs = (imagehash.dhash(image).hash.ravel(), imagehash.phash(image).hash.ravel())
        differing.append([int((a != b).sum()) for a, b in zip(ours, theirs, strict=True)])
    assert np.mean(differing, axis=0) == pytest.approx([2.5, 0.55], abs=0.5), "the same hashes in all else"
    assert np.max(differing) > 0
