// The rest of the start page: kinds of users, what it cost, how to repeat it, what ran, and the report's own tables.
"use strict";
(function (prefbench) {
  const { html } = window.htmPreact;
  const { Method, Marked, MetricName, Value, Wide, Copy } = prefbench.parts;
  const { shown, count, bytes } = prefbench.text;
  const { link } = prefbench.state;
  const { Select, metricOptions } = prefbench.fields;

  const FEW = 10;

  /** One metric for each kind of users, so that it shows for whom a method fails. */
  function Kinds({ data, params }) {
    const { runs, suite, values, headline, baseline } = data.overview;
    const counts = new Map();
    for (const { kind } of data.people.users) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const kinds = [...new Set([...Object.keys(suite.kinds), ...counts.keys()])].filter((kind) => counts.has(kind));
    const byKind = new Set(values.filter((value) => value.kind !== "all").map((value) => value.metric));
    const names = data.overview.metrics.map((metric) => metric.name).filter((name) => byKind.has(name));
    if (kinds.length < 2 || !names.length) return null;
    const name = names.includes(params.metric) ? params.metric : [...headline, ...names].find((each) => byKind.has(each));
    const metric = data.metrics.get(name);
    const digits = prefbench.overview.digitsOf(data, metric);
    return html`<section aria-labelledby="kinds"><h2 id="kinds">For which users?</h2>
      <div class="fields"><${Select} name="metric" label="Metric" value=${name} options=${metricOptions(data, names)} /></div>
      <${Wide} label="${metric.shown} by kind of user"><table class="values"><caption class="caption"><${MetricName} metric=${metric} /> by kind of user</caption>
        <thead><tr><th scope="col">kind of user</th>${data.order().map((i) => html`<th scope="col"><${Method} data=${data} run=${i} /></th>`)}</tr></thead>
        <tbody>${kinds.map((kind) => html`<tr key=${kind}><th scope="row"><a href=${link(["users"], { kind })}><bdi>${kind}</bdi></a>
          <span class="interval">${count(counts.get(kind))} ${counts.get(kind) === 1 ? "user" : "users"}</span>${suite.kinds[kind] && html`<span class="about" dir="auto">${suite.kinds[kind]}</span>`}</th>
          ${data.order().map((i) => html`<td><${Value} value=${data.value(i, name, kind)} digits=${digits}
            baseline=${baseline !== null && runs[i].label !== baseline} /></td>`)}</tr>`)}
        <tr class="floor"><th scope="row">all</th>${data.order().map((i) => html`<td><${Value} value=${data.value(i, name)} digits=${digits} /></td>`)}</tr></tbody></table><//>
      ${Math.min(...counts.values()) < FEW && html`<p class="muted small">Kinds of under ${FEW} users say little: their intervals can be far too wide or too narrow.</p>`}</section>`;
  }

  const COSTS = [
    ["seconds_per_image", "seconds a picture", shown],
    ["nfe_per_image", "passes a picture", (value) => shown(value, Number.isInteger(value) ? 0 : 1)],
    ["seconds_per_user", "seconds to set up a user", shown],
    ["profile_bytes", "kept for a user", bytes],
    ["trained_parameters", "trained parameters", count],
    ["peak_memory_bytes", "peak memory", bytes],
  ];

  function Cost({ data }) {
    const { runs } = data.overview;
    if (!runs.some(({ cost }) => Object.keys(cost).length)) return null;
    return html`<section aria-labelledby="cost"><h2 id="cost">What does it cost?</h2>
      <${Wide} label="Cost by method"><table><caption class="hidden">Cost by method</caption>
        <thead><tr><th scope="col">method</th>${COSTS.map(([, title]) => html`<th scope="col">${title}</th>`)}</tr></thead>
        <tbody>${data.order().map((i) => html`<tr key=${i}><th scope="row"><${Method} data=${data} run=${i} /></th>
          ${COSTS.map(([name, , text]) => html`<td>${text(runs[i].cost[name])}</td>`)}</tr>`)}</tbody></table><//>
      <p class="muted small">A pass is one evaluation of the network that draws: two a step under guidance. ${new Set(runs.map((run) => run.hardware)).size > 1
        ? "These runs were drawn on different hardware, so their seconds do not compare."
        : "All runs were drawn on hardware of one description. Seconds still depend on what else it did then; passes do not."}</p></section>`;
  }

  function Repeat({ data }) {
    const commands = data.overview.repeat;
    if (!commands.length) return null;
    const { runs } = data.overview;
    const codes = [...new Set(runs.map((run) => run.settings.code))];
    const dirty = runs.filter((run) => /local changes/.test(run.settings.code ?? ""));
    return html`<section aria-labelledby="repeat"><h2 id="repeat">How to repeat it</h2>
      <p>${codes.length === 1 ? html`Install prefbench at <bdi>${codes[0]}</bdi>, then:` : `These runs come from ${codes.length} states of the code, each named under “What ran”:`}</p>
      ${dirty.length > 0 && html`<p class="notice">Drawn by code with local changes, so that nobody else can repeat ${dirty.length === 1 ? "it" : "them"} exactly: ${dirty.map((run, i) => html`${i ? ", " : ""}<bdi>${run.label}</bdi>`)}.</p>`}
      <div class="code"><pre tabindex="0" aria-label="commands">${commands.join("\n")}</pre><${Copy} text=${commands.join("\n")} label="Copy the commands" /></div></section>`;
  }

  function Runs({ data }) {
    return html`<section aria-labelledby="runs"><h2 id="runs">What ran</h2>
      ${data.overview.runs.map((run, i) => html`<details key=${i}><summary><${Method} data=${data} run=${i} /> <span class="muted">${count(run.n)} samples${run.notes.length
        ? `, ${run.notes.length} ${run.notes.length === 1 ? "note" : "notes"}` : ""}</span></summary>
        ${run.summary && html`<p dir="auto">${run.summary}.</p>`}
        <ul class="notes">${run.notes.map((note) => html`<li dir="auto">${note}</li>`)}</ul>
        <dl class="facts">${[["folder", run.folder], ["command", run.command], ...Object.entries(run.settings), ["versions", run.versions], ["hardware", run.hardware]].map(
          ([name, text]) => html`<div><dt dir="auto">${name}</dt><dd dir="auto">${text}</dd></div>`)}</dl></details>`)}</section>`;
  }

  /** A table of the report as it stands in report.md, its marks openable. */
  function Report({ table }) {
    const left = (i) => (table.words.includes(i) ? "words" : "");
    return html`<${Wide} label=${table.title}><table class="report"><caption class="caption">${table.title}</caption>
      <thead><tr>${table.columns.map((column, i) => html`<th scope="col" class=${left(i)}><${Marked} text=${column} notes=${table.notes} /></th>`)}</tr></thead>
      ${table.sections.map((rows, s) => html`<tbody key=${s}>${rows.map((row) => html`<tr>${row.map((cell, i) => html`<${i === 0 ? "th" : "td"}
        scope=${i === 0 ? "row" : undefined} class=${left(i)}><${Marked} text=${cell} notes=${table.notes} /><//>`)}</tr>`)}</tbody>`)}</table><//>
      ${table.notes.length > 0 && html`<ul class="notes">${table.notes.map((note) => html`<li dir="auto">${note}</li>`)}</ul>`}`;
  }

  function Reports({ data }) {
    const { tables } = data.overview;
    if (!tables.length) return null;
    return html`<section aria-labelledby="tables"><h2 id="tables">The report’s own tables</h2>
      <p class="muted">The same as in <a href="report.md">report.md</a>.</p>
      ${tables.map((table, i) => html`<details key=${i}><summary><bdi>${table.title}</bdi></summary><${Report} table=${table} /></details>`)}</section>`;
  }

  prefbench.tables = { Kinds, Cost, Repeat, Runs, Reports };
})(window.prefbench);
