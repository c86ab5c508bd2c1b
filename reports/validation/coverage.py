"""How often 95 % intervals hold the mean that they promise to."""

from __future__ import annotations

import numpy as np

from prefbench.api import FeatureSet, NotMeasurableError, SetMetric
from prefbench.score.sets import SET_KEY, jackknife
from prefbench.stats.means import mean_interval

from .measured import MeasuredSystems
from .populations import as_scores, case_means
from .rates import rate
from .schema import Coverage
from .set_estimates import value


def coverage(measured: MeasuredSystems) -> dict[str, Coverage]:
    """How often the interval of users x prompts resampled from the population's pool holds the pool's mean."""
    return {name: _image_coverage(measured, name) for name in measured.image_metrics}


def _image_coverage(measured: MeasuredSystems, name: str) -> Coverage:
    size, means = measured.size, case_means(measured, name)
    bounds = measured.scores(measured.systems.population, name).bounds
    if np.isnan(means).all():
        return _coverage(0, 0, 0)
    target, above, below = float(np.nanmean(np.nanmean(means, axis=1))), 0, 0
    for i in range(size.intervals):
        rng = np.random.default_rng([size.seed, i, 4])
        users = rng.integers(means.shape[0], size=size.sample_users)
        sample = means[np.ix_(users, rng.integers(means.shape[1], size=size.sample_prompts))]
        interval = mean_interval(as_scores(sample, bounds))
        above += interval.low is None or interval.low > target
        below += interval.high is not None and interval.high < target
    return _coverage(above, below, size.intervals)


def coverage_of_sets(measured: MeasuredSystems) -> dict[str, Coverage]:
    """The same for set-level metrics, against the mean over all draws: their value depends on the number of pictures.

    Users and prompts are sampled without replacement, since the same pictures twice would move these metrics. That
    spreads values less than sampling from an infinite population, so their distances to the mean are enlarged by as
    much: 1 / sqrt(1 - f) for the larger share f of users or prompts that is drawn (Cochran 1977, section 2.6).
    """
    return {name: _set_coverage(measured, metric) for name, metric in measured.set_metrics.items()}


def _set_coverage(measured: MeasuredSystems, metric: SetMetric) -> Coverage:
    size, pool = measured.size, measured.systems.population
    drawn, references, estimates = measured.drawn(pool, metric), measured.references(pool, metric), []
    names = np.unique(drawn.users), np.unique(drawn.prompts)
    counts = min(size.sample_users, len(names[0])), min(size.sample_prompts, len(names[1]))
    for i in range(size.set_intervals):
        rng = np.random.default_rng([size.seed, i, 5])
        users, prompts = (rng.choice(all_, n, replace=False) for all_, n in zip(names, counts, strict=True))
        sample = drawn.select(np.isin(drawn.users, users) & np.isin(drawn.prompts, prompts))
        try:
            estimates.append(_ends(metric, sample, references.select(np.isin(references.users, users))))
        except NotMeasurableError:
            return _coverage(0, 0, 0)
    values, low, high = np.array(estimates).T
    share = max(n / len(all_) for n, all_ in zip(counts, names, strict=True))
    if share == 1 or not np.isfinite(low).all():
        return _coverage(0, 0, 0)
    off = (values - values.mean()) / np.sqrt(1 - share)
    above, below = (off > values - low).sum(), (off < values - high).sum()
    return _coverage(int(above), int(below), len(values))


def _ends(metric: SetMetric, sample: FeatureSet, reference: FeatureSet) -> list[float]:
    """Value, low and high; NaN for none."""
    estimate = value({SET_KEY: metric.compare(sample, reference), **jackknife(metric, sample, reference)})
    ends = (estimate["value"], estimate["low"], estimate["high"])
    return [np.nan if end is None else end for end in ends]


def _coverage(above: int, below: int, n: int) -> Coverage:
    """The rate of intervals that hold the mean, from how many lie wholly above and wholly below it."""
    return {**rate(n - above - below, n), "above": above / n if n else None, "below": below / n if n else None}
