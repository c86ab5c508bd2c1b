// What the numbers say in words: who is best by the first metric, and which of the differences are sure.
"use strict";
(function (prefbench) {
  const LEVEL = 0.05;

  /**
   * Whether the interval of a difference leaves out 0 and its adjusted p is below the level: 1 better, -1 worse, 0 not
   * sure; null where there is no interval.
   */
  function sureness(metric, difference) {
    if (!difference || difference.low === null || difference.high === null) return null;
    if (difference.p !== null && difference.p >= LEVEL) return 0;
    const sign = metric.direction === "down" ? -1 : 1;
    if (difference.low > 0) return sign;
    return difference.high < 0 ? -sign : 0;
  }

  /** Whether a run of a ranking may come first: no control, and nothing that the metric must not rank. */
  const mayWin = (data, { run, value }) => data.ranked(run) && !value.unranked;

  /** Runs with a value, best first. */
  function ranking(data, metric, kind = "all") {
    const sign = metric.direction === "down" ? -1 : 1;
    return data.overview.runs
      .map((run, i) => ({ ...run, run: i, value: data.value(i, metric.name, kind) }))
      .filter(({ value }) => value && value.value !== null)
      .sort((a, b) => sign * (b.value.value - a.value.value));
  }

  /**
   * The answer by the first metric of the headline: { metric, order, best, above: controls that stand above the best
   * method, better / worse / unsure: runs against the baseline, rivals: runs that may share the first place }.
   */
  function verdict(data) {
    const metric = data.metrics.get(data.overview.headline[0]);
    const order = metric ? ranking(data, metric) : [];
    if (!order.length) return null;
    const best = order.find((run) => mayWin(data, run)) ?? order[0];
    const others = order.filter((run) => run.label !== data.overview.baseline);
    const by = (sign) => others.filter((run) => sureness(metric, run.value.difference) === sign);
    const top = best.value.rank?.[0];
    return {
      metric,
      order,
      best,
      above: order.slice(0, order.indexOf(best)),
      better: by(1),
      worse: by(-1),
      unsure: by(0),
      ranked: Boolean(best.value.rank),
      rivals: order.filter((run) => run !== best && mayWin(data, run) && run.value.rank && run.value.rank[0] <= top),
    };
  }

  prefbench.verdict = { mayWin, verdict, ranking, sureness };
})(window.prefbench);
