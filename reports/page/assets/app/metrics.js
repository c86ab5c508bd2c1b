// The metrics: what each asks, how it is computed and read, how its values spread, and two methods user by user.
"use strict";
(function (prefbench) {
  const { html } = window.htmPreact;
  const { Title, Method, MetricName, Outside, Value, Wide, marks, useRows } = prefbench.parts;
  const { Select, runOptions } = prefbench.fields;
  const { shown, count } = prefbench.text;
  const { userMeans, histogram } = prefbench.stats;
  const { link } = prefbench.state;
  const { Chart, intervals, distributions, scatter } = prefbench.charts;
  const MOST_LISTED = 1000;

  const way = (metric) => ({ up: "higher is better", down: "lower is better" }[metric.direction] ?? "neither way is better");

  function Metrics({ data }) {
    const { metrics } = data.overview;
    return html`<${Title}>Metrics<//><p class="muted">Four questions that are never added up: a method can win one and lose another.</p>
      ${prefbench.overview.QUESTIONS.map(([name, question]) => {
        const asked = metrics.filter((metric) => metric.question === name);
        return asked.length > 0 && html`<section key=${name}><h2>${question}</h2><ul class="cards">${asked.map((metric) => html`<li key=${metric.name}>
          <h3><${MetricName} metric=${metric} /></h3><p dir="auto">${metric.summary}</p><p class="muted small">${way(metric)}, a value for each ${metric.unit}</p></li>`)}</ul></section>`;
      })}`;
  }

  function Card({ metric }) {
    const { bounds } = metric;
    const facts = [
      ["direction", way(metric)], ["one value for", `each ${metric.unit}`], ["scale", metric.scale],
      ["bounds", bounds && `${bounds[0] === null ? "no least" : shown(bounds[0])} to ${bounds[1] === null ? "no greatest" : shown(bounds[1])}`],
      ["floor", metric.floor === null ? null : `${shown(metric.floor)}: one half of the references against the other`],
      ["recipe", metric.recipe], ["source", metric.source && html`<${Outside} href=${metric.source} />`],
    ].filter(([, text]) => text !== null && text !== "");
    return html`<dl class="facts">${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${text}</dd></div>`)}</dl>
      ${metric.marks.length > 0 && html`<ul class="notes">${marks(metric).map(([, note]) => html`<li dir="auto">${note}</li>`)}</ul>`}
      ${(metric.notes ?? []).length > 0 && html`<ul class="notes">${metric.notes.map((note) => html`<li dir="auto">${note}</li>`)}</ul>`}
      ${metric.card && html`<details><summary>What it measures, and what can go wrong</summary><pre class="card" tabindex="0" dir="auto">${metric.card}</pre></details>`}`;
  }

  function Values({ data, metric }) {
    const { runs, baseline } = data.overview;
    const rows = data.order().map((i) => ({ ...data.value(i, metric.name), run: i, label: runs[i].label })).filter((row) => Number.isFinite(row.value));
    if (!rows.length) return html`<p class="muted">No run is scored by it.</p>`;
    const digits = prefbench.overview.digitsOf(data, metric);
    const base = rows.find((row) => row.label === baseline);
    const points = rows.map(({ run, label, value, low, high }) => ({ run, label, value, low: low ?? value, high: high ?? value }));
    return html`<section aria-labelledby="values"><h2 id="values">Means and intervals</h2>
      <${Chart} spec=${intervals(points, metric.shown, base?.value)} mark=${metric.name} runs=${runs.length} label="Mean and interval of ${metric.shown} for each method; the table below holds the same numbers." />
      <${Wide} label="Means and intervals"><table class="values"><caption class="hidden">Means and intervals</caption><thead><tr><th scope="col">method</th><th scope="col">mean, interval, against the baseline</th><th scope="col">users</th><th scope="col">samples</th><th scope="col">missing</th></tr></thead>
        <tbody>${rows.map((row) => html`<tr key=${row.run}><th scope="row"><${Method} data=${data} run=${row.run} /></th><td><${Value} value=${row} digits=${digits} baseline=${row.label !== baseline} /></td>
          <td>${count(row.n_users)}</td><td>${count(row.n_samples)}</td><td>${count(row.missing)}</td></tr>`)}</tbody></table><//></section>`;
  }

  function Distribution({ data, metric }) {
    const runs = data.overview.runs.map((_, i) => i).filter((i) => data.rows[i].scores.has(metric.name));
    const { edges, counts } = histogram(runs.map((i) => data.rows[i].scores.get(metric.name)));
    const bins = edges.slice(0, -1);
    const rows = runs.flatMap((run, r) => bins.map((from, b) => ({ run, label: data.overview.runs[run].label, from, to: edges[b + 1], count: counts[r][b] })));
    return html`<section aria-labelledby="spread"><h2 id="spread">How pictures spread</h2>
      <${Chart} spec=${distributions(rows, metric.shown)} mark="spread ${metric.name}" runs=${data.overview.runs.length} label="Histogram of ${metric.shown} over pictures for each method; the table below holds the same counts." />
      <details><summary>As a table</summary><${Wide} label="Pictures in each bin"><table><caption class="hidden">Pictures in each bin</caption><thead><tr><th scope="col">from</th><th scope="col">to</th>${runs.map((run) => html`<th scope="col"><${Method} data=${data} run=${run} /></th>`)}</tr></thead>
        <tbody>${bins.map((from, b) => html`<tr key=${b}><td>${shown(from)}</td><td>${shown(edges[b + 1])}</td>${runs.map((_, r) => html`<td>${count(counts[r][b])}</td>`)}</tr>`)}</tbody></table><//></details></section>`;
  }

  function Scatter({ data, metric, params }) {
    const chosen = prefbench.listing.choices(data, params);
    const labels = [chosen.a, chosen.b].map((run) => data.overview.runs[run].label);
    const [across, up] = [chosen.a, chosen.b].map((run) => userMeans(data, run, metric.name));
    const rows = data.people.users.map(({ id }, u) => ({ user: id, x: across[u], y: up[u] })).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
    const above = rows.filter(({ x, y }) => (metric.direction === "down" ? y < x : y > x)).length;
    const pick = ({ user }) => { if (typeof user === "string") location.hash = link(["user", user]); };
    return html`<section aria-labelledby="pairs"><h2 id="pairs">User by user, two methods</h2>
      <div class="fields"><${Select} name="a" label="across" value=${String(chosen.a)} options=${runOptions(data)} /><${Select} name="b" label="up" value=${String(chosen.b)} options=${runOptions(data)} /></div>
      ${rows.length === 0 ? html`<p class="muted">No user has a value from both.</p>` : html`
      <p>${metric.direction ? html`<bdi>${labels[1]}</bdi> is better for ${count(above)} of ${count(rows.length)} users.` : ""} <span class="muted">A point is a user: click it to see the pictures. On the dashed line both are equal.</span></p>
      <${Chart} spec=${scatter(rows, labels)} mark="pairs ${metric.name} ${chosen.a} ${chosen.b}" runs=${data.overview.runs.length} pick=${pick} label="Each user's mean of ${metric.shown}, ${labels[1]} against ${labels[0]}; the table below holds the same numbers." />
      <details><summary>As a table</summary><${Wide} label="Users"><table><caption class="hidden">Users’ means of two methods</caption><thead><tr><th scope="col">user</th><th scope="col"><bdi>${labels[0]}</bdi></th><th scope="col"><bdi>${labels[1]}</bdi></th></tr></thead>
        <tbody>${rows.slice(0, MOST_LISTED).map(({ user, x, y }) => html`<tr key=${user}><th scope="row"><a href=${link(["user", user])}><bdi>${user || "(no name)"}</bdi></a></th><td>${shown(x)}</td><td>${shown(y)}</td></tr>`)}</tbody></table><//>
        ${rows.length > MOST_LISTED && html`<p class="muted">The first ${count(MOST_LISTED)} of ${count(rows.length)}.</p>`}</details>`}</section>`;
  }

  function Metric({ data, path, params }) {
    const metric = data.metrics.get(path.slice(1).join("/"));
    const waiting = useRows(data);
    if (!metric) return html`<${Title}>No such metric<//><p>There is no such metric here. <a href=${link(["metrics"])}>All metrics</a></p>`;
    const question = prefbench.overview.QUESTIONS.find(([name]) => name === metric.question)?.[1];
    const pictures = !waiting && data.rows.some((rows) => rows.scores.has(metric.name));
    return html`<p class="kicker">${question}</p><${Title}><bdi>${metric.shown}</bdi><//><p class="lead" dir="auto">${metric.summary}</p>
      <${Card} metric=${metric} /><${Values} data=${data} metric=${metric} />
      ${waiting ?? (pictures ? html`<${Distribution} data=${data} metric=${metric} />${data.overview.runs.length > 1 && html`<${Scatter} data=${data} metric=${metric} params=${params} />`}`
        : html`<p class="muted">It has no value for a single picture, so nothing spreads: it is a number of ${metric.unit === "set" ? "the whole set" : "each user"}.</p>`)}`;
  }

  prefbench.views.metrics = Metrics;
  prefbench.views.metric = Metric;
})(window.prefbench);
