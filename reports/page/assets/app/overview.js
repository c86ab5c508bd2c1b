// The start page: the answer in a sentence, then the numbers it stands on.
"use strict";
(function (prefbench) {
  const { html } = window.htmPreact;
  const { Title, Method, MetricName, Mark, Value, Wide, marks } = prefbench.parts;
  const { shown, range, p, count, decimals } = prefbench.text;
  const { link } = prefbench.state;
  const { verdict } = prefbench.verdict;

  const QUESTIONS = [
    ["preference", "Is it this user’s?"],
    ["adherence", "Does it show the prompt?"],
    ["fidelity", "Does it look like the references?"],
    ["side", "At what price: diversity, copying?"],
  ];

  const MOST_NAMED = 5;

  /** Decimals for all values of a metric. */
  function digitsOf(data, metric) {
    const sizes = data.overview.values.filter((value) => value.metric === metric.name && value.value !== null);
    return decimals(Math.max(0, ...sizes.map((value) => Math.abs(value.value))));
  }

  const list = (items) => items.map((item, i) => [i === 0 ? "" : i === items.length - 1 ? " and " : ", ", item]);

  function Answer({ data }) {
    const found = verdict(data);
    const { baseline, suite } = data.overview;
    if (!found) return html`<${Title}>No scores yet for <bdi>${suite.name}</bdi>, ${suite.split}<//><p class="lead">Numbers stand here once every run is scored, by <code>prefbench score</code>. The pictures can be seen already.</p>`;
    const { metric, best } = found;
    const digits = digitsOf(data, metric);
    const gain = best.label === baseline ? null : best.value.difference;
    const sure = gain && prefbench.verdict.isSure(gain);
    const side = gain && gain.value < 0 ? "below" : "above";
    const most = metric.direction === "down" ? "lowest" : "highest";
    return html`<${Title}><bdi>${best.label}</bdi> ${found.order.length === 1 ? "scores by" : found.ranked && !found.rivals.length ? "is best by" : `has the ${most}`}${" "}
      <bdi>${metric.shown}</bdi>${gain && gain.value !== null
        ? html`, ${sure ? "surely" : "though not surely"} ${side} the baseline <bdi>${baseline}</bdi>`
        : best.label === baseline ? ", and it is the baseline" : ""}${found.rivals.length > 2 ? `; ${found.rivals.length} others may equal it`
        : found.rivals.length ? html`; ${list(found.rivals.map((run) => html`<bdi>${run.label}</bdi>`))} may equal it` : ""}.<//>
      <p class="lead">${shown(best.value.value, digits)} ${range(best.value.low, best.value.high, digits)}${gain && gain.value !== null
        ? html`; difference ${shown(gain.value, digits)} ${range(gain.low, gain.high, digits)}${gain.p === null ? "" : `, ${p(gain.p)}`}` : ""}.</p>`;
  }

  /** The methods that may win and that nobody audited. */
  const unaudited = (data) => data.overview.runs.map((run, i) => ({ ...run, run: i })).filter(({ audit, run }) => !audit && data.ranked(run));

  /** What to know before any of the numbers is believed. */
  function Warnings({ data }) {
    const { warnings } = data.overview;
    if (!warnings?.length) return null;
    return html`<section aria-labelledby="warnings"><h2 id="warnings">Before you believe it</h2>
      <ul class="notes">${warnings.map((note) => html`<li dir="auto">${note}</li>`)}</ul></section>`;
  }

  /** The sections of the page, to jump to. */
  function Contents({ data }) {
    const has = (name) => data.overview.metrics.some((metric) => metric.question === name);
    const parts = [["headline", "Method by method"], ["warnings", "Before you believe it"], ...QUESTIONS.filter(([name]) => has(name)).map(([name, title]) => [`q-${name}`, title]),
      ["kinds", "For which users?"], ["cost", "What does it cost?"], ["repeat", "How to repeat it"], ["runs", "What ran"], ["tables", "The report’s tables"]];
    const jump = (event) => {
      event.preventDefault();
      document.getElementById(event.currentTarget.dataset.part)?.scrollIntoView();
    };
    return html`<nav class="contents" aria-label="On this page">${parts.map(([part, title]) => html`<a href="#/" data-part=${part} onClick=${jump}>${title}</a>`)}</nav>`;
  }

  function Sure({ data }) {
    const found = verdict(data);
    if (!found || found.order.length < 2) return null;
    const { baseline } = data.overview;
    const names = (runs) => list(runs.map(({ run }) => html`<${Method} data=${data} run=${run} />`));
    const against = html`<bdi>${baseline}</bdi>`;
    return html`<div class="verdict">
      <div><h2>Sure</h2><ul>
        ${found.better.length > 0 && html`<li>Better than ${against}: ${names(found.better)}.</li>`}
        ${found.worse.length > 0 && html`<li>Worse than ${against}: ${names(found.worse)}.</li>`}
        ${found.beaten.length > 0 && html`<li>${names([found.best])} is better than ${names(found.beaten)}.</li>`}
        ${found.ranked && !found.rivals.length && html`<li>First place among the methods: ${names([found.best])}.</li>`}
        ${!found.better.length && !found.worse.length && (!found.ranked || found.rivals.length > 0) && html`<li>${baseline === null ? "Nothing: none of these runs is the baseline, so no difference was taken." : "Nothing: no difference stands its test."}</li>`}
      </ul></div>
      <div><h2>Not sure</h2><ul>
        ${found.unsure.length > 0 && html`<li>Whether these differ from ${against}: ${names(found.unsure)}.</li>`}
        ${found.rivals.length > 0 && html`<li>First place: no test tells ${names([found.best])} from ${found.rivals.length > MOST_NAMED ? `${found.rivals.length} others` : names(found.rivals)}.</li>`}
        ${unaudited(data).length > 0 && html`<li>Whether ${names(unaudited(data))} can be what ${unaudited(data).length > 1 ? "they say they are" : "it says it is"}: no <a href=${link(["audit"])}>audit</a> was made.</li>`}
        ${!found.unsure.length && !found.rivals.length && html`<li>No difference from the baseline is left open${found.ranked ? ", nor the first place" : ""}.</li>`}
      </ul></div>
      ${found.above.length > 0 && html`<p>${names(found.above)} ${found.above.length > 1 ? "stand higher still, but as controls" : "stands higher still, but as a control"}: no method to use.</p>`}
      <p class="muted small">Sure: the interval of the difference leaves out 0, and p, adjusted, is below 0.05${data.overview.family ? ` (${data.overview.family})` : ""}. ${data.overview.interval} ${data.overview.p}</p>
      ${prefbench.parts.marks(found.metric).filter(([sign]) => sign === "‡").map(([, note]) => html`<p class="muted small">This holds for what is called sure here too: ${note}</p>`)}
    </div>`;
  }

  function Headline({ data }) {
    const found = verdict(data);
    if (!found) return null;
    const { metric, order } = found;
    const digits = digitsOf(data, metric);
    const rows = order.map(({ run, label, value }) => ({ run, label, value: value.value, low: value.low, high: value.high }));
    const base = order.find((run) => run.label === data.overview.baseline);
    const uneven = new Set(order.map(({ value }) => value.n_users)).size > 1;
    const spec = prefbench.charts.intervals(rows, metric.shown, base?.value.value);
    return html`<section aria-labelledby="headline"><h2 id="headline">${metric.shown}, method by method</h2>
      <${prefbench.charts.Chart} spec=${spec} mark=${metric.name} runs=${data.overview.runs.length}
        label="Mean and interval of ${metric.shown} for each method; the table below holds the same numbers." />
      ${base && html`<p class="muted small">Dashed line: the baseline <bdi>${base.label}</bdi>. Places not excluded are the ranks that each method may have among all at once; two
        methods may be told apart though their places overlap.</p>`}
      <${Wide} label="${metric.shown} by method"><table><caption class="hidden">${metric.shown} by method, best first</caption>
        <thead><tr><th scope="col">method</th><th scope="col"><${MetricName} metric=${metric} /></th><th scope="col">interval</th>
          <th scope="col">against the baseline</th>${found.tests.size > 0 && html`<th scope="col"><bdi>${found.best.label}</bdi> minus it</th>`}
          <th scope="col">places not excluded</th>${uneven && html`<th scope="col">users</th>`}</tr></thead>
        <tbody>${order.map(({ run, value, label }) => html`<tr key=${run}><th scope="row"><${Method} data=${data} run=${run} /></th>
          <td>${shown(value.value, digits)}</td><td>${range(value.low, value.high, digits)}</td>
          <td>${label === data.overview.baseline ? html`<span class="muted">the baseline</span>` : html`<${Gain} gain=${value.difference} digits=${digits} />`}</td>
          ${found.tests.size > 0 && html`<td><${Gain} gain=${found.tests.get(run)} digits=${digits} /></td>`}
          <td>${value.rank ? (value.rank[0] === value.rank[1] ? value.rank[0] : `${value.rank[0]} to ${value.rank[1]}`) : "—"}</td>
          ${uneven && html`<td>${count(value.n_users)}</td>`}</tr>`)}</tbody></table><//></section>`;
  }

  function Gain({ gain, digits }) {
    if (!gain || gain.value === null) return html`<span class="muted">—</span>`;
    const sure = prefbench.verdict.isSure(gain);
    return html`${gain.value > 0 ? "+" : ""}${shown(gain.value, digits)} <span class="interval inline">${range(gain.low, gain.high, digits)}${gain.p === null
      ? "" : `, ${p(gain.p)}`}</span> <span class="word ${sure ? "sure" : ""}">${sure ? "sure" : "not sure"}</span>`;
  }

  /** The metrics of a question: whole ones, with what the headline names, and parts such as `utility/worded`. */
  function partsOf(data, name) {
    const { runs, metrics } = data.overview;
    const asked = metrics.filter((metric) => metric.question === name && runs.some((_, i) => data.value(i, metric.name)));
    return [asked.filter((metric) => !data.isPart(metric.name)), asked.filter((metric) => data.isPart(metric.name))];
  }

  function Question({ data, name, title }) {
    const [whole, parts] = partsOf(data, name);
    if (!whole.length && !parts.length) return null;
    const notes = [...new Set([...whole, ...parts].flatMap((metric) => [...marks(metric).map(([, note]) => note), ...(metric.notes ?? [])]))];
    return html`<section aria-labelledby="q-${name}"><h2 id="q-${name}">${title}</h2>
      ${whole.length > 0 && html`<${Values} data=${data} asked=${whole} title=${title} />`}
      ${parts.length > 0 && html`<details><summary>Their ${count(parts.length)} parts</summary><${Values} data=${data} asked=${parts} title="${title} The parts" /></details>`}
      ${notes.length > 0 && html`<ul class="notes">${notes.map((note) => html`<li dir="auto">${note}</li>`)}</ul>`}</section>`;
  }

  function Values({ data, asked, title }) {
    const { runs, baseline } = data.overview;
    const digits = asked.map((metric) => digitsOf(data, metric));
    const best = asked.map((metric) => (metric.direction ? prefbench.verdict.ranking(data, metric).find((run) => prefbench.verdict.mayWin(data, run))?.value.value : undefined));
    const floors = asked.some((metric) => metric.floor !== null);
    return html`<${Wide} label=${title}><table class="values"><caption class="hidden">${title}</caption>
        <thead><tr><th scope="col">method</th>${asked.map((metric) => html`<th scope="col"><${MetricName} metric=${metric} /></th>`)}</tr></thead>
        <tbody>${data.order().map((i) => html`<tr key=${i}><th scope="row"><${Method} data=${data} run=${i} /></th>
          ${asked.map((metric, m) => html`<td><${Value} value=${data.value(i, metric.name)} digits=${digits[m]} best=${best[m] !== undefined && data.value(i, metric.name)?.value === best[m] && prefbench.verdict.mayWin(data, { run: i, value: data.value(i, metric.name) })}
            baseline=${baseline !== null && runs[i].label !== baseline} /></td>`)}</tr>`)}
        ${floors && html`<tr class="floor"><th scope="row">floor <${Mark} sign="*" note="* What one half of the reference images scores against the other half, at the same n: no method can be expected to do better." /></th>
          ${asked.map((metric, m) => html`<td>${metric.floor === null ? "" : shown(metric.floor, digits[m])}</td>`)}</tr>`}</tbody></table><//>`;
  }

  /** What did not come out, before any number. */
  function Failures({ data }) {
    const bad = data.overview.runs.map((run, i) => ({ ...run, i })).filter((run) => run.failed || run.undrawn);
    const failed = data.overview.runs.filter((run) => run.audit?.failed);
    if (!bad.length && !failed.length) return null;
    return html`<section class="notice bad" aria-label="Failures">
      ${bad.map(({ i, failed, undrawn }) => html`<p><${Method} data=${data} run=${i} />: ${failed > 0 && html`<a
        href=${link(["users"], { failed: "1", runs: String(i) })}>${count(failed)} ${failed === 1 ? "sample" : "samples"} failed</a>`}${failed && undrawn ? ", " : ""}${undrawn > 0
        && `${count(undrawn)} not drawn`}. They are missing from the numbers, never counted as 0.</p>`)}
      ${failed.length > 0 && html`<p>The <a href=${link(["audit"])}>audit</a> of ${list(failed.map((run) => html`<bdi>${run.label}</bdi>`))} failed.</p>`}
    </section>`;
  }

  /** How far a run that is being drawn is. */
  function Progress({ data }) {
    if (!data.overview.live) return null;
    return html`<section class="notice" aria-label="Progress">${data.overview.runs.map((run, i) => html`<p class="drawn" key=${i}>
      <${Method} data=${data} run=${i} /> <progress max=${run.n + run.undrawn} value=${run.n} aria-label="samples drawn by ${run.label}" />${" "}
      ${count(run.n)} of ${count(run.n + run.undrawn)} drawn</p>`)}</section>`;
  }

  function Overview({ data, params }) {
    const { suite, size, runs, title } = data.overview;
    const { Kinds, Cost, Reports, Repeat, Runs } = prefbench.tables;
    return html`<p class="kicker"><bdi>${title}</bdi></p><${Answer} data=${data} />
      <p class="muted"><bdi>${suite.summary}</bdi>${/[.!?]$/.test(suite.summary) || !suite.summary ? "" : "."}${" "}${count(size.users)} users, ${count(size.prompts)} prompts, ${count(size.samples)} samples of ${count(runs.length)} ${runs.length === 1 ? "run" : "runs"}. <a href=${link(["users"])}>See what was drawn</a></p>
      <${Progress} data=${data} /><${Failures} data=${data} />${data.overview.metrics.length > 0 && html`<${Contents} data=${data} />`}
      <${Sure} data=${data} /><${Headline} data=${data} /><${Warnings} data=${data} />
      ${QUESTIONS.map(([name, heading]) => html`<${Question} data=${data} name=${name} title=${heading} />`)}
      <${Kinds} data=${data} params=${params} /><${Cost} data=${data} /><${Repeat} data=${data} /><${Runs} data=${data} />
      <${Reports} data=${data} />`;
  }

  prefbench.views = { overview: Overview };
  prefbench.overview = { QUESTIONS, digitsOf };
})(window.prefbench);
