"""`copy-rate`: whether an image is a copy of one that the method was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from PIL import Image

from prefbench.api import DrawnImages, Features, ImageMetric, MetricCard

from .shared.checks import feature_rows
from .shared.columns import as_columns, rows_of_users
from .shared.cosines import normalised
from .shared.memorised import ROUNDING, copy_detector
from .shared.per_run import cached_per_run
from .shared.picture_hash import picture_hash


class CopyRate(ImageMetric):
    """1 where either of two detectors fires on the sample and the nearest picture its user's method was shown, else 0.

    The shown pictures are the likes and dislikes of the history that methods see. The detectors measure closeness:

    - `copy-rate/hash`: bits of dHash and pHash (64 each) that agree, the most over flips and crops of what was shown;
    - `copy-rate/embedding`: the cosine of features.

    Each fires on what is closer than negatives at p = 0.001: all held-out likes of the run's other users, compared with
    this user's shown pictures. Together they fire on at most 0.2 % of such pictures. A column is None with under 1000
    negatives, where even copies are no closer, and for users who were shown nothing.

    `copy-rate/nearer`, 0 to 1, needs no threshold: the share of the user's own held-out likes that are farther from the
    shown pictures than the sample is, ties half. 0.5 is a sample as far as unseen likes are, near 1 copying. Its mean
    over one user's samples is the Mann-Whitney statistic of the data-copying test over the number of pairs (Meehan et
    al. 2020, section 3; here a user is a cell), and None where there is no held-out like.

    What it misses or mistakes: a copy of another user's picture (`--control other-user`) or of a training picture is
    not looked for; crops of much more than a tenth, rotations and collages pass the hash. The embedding fires more
    often than calibrated on images that are no copies but fit the user, since negatives are of other users, and
    `nearer` rises where images are typical of the user's taste rather than spread like real likes. Negatives share
    pictures and users: near the least number the true share of false positives may be several times 0.1 %.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="copy-rate",
        version="1",
        summary="Whether the image is a copy of one that the method was shown, at 0.1 % false positives per detector",
        question="side",
        direction="down",
        unit="image",
        recipe="dhash64+phash64,flips,7-crops,cosine,p0.001-on-other-users-likes",
        bounds=(0.0, 1.0),
        proportion=True,
        source="https://arxiv.org/abs/2004.05675",
        asks_histories=("method", "scorer"),
        won_by=("other-user",),
        won_how="only copies of the own user's likes are counted, not those of anybody else's",
        pixel_columns=("copy-rate/hash",),
    )
    extractor: ClassVar[str | None] = "similarity"

    def __init__(self) -> None:
        self._detector_of = cached_per_run(copy_detector)

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """Four columns. Raises `PrefbenchError` without features."""
        rows = normalised(feature_rows(self.card.name, "similarity", drawn.samples, drawn.features))
        detector = self._detector_of(drawn.evidence)
        values = np.full((4, len(drawn.samples)), np.nan)
        for user, mine in rows_of_users(drawn.samples).items():
            if user not in detector.users:
                continue
            memory = detector.users[user]
            hashes = np.concatenate([picture_hash(Image.fromarray(drawn.samples[i].pixels)) for i in mine])
            cosines = memory.cosines(rows[mine])
            values[1, mine] = _fires(memory.agreement(hashes), detector.agreement_threshold)
            values[2, mine] = _fires(cosines, detector.cosine_threshold)
            values[3, mine] = nearer(cosines, memory.cosines_of_likes)
        values[0] = np.maximum(values[1], values[2])  # unknown where either is
        return as_columns(self.card.name, dict(zip(("total", "hash", "embedding", "nearer"), values, strict=True)))


def nearer(cosines: Features, of_likes: Features) -> Features:
    """For each closeness (N,) the share of likes (M,) that are less close, ties half; NaN without likes.

    Example:
        >>> nearer(np.array([0.5, 0.9]), np.array([0.1, 0.5, 0.7, 0.8]))
        array([0.375, 1.   ])
    """
    if not len(of_likes):
        return np.full(len(cosines), np.nan)
    gaps = cosines[:, None] - of_likes
    # Equal pictures may differ in the last digits.
    shares: Features = np.where(np.abs(gaps) <= ROUNDING, 0.5, gaps > 0).mean(axis=1)
    return np.where(np.isfinite(cosines), shares, np.nan)


def _fires(closeness: Features, threshold: float) -> Features:
    """1 above the threshold, else 0; NaN where either is unknown."""
    comparable = np.isfinite(closeness) & np.isfinite(threshold)
    return np.where(comparable, closeness > threshold, np.nan)
