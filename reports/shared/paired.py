"""Scores of several runs on the same samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Column, FloatArray, Scores

Columns = Mapping[str, Column]
"""A run's columns by their names."""


def on_same_keys(*several: Scores) -> list[Scores]:
    """The same scores over the union of their keys, in the order of the keys; NaN where one lacks a key."""
    every_key = [scores.keys for scores in several if scores.keys is not None]
    if len(every_key) < len(several):
        raise ValueError("scores without keys cannot be paired over runs")
    order = np.argsort(every_key[0])
    keys = every_key[0][order]
    if (keys[1:] != keys[:-1]).all() and all(np.array_equal(every_key[0], own) for own in every_key[1:]):
        return [scores.select(order) for scores in several]
    keys, first = np.unique(np.concatenate(every_key), return_index=True)
    users = np.concatenate([scores.users for scores in several])[first]
    prompts = np.concatenate([scores.prompts for scores in several])[first]
    return [
        Scores(_in_order(scores, own, keys), users, prompts, keys, scores.bounds)
        for scores, own in zip(several, every_key, strict=True)
    ]


def _in_order(scores: Scores, own: NDArray[np.str_], keys: NDArray[np.str_]) -> FloatArray:
    """The values in the order of the sorted `keys`, of which `own` are some."""
    values = np.full(len(keys), np.nan)
    values[np.searchsorted(keys, own)] = scores.values
    return values
