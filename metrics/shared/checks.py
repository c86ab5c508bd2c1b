"""Checks of features before metrics compare them."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Features, FeatureSet, NotMeasurableError, PrefbenchError, Scored, agreeing
from prefbench.stats.mmd import apart, group_codes


def feature_rows(metric: str, role: str, samples: Sequence[Scored], features: Features | None) -> Features:
    """The features, one row per sample. Raises `PrefbenchError` where there are none or another number."""
    if features is None or len(features) != len(samples):
        raise PrefbenchError(f"{metric} needs one feature row per sample; give the suite a `{role}` extractor")
    return features


def check_features(metric: str, drawn: FeatureSet, reference: FeatureSet, *, minimum: int = 2) -> None:
    """Checks two sets before they are compared.

    Raises:
        NotMeasurableError: fewer than `minimum` samples on a side.
        PrefbenchError: features of different widths.
    """
    for side, features in (("drawn", drawn.features), ("reference", reference.features)):
        if len(features) < minimum:
            there = f"there {agreeing(len(features), 'is', 'are')} {len(features)}"
            raise NotMeasurableError(f"{metric} needs at least {minimum} {side} images, {there}")
    if drawn.features.shape[1] != reference.features.shape[1]:
        widths = f"{drawn.features.shape[1]} and {reference.features.shape[1]}"
        raise PrefbenchError(f"{metric}: features of drawn and reference images have different widths, {widths}")


def check_pairs(metric: str, drawn: FeatureSet, reference: FeatureSet) -> None:
    """Raises `NotMeasurableError` where no pair of different users and prompts is left, within a side or across."""
    sides = {"drawn": drawn, "reference": reference}
    for side, images in sides.items():
        for what, names in (("users", images.users), ("prompts", images.prompts)):
            if len(names) == (names == names[0]).sum() and names[0]:
                raise NotMeasurableError(f"{metric} needs {side} images of at least 2 {what}, there is 1")
    # Of two users and two prompts some pair differs in both; only across the sides there may be none.
    if not apart(*group_codes((drawn.users, reference.users), (drawn.prompts, reference.prompts))).any():
        raise NotMeasurableError(f"{metric}: no two drawn and reference images differ in both user and prompt")
