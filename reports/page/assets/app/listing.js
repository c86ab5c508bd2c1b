// Which users a list shows and in what order, from the choices in the hash. 200 users with 100,000 rows: some milliseconds.
"use strict";
(function (prefbench) {
  const { userMeans, ranks } = prefbench.stats;
  const { indices, index } = prefbench.state;
  let last = null;

  /** The choices as values: runs, metrics and prompts that exist, with what stands in for those not made. */
  function choices(data, params) {
    const { overview, people } = data;
    const names = data.ofPictures();
    const headline = [...overview.headline, ...names].find((name) => names.includes(name)) ?? null;
    const known = (name, otherwise) => (names.includes(name) ? name : otherwise);
    const runs = overview.runs.length;
    const baseline = Math.max(0, overview.runs.findIndex((run) => run.label === overview.baseline));
    const a = index(params.a, runs, baseline);
    const truth = ["utility/liked", "utility"].find((name) => names.includes(name));
    const scorer = names.find((name) => name.startsWith("preference")) ?? headline;
    return {
      names,
      runs: indices(params.runs, runs),
      metric: known(params.metric, headline),
      prompt: index(params.prompt, people.prompts.length, -1),
      kind: params.kind ?? "",
      words: (params.q ?? "").trim().toLowerCase(),
      failed: params.failed === "1",
      sort: ["id", "score", "methods", "metrics"].includes(params.sort) ? params.sort : "id",
      by: index(params.by, runs, a === 0 && runs > 1 ? 1 : 0),
      a,
      b: index(params.b, runs, a === runs - 1 ? 0 : Math.max(a + 1, Math.min(1, runs - 1))),
      x: known(params.x, scorer),
      y: known(params.y, truth ?? names.find((name) => name !== scorer) ?? scorer),
      scores: (params.scores ?? "").split("|").filter((name) => names.includes(name)),
      reverse: params.order === "reverse",
    };
  }

  /** Per run and user: pictures asked for, and those that failed, of the chosen prompt. */
  function tally(data, run, prompt) {
    const rows = data.rows[run];
    const users = data.people.users.length;
    const all = new Int32Array(users);
    const failed = new Int32Array(users);
    for (let i = 0; i < rows.n; i++) {
      if (prompt >= 0 && rows.prompt[i] !== prompt) continue;
      all[rows.user[i]]++;
      if (!rows.ok[i]) failed[rows.user[i]]++;
    }
    return { all, failed };
  }

  /** Users that drew a prompt which holds the words. */
  function drewWords(data, chosen) {
    const users = new Uint8Array(data.people.users.length);
    const hit = data.people.prompts.map((prompt) => prompt.toLowerCase().includes(chosen.words));
    if (!hit.some(Boolean)) return users;
    for (const run of chosen.runs) {
      const { user, prompt, n } = data.rows[run];
      for (let i = 0; i < n; i++) if (hit[prompt[i]]) users[user[i]] = 1;
    }
    return users;
  }

  /** How far apart, in ranks among users, two metrics place each user; the mean over the chosen methods. */
  function ranksApart(data, chosen) {
    const users = data.people.users.length;
    const sums = new Float64Array(users);
    const counts = new Int32Array(users);
    for (const run of chosen.runs) {
      const [x, y] = [chosen.x, chosen.y].map((name) => {
        const values = userMeans(data, run, name, chosen.prompt);
        return ranks(data.metrics.get(name)?.direction === "down" ? values.map((value) => -value) : values);
      });
      for (let u = 0; u < users; u++) {
        if (Number.isNaN(x[u]) || Number.isNaN(y[u])) continue;
        sums[u] += Math.abs(x[u] - y[u]);
        counts[u]++;
      }
    }
    return sums.map((sum, u) => (counts[u] ? sum / counts[u] : NaN));
  }

  /** What the list is sorted by: one number a user, or null for the order of the suite. */
  function keys(data, chosen) {
    const mean = (run) => userMeans(data, run, chosen.metric, chosen.prompt);
    if (chosen.sort === "score") return mean(chosen.by);
    if (chosen.sort === "metrics") return ranksApart(data, chosen);
    if (chosen.sort !== "methods") return null;
    const [a, b] = [mean(chosen.a), mean(chosen.b)];
    return a.map((value, u) => Math.abs(value - b[u]));
  }

  /** The users that pass the filters, sorted: { order, keys, means per chosen run, failed per user }. */
  function listing(data, chosen) {
    const mark = JSON.stringify(chosen);
    if (last?.mark === mark && last.data === data) return last.list;
    const { users } = data.people;
    const tallies = chosen.runs.map((run) => tally(data, run, chosen.prompt));
    const sum = (name, u) => tallies.reduce((total, counts) => total + counts[name][u], 0);
    const drew = chosen.words ? drewWords(data, chosen) : null;
    const value = keys(data, chosen);
    const order = [];
    for (let u = 0; u < users.length; u++) {
      if (chosen.kind && users[u].kind !== chosen.kind) continue;
      if (chosen.failed && !sum("failed", u)) continue;
      if (chosen.prompt >= 0 && !sum("all", u)) continue;
      if (drew && !drew[u] && !users[u].id.toLowerCase().includes(chosen.words)) continue;
      order.push(u);
    }
    if (value) {
      const last = (u) => (Number.isNaN(value[u]) ? 1 : 0);
      order.sort((a, b) => last(a) - last(b) || (chosen.reverse ? value[a] - value[b] : value[b] - value[a]) || a - b);
    } else if (chosen.reverse) order.reverse();
    const list = {
      order,
      keys: value,
      means: chosen.runs.map((run) => (chosen.metric ? userMeans(data, run, chosen.metric, chosen.prompt) : null)),
      failed: Int32Array.from(users, (_, u) => sum("failed", u)),
    };
    last = { mark, data, list };
    return list;
  }

  prefbench.listing = { choices, listing };
})(window.prefbench);
