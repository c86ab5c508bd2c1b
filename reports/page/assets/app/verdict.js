// What the numbers say in words: who is best by the first metric, and which of the differences are sure.
"use strict";
(function (prefbench) {
  const LEVEL = 0.05;

  /** Whether the interval of a difference leaves out 0 and its adjusted p is below the level. */
  function isSure(difference) {
    const { low, high, p } = difference;
    if (!Number.isFinite(low) || !Number.isFinite(high) || (Number.isFinite(p) && p >= LEVEL)) return false;
    return low > 0 || high < 0;
  }

  /** Whether a difference is surely for the better (1) or the worse (-1), or not sure (0); null without an interval. */
  function sureness(metric, difference) {
    if (!difference || difference.low === null || difference.high === null) return null;
    if (!isSure(difference)) return 0;
    return (difference.value > 0) === (metric.direction !== "down") ? 1 : -1;
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
   * method, better / worse / unsure: runs against the baseline, tests: of the first minus each other method, rivals:
   * those that may equal the first, beaten: those that surely do not }.
   */
  function verdict(data) {
    const metric = data.metrics.get(data.overview.headline[0]);
    const order = metric ? ranking(data, metric) : [];
    if (!order.length) return null;
    const best = order.find((run) => mayWin(data, run)) ?? order[0];
    const others = order.filter((run) => run.label !== data.overview.baseline);
    const by = (sign) => others.filter((run) => sureness(metric, run.value.difference) === sign);
    const top = best.value.rank?.[0];
    const tests = new Map((data.overview.rivals ?? []).filter(({ first }) => first === best.run).map((test) => [test.run, test]));
    return {
      metric,
      order,
      best,
      above: order.slice(0, order.indexOf(best)),
      better: by(1),
      worse: by(-1),
      unsure: by(0),
      ranked: Boolean(best.value.rank),
      rivals: order.filter((run) => run !== best && mayWin(data, run) && (tests.get(run.run)
        ? !isSure(tests.get(run.run)) : run.value.rank && run.value.rank[0] <= top)),
      beaten: order.filter((run) => tests.get(run.run) && isSure(tests.get(run.run))),
      tests,
    };
  }

  prefbench.verdict = { isSure, mayWin, verdict, ranking, sureness };
})(window.prefbench);
