"""`clip-i` and `style` against loops over every pair of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from prefbench.api import (
    DrawnImages,
    Evidence,
    Features,
    FloatArray,
    History,
    ImageMetric,
    NotMeasurableError,
    PrefbenchError,
    Scored,
)
from prefbench.metrics.clip_i import ClipI
from prefbench.metrics.shared.per_run import cached_per_run
from prefbench.metrics.style import StyleLikeness
from tests.support.judged import cosine, drawn, evidence, history, smooth, thumbnails

SCORER = {
    "a": history("a", [1, 2, 3], [90, 91]),
    "b": history("b", [11, 12], [92]),
    "c": history("c", [21, 22, 23, 24]),
    "none": History("none", (), ()),
}
SAMPLES = [
    *drawn("a", [smooth(1), smooth(51)]),
    *drawn("none", [smooth(52)]),
    *drawn("c", [smooth(53), np.full((64, 64, 3), 9, np.uint8)]),
]
FEATURES = thumbnails([s.pixels for s in SAMPLES])


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def looped(
    samples: Sequence[Scored], features: FloatArray, likes: dict[str, FloatArray]
) -> dict[str, list[float | None]]:
    """Every sample against every like, one by one."""
    own: list[float | None] = []
    others: list[float | None] = []
    for sample, row in zip(samples, features, strict=True):
        to = {user: mean([100 * cosine(row, like) for like in rows]) for user, rows in likes.items() if len(rows)}
        own.append(to.get(sample.user))
        others.append(mean([value for user, value in to.items() if user != sample.user]))
    gaps = [None if a is None or b is None else a - b for a, b in zip(own, others, strict=True)]
    return {"": gaps, "/own": own, "/others": others}


def check(metric: ImageMetric, samples: Sequence[Scored], features: FloatArray, likes: dict[str, FloatArray]) -> None:
    columns = metric.score(DrawnImages(samples, FEATURES[: len(samples)], evidence({"scorer": SCORER})))
    name = metric.card.name
    assert list(columns) == [name, f"{name}/own", f"{name}/others"]
    for part, values in looped(samples, features, likes).items():
        for value, wanted in zip(columns[f"{name}{part}"], values, strict=True):
            assert value == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


LIKES = {user: thumbnails([smooth(s) for s in seeds]) for user, seeds in {
    "a": [1, 2, 3], "b": [11, 12], "c": [21, 22, 23, 24]
}.items()}  # fmt: skip


def test_clip_i_equals_a_loop_over_pairs() -> None:
    """Of the first four samples; the last has no direction."""
    check(ClipI(), SAMPLES[:4], FEATURES[:4], LIKES)


def test_what_has_no_direction_has_no_value() -> None:
    found = ClipI().score(DrawnImages(SAMPLES, FEATURES, evidence({"scorer": SCORER})))
    assert [values[-1] for values in found.values()] == [None, None, None]
    assert found["clip-i"][2] is found["clip-i/own"][2] is None
    assert found["clip-i/others"][2] is not None


def test_a_like_without_a_direction_is_left_out() -> None:
    def blank_first(pictures: Sequence[NDArray[np.uint8]]) -> Features:
        rows = thumbnails(pictures)
        rows[0] = 0
        return rows

    found = ClipI().score(DrawnImages(SAMPLES[:2], FEATURES[:2], evidence({"scorer": SCORER}, blank_first)))
    expected = [mean([100 * cosine(row, like) for like in LIKES["a"][1:]]) for row in FEATURES[:2]]
    assert found["clip-i/own"] == pytest.approx(expected)


def test_shown_and_disliked_pictures_do_not_enter() -> None:
    assert ClipI().card.asks_histories == StyleLikeness().card.asks_histories == ("scorer",)
    bare = {user: History(user, h.liked, ()) for user, h in SCORER.items()}
    scores = [ClipI().score(DrawnImages(SAMPLES, FEATURES, evidence({"scorer": h}))) for h in (SCORER, bare)]
    assert scores[0] == scores[1]


def test_one_user_has_nobody_to_compare_with() -> None:
    found = ClipI().score(DrawnImages(SAMPLES[:2], FEATURES[:2], evidence({"scorer": {"a": SCORER["a"]}})))
    assert found["clip-i"] == found["clip-i/others"] == [None, None]
    assert None not in found["clip-i/own"]


@pytest.mark.parametrize("metric", [ClipI(), StyleLikeness()])
def test_likeness_needs_features_and_likes(metric: ImageMetric) -> None:
    with pytest.raises(PrefbenchError, match=f"{metric.card.name} needs one feature row per sample; give the suite"):
        metric.score(DrawnImages(SAMPLES, FEATURES[:2], evidence({"scorer": SCORER})))
    with pytest.raises(NotMeasurableError, match="no user of this run has a held-out like"):
        metric.score(DrawnImages(SAMPLES, FEATURES, evidence({"scorer": {"a": History("a", (), ())}})))


def test_own_likes_win_and_swapped_users_cancel() -> None:
    """Everyone's own like gives a gap; each like given to everybody gives none in the mean over users."""
    users = list(LIKES)
    samples = [s for user in users for s in drawn(user, [smooth(1)])]
    run = evidence({"scorer": SCORER})
    same = ClipI().score(DrawnImages(samples, thumbnails([smooth(1)] * 3), run))["clip-i"]
    assert sum(v or 0 for v in same) == pytest.approx(0, abs=1e-9)
    assert (same[0] or 0) > 20


# ------------------------------------------------------------------------------------------------------------ style


def test_style_equals_a_loop_over_decorrelated_pairs() -> None:
    """(R + 1)^-½ by Newton's iteration; directions after it are unique up to a rotation, so cosines are."""
    pooled = np.concatenate(list(LIKES.values()))
    deviation = pooled.std(axis=0)
    standard = [(rows - pooled.mean(axis=0)) / deviation for rows in (pooled, FEATURES, *LIKES.values())]
    correlation = np.corrcoef(standard[0], rowvar=False) + np.eye(pooled.shape[1])
    scaled = correlation / np.linalg.norm(correlation)
    y, z = scaled, np.eye(len(scaled))
    for _ in range(60):  # Denman-Beavers: z tends to scaled^-½
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    features, *likes = (rows @ z for rows in standard[1:])
    check(StyleLikeness(), SAMPLES, features, dict(zip(LIKES, likes, strict=True)))


def test_style_does_not_depend_on_units_or_constant_features() -> None:
    """Every feature in another unit, one of them twice, and one that is the same in all pictures."""
    rng = np.random.default_rng(0)
    units, offset = rng.uniform(0.1, 100, 192), rng.standard_normal(192)

    def rescaled(pictures: Sequence[NDArray[np.uint8]]) -> Features:
        rows = thumbnails(pictures) * units + offset
        return np.concatenate([rows, np.full((len(rows), 1), 0.1)], axis=1)

    plain = StyleLikeness().score(DrawnImages(SAMPLES, FEATURES, evidence({"scorer": SCORER})))
    other = rescaled([s.pixels for s in SAMPLES])
    found = StyleLikeness().score(DrawnImages(SAMPLES, other, evidence({"scorer": SCORER}, rescaled)))
    for column, values in plain.items():
        for value, wanted in zip(found[column], values, strict=True):
            assert value == (None if wanted is None else pytest.approx(wanted, abs=1e-6))


def test_what_follows_from_judgments_is_worked_out_once_for_all_runs_of_them() -> None:
    asked: list[Evidence] = []

    def work_out(evidence: Evidence) -> int:
        asked.append(evidence)
        return len(asked)

    def of(user: str) -> Evidence:
        return Evidence(None, {}, {"scorer": {user: History(user, (), ())}})

    found = cached_per_run(work_out)
    first, again, other = of("a"), of("a"), of("b")
    assert [found(one) for one in (first, first, again, other, again)] == [1, 1, 1, 2, 3]
    assert asked == [first, other, again]
