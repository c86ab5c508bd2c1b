"""Scores of several runs on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from prefbench.api import Column, Estimate, Scores

Columns = Mapping[str, Column]
"""A run's columns by their names."""


def on_shared_keys(*several: Scores) -> list[Scores]:
    """The same scores on the keys that all have, in the order of the keys, with how many others are left out.

    A key that only some have was not drawn for all: it is unpaired, where a key without a value is missing.
    """
    every_key = [scores.keys for scores in several if scores.keys is not None]
    if len(every_key) < len(several):
        raise ValueError("scores without keys cannot be paired over runs")
    first = [np.unique(keys, return_index=True) for keys in every_key]
    shared = first[0][0]
    for keys, _ in first[1:]:
        shared = shared if np.array_equal(shared, keys) else np.intersect1d(shared, keys, assume_unique=True)
    unpaired = _union(several) - len(shared) if any(len(keys) > len(shared) for keys, _ in first) else 0
    return [
        replace(scores.select(rows[np.searchsorted(keys, shared)]), unpaired=scores.unpaired + unpaired)
        for scores, (keys, rows) in zip(several, first, strict=True)
    ]


def with_counts(difference: Estimate, a: Scores, b: Scores) -> Estimate:
    """A difference over some of the rows of two scores, and the rest counted: keys that both have and one has no value
    for are missing, all others are unpaired."""
    one, other = on_shared_keys(a, b)
    missing = int(np.isnan(one.values + other.values).sum())
    return replace(difference, missing=missing, unpaired=_union((a, b)) - missing - difference.n_samples)


def _union(several: Sequence[Scores]) -> int:
    """How many different keys there are."""
    return len(set[str]().union(*(scores.keys.tolist() for scores in several if scores.keys is not None)))


def on_shared_samples(runs: Mapping[str, Columns]) -> dict[str, dict[str, Column]]:
    """The columns of several runs on the samples that all of them have a value for, column by column.

    Then values, differences, ranks and the order of a table come from the same samples, and no run gains by failing
    where it is hard. A run without any value in a column is left aside; a run's own samples without a value stay, as
    missing. `Scores.unpaired` counts the values of a run that others lack and which are left out.
    """
    restricted: dict[str, dict[str, Column]] = {label: {} for label in runs}
    for name in dict.fromkeys(name for own in runs.values() for name in own):
        columns = {label: own[name] for label, own in runs.items() if name in own}
        keys = [_valued(column.scores) for column in columns.values()]
        shared = set[str].intersection(*(own for own in keys if own)) if any(keys) else set[str]()
        alike = all(own in (shared, set()) for own in keys)
        for label, column in columns.items():
            restricted[label][name] = column if alike else replace(column, scores=_only(column.scores, shared))
    return restricted


def _valued(scores: Scores) -> set[str]:
    assert scores.keys is not None
    return set(scores.keys[~np.isnan(scores.values)].tolist())


def _only(scores: Scores, shared: set[str]) -> Scores:
    """The rows that are shared or have no value."""
    assert scores.keys is not None
    kept = np.isnan(scores.values) | np.isin(scores.keys, list(shared))
    return scores if kept.all() else replace(scores.select(kept), unpaired=int((~kept).sum()))


class Cut(NamedTuple):
    """Runs that most of what a table leaves out is left out for."""

    labels: tuple[str, ...]
    metric: str
    shared: int
    """Samples with a value of the metric that all runs share."""
    without: int
    """Samples that the other runs share."""


_WORTH_NAMING = 1.1
"""How many times as many samples the others must share for runs to be named."""


def cutting(runs: Mapping[str, Columns], metrics: Sequence[str]) -> Cut | None:
    """The fewest runs without which the others share most samples, by the first metric that such runs exist for.

    Looked at are each run alone, and those with the fewest samples together. None where the others, two at least, would
    share hardly more.
    """
    for metric in metrics:
        columns = {label: own[metric] for label, own in runs.items() if metric in own}
        keys = {label: _valued(one.scores) for label, one in columns.items() if one.unit == "image"}
        keys = {label: own for label, own in keys.items() if own}
        if len(set(map(frozenset, keys.values()))) < 2:
            continue
        by_size = sorted(keys, key=lambda label: len(keys[label]))
        several = [tuple(by_size[:n]) for n in range(2, len(keys) - 1)]
        candidates = [*((label,) for label in by_size), *several] if len(keys) > 2 else []
        shared = len(set.intersection(*keys.values()))
        left = {labels: len(set.intersection(*(keys[k] for k in keys if k not in labels))) for labels in candidates}
        best = max(left, key=lambda labels: (left[labels], -len(labels)), default=())
        if best and left[best] > _WORTH_NAMING * shared:
            return Cut(best, metric, shared, left[best])
    return None
