"""Checks of set-level metrics, which compare samples with references."""

from __future__ import annotations

import copy
import math

import numpy as np

from prefbench.api import Features, FeatureSet, PrefbenchError, Resampling, SetMetric, counted
from prefbench.check.findings import Check, fail, one_line, skip

_ROWS, _USERS, _PROMPTS, _WIDTH = 60, 12, 5, 16
_SHIFT = 1.0
"""How far the means of the worse set lie off, in standard deviations of every feature."""
_ROUNDING = 1e-6
_FLOOR = 0.1
"""The distance that identical sets may have from the best value, as a share of that of the shifted set."""


class SetMetricChecks:
    """Gaussian features: two draws of one distribution, and one whose mean lies elsewhere."""

    def __init__(self, metric: SetMetric) -> None:
        rng = np.random.default_rng(0)
        draws: list[Features] = [rng.standard_normal((_ROWS, _WIDTH)) for _ in range(3)]
        self._metric = metric
        self._first, self._second = _feature_set(draws[0]), _feature_set(draws[1])
        self._shifted = _feature_set(draws[2] + _SHIFT)

    def all(self) -> dict[str, Check]:
        """Name to check, in the order they are shown."""
        return {
            "values": self.values,
            "repeats": self.repeats,
            "order of samples": self.order,
            "identical sets": self.identical,
            "direction": self.direction,
            "too few samples": self.too_few,
            "exchanged users": self.permuted_difference,
            "left out": self.left_out,
            "inputs untouched": self.untouched,
        }

    def _compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The value of copies, so that no check sees what a metric did in another."""
        return self._metric.compare(copy.deepcopy(drawn), copy.deepcopy(reference))

    def values(self) -> str:
        """Finite numbers within the card's bounds."""
        low, high = self._metric.card.bounds
        numbers = [self._compare(drawn, self._first) for drawn in (self._first, self._second, self._shifted)]
        for value in numbers:
            if not isinstance(value, float | int) or not math.isfinite(value):
                fail(f"the value is {value!r}, not a finite number")
            if (low is not None and value < low - _ROUNDING) or (high is not None and value > high + _ROUNDING):
                fail(f"{value:.6g} is outside the card's bounds {low} to {high}")
        return "identical {:.4g}, alike {:.4g}, shifted {:.4g}".format(*numbers)

    def repeats(self) -> str:
        """The same sets again get an equal value."""
        first, again = (self._compare(self._second, self._first) for _ in range(2))
        if first != again:
            fail(f"{first!r} and then {again!r}")
        return "equal"

    def order(self) -> str:
        """The order of rows on either side does not matter."""
        shuffle = np.random.default_rng(1).permutation(_ROWS)
        value = self._compare(self._second, self._first)
        shuffled = self._compare(self._second.select(shuffle), self._first.select(shuffle[::-1]))
        difference = abs(value - shuffled) / max(1.0, abs(value))
        if not difference <= _ROUNDING:
            fail(f"{value:.6g} became {shuffled:.6g} for shuffled rows")
        return f"values differ by {difference:.2g}"

    def identical(self) -> str:
        """Identical sets get the best value there is, or nearly."""
        low, high = self._metric.card.bounds
        best = (low or 0.0) if self._metric.card.direction == "down" else high
        if best is None:
            skip("the card gives no upper bound to come near to")
        value = self._compare(self._first, self._first)
        span = abs(self._compare(self._shifted, self._first) - value)
        if not abs(value - best) <= _FLOOR * span:
            fail(f"identical sets get {value:.4g}, the best is {best:g}, and a shifted set is {span:.4g} away")
        return f"{value:.4g}, the best is {best:g}"

    def direction(self) -> str:
        """A shifted set is worse than another draw and than the identical set."""
        if self._metric.card.question == "side":
            skip("a side condition need not be worse for a shifted set")
        up = self._metric.card.direction == "up"
        same, alike, shifted = (
            self._compare(drawn, self._first) for drawn in (self._first, self._second, self._shifted)
        )
        summary = f"shifted {shifted:.4g}, another draw {alike:.4g}, identical {same:.4g}"
        if not (shifted < min(same, alike) if up else shifted > max(same, alike)):
            fail(f"{summary}: the shifted set should be the worst, and better is {'up' if up else 'down'}")
        return summary

    def too_few(self) -> str:
        """One drawn sample, or none, is refused."""
        refusals = []
        for n in (0, 1):
            few = self._first.select(np.arange(n))
            try:
                value = self._compare(few, self._second)
            except PrefbenchError as error:
                refusals.append(one_line(error))
            else:
                fail(f"{counted(n, 'sample')} got the value {value!r}; raise PrefbenchError")
        return refusals[-1]

    def permuted_difference(self) -> str:
        """The metric's own label swapping gives the numbers of comparing anew."""
        prepared, anew = self._metric.resampling, Resampling(self._metric)
        if type(prepared).permuted_difference is Resampling.permuted_difference:
            return "compared anew each time"
        sets = (self._second, self._shifted, self._first)
        fast, plain = prepared.permuted_difference(*sets), anew.permuted_difference(*sets)
        marks = np.random.default_rng(2).random((4, _USERS)) < 0.5
        off = max(abs(fast(marked) - plain(marked)) / max(1.0, abs(plain(marked))) for marked in marks)
        if not off <= _ROUNDING:
            fail(f"differences of exchanged sets are off by {off:.2g}")
        return f"values differ by {off:.2g}"

    def left_out(self) -> str:
        """The metric's own leave-one-out gives the numbers of comparing anew.

        Rows of the drawn set alone, so that what a metric takes from all references is the same.
        """
        prepared, anew = self._metric.resampling, Resampling(self._metric)
        if type(prepared).leave_one_out is Resampling.leave_one_out:
            return "compared anew each time"
        groups = np.arange(_ROWS) % 4 - 1, np.full(_ROWS, -1)
        sets = (self._shifted, self._first, *groups)
        fast, plain = prepared.leave_one_out(*sets), anew.leave_one_out(*sets)
        if len(fast) != len(plain):
            fail(f"{len(fast)} values for {len(plain)} groups")
        off = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(fast, plain, strict=True))
        if not off <= _ROUNDING:
            fail(f"values without some rows are off by {off:.2g}")
        return f"values differ by {off:.2g}"

    def untouched(self) -> str:
        """Comparing changes neither set."""
        sets = [copy.deepcopy(self._second), copy.deepcopy(self._first)]
        self._metric.compare(*sets)
        if not all(
            np.array_equal(a.features, b.features) for a, b in zip(sets, (self._second, self._first), strict=True)
        ):
            fail("the metric changed its features")
        return "both sets"


def _feature_set(features: Features) -> FeatureSet:
    users = np.array([f"val-{i % _USERS:04d}" for i in range(len(features))])
    return FeatureSet(features, users, np.array([f"a cat, version {i % _PROMPTS}" for i in range(len(features))]))
