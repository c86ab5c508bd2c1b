// Numbers from rows: means of users, ranks, histograms, and how numbers are written.
"use strict";
(function (prefbench) {
  const means = new Map();
  const MOST_MEANS = 400;

  /** Each user's mean of a metric over the pictures of one run, of one prompt or all (-1); NaN where there is none. */
  function userMeans(data, run, metric, prompt = -1) {
    const key = `${run} ${prompt} ${metric}`;
    if (means.has(key)) return means.get(key);
    if (means.size > MOST_MEANS) means.clear();
    const rows = data.rows[run];
    const users = data.people.users.length;
    const column = rows.scores.get(metric);
    const sums = new Float64Array(users);
    const counts = new Int32Array(users);
    if (column) {
      for (let i = 0; i < rows.n; i++) {
        if ((prompt >= 0 && rows.prompt[i] !== prompt) || Number.isNaN(column[i])) continue;
        sums[rows.user[i]] += column[i];
        counts[rows.user[i]]++;
      }
    }
    for (let u = 0; u < users; u++) sums[u] = counts[u] ? sums[u] / counts[u] : NaN;
    means.set(key, sums);
    return sums;
  }

  /** Ranks from 1 (the greatest value), ties sharing their mean rank; NaN stays NaN. */
  function ranks(values) {
    const order = [...values.keys()].filter((i) => !Number.isNaN(values[i])).sort((a, b) => values[b] - values[a]);
    const out = new Float64Array(values.length).fill(NaN);
    for (let from = 0; from < order.length;) {
      let to = from;
      while (to < order.length && values[order[to]] === values[order[from]]) to++;
      for (let i = from; i < to; i++) out[order[i]] = (from + to + 1) / 2;
      from = to;
    }
    return out;
  }

  /** Counts of several columns in equal bins over what they span together: { edges, counts: [[...] per column] }. */
  function histogram(columns, bins = 24) {
    let low = Infinity;
    let high = -Infinity;
    for (const column of columns) {
      for (const value of column) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (low > high) return { edges: [], counts: columns.map(() => []) };
    if (low === high) { low -= 0.5; high += 0.5; }
    const step = (high - low) / bins;
    const counts = columns.map((column) => {
      const bin = new Array(bins).fill(0);
      for (const value of column) if (!Number.isNaN(value)) bin[Math.min(bins - 1, Math.floor((value - low) / step))]++;
      return bin;
    });
    return { edges: Array.from({ length: bins + 1 }, (_, i) => low + i * step), counts };
  }

  /** The row of a run for a user, prompt and sample index, or -1. */
  function rowOf(data, run, user, prompt, index) {
    const { start, order, prompt: prompts, index: indices } = data.rows[run];
    if (!start) return -1;
    for (let i = start[user]; i < start[user + 1]; i++) {
      if (prompts[order[i]] === prompt && indices[order[i]] === index) return order[i];
    }
    return -1;
  }

  /** Decimals that tell values of a size apart. */
  function decimals(size) {
    if (size >= 1000) return 0;
    if (size >= 100) return 1;
    return size >= 10 ? 2 : 3;
  }

  /** A number as text with a true minus; an em dash where there is none. */
  function shown(value, digits) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "\u2014";
    const places = digits ?? decimals(Math.abs(value));
    if (digits === undefined && value !== 0 && Math.abs(value) < 0.0005) return value.toExponential(1).replaceAll("-", "\u2212");
    const text = value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
    return /^-[0.,]*$/.test(text) ? text.slice(1) : text.replace("-", "\u2212");
  }

  const count = (value) => (value === null || value === undefined ? "\u2014" : value.toLocaleString("en"));
  const range = (low, high, digits) => `[${shown(low, digits)}, ${shown(high, digits)}]`;

  function p(value) {
    if (value === null || value === undefined) return "";
    return value < 0.001 ? "p below 0.001" : `p ${value.toFixed(3)}`;
  }

  function bytes(value) {
    if (value === null || value === undefined) return "\u2014";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    const power = value > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
    const size = value / 1024 ** power;
    return `${size.toLocaleString("en", { maximumFractionDigits: size < 10 && power ? 1 : 0 })} ${units[power]}`;
  }

  prefbench.stats = { userMeans, ranks, histogram, rowOf };
  prefbench.text = { decimals, shown, count, range, p, bytes };
})(window.prefbench);
