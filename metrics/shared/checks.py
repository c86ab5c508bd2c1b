"""Checks of features before metrics compare them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefbench.api import Features, FeatureSet, NotMeasurableError, PrefbenchError, Scored


def feature_rows(metric: str, role: str, samples: Sequence[Scored], features: Features | None) -> Features:
    """The features, one row per sample. Raises `PrefbenchError` where there are none or another number."""
    if features is None or len(features) != len(samples):
        raise PrefbenchError(f"{metric} needs one feature row per sample; give the suite a `{role}` extractor")
    return features


def check_features(metric: str, drawn: FeatureSet, reference: FeatureSet, *, minimum: int = 2) -> None:
    """Checks two sets before they are compared.

    Raises:
        NotMeasurableError: fewer than `minimum` samples on a side.
        PrefbenchError: features that are not finite, or of different widths.
    """
    for side, features in (("drawn", drawn.features), ("reference", reference.features)):
        if len(features) < minimum:
            raise NotMeasurableError(f"{metric} needs at least {minimum} {side} images, there are {len(features)}")
        if not np.isfinite(features).all():
            raise PrefbenchError(f"{metric}: features of the {side} images are not all finite")
    if drawn.features.shape[1] != reference.features.shape[1]:
        widths = f"{drawn.features.shape[1]} and {reference.features.shape[1]}"
        raise PrefbenchError(f"{metric}: features of drawn and reference images have different widths, {widths}")


def check_users(metric: str, drawn: FeatureSet, reference: FeatureSet) -> None:
    """Raises `NotMeasurableError` where no pair of different users is left on a side."""
    for side, features in (("drawn", drawn), ("reference", reference)):
        if len(np.unique(features.users)) < 2:
            raise NotMeasurableError(f"{metric} needs {side} images of at least 2 users, there is 1")
