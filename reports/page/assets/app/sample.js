// One sample: its picture, what made it, what it scored, and what stands beside it.
"use strict";
(function (prefbench) {
  const { html, useEffect, useState } = window.htmPreact;
  const { Title, Method, Picture, Prompt, MetricName, Wide, Copy, useRows } = prefbench.parts;
  const { shown } = prefbench.text;
  const { userMeans, rowOf } = prefbench.stats;
  const { link } = prefbench.state;
  const LARGE = 384;

  /** Loads the row and its texts: { about } or { error }. */
  function useSample(data, run, row) {
    const [state, set] = useState({});
    useEffect(() => {
      let here = true;
      set({});
      data.sample(run, row).then((about) => here && set({ about, run, row }), (problem) => here && set({ error: problem.message }));
      return () => { here = false; };
    }, [run, row]);
    return state.about && (state.run !== run || state.row !== row) ? {} : state;
  }

  /** The side of the large picture: whole multiples where the cells hold the stored pixels. */
  function largeSize({ edge, exact }) {
    const room = Math.min(LARGE, document.documentElement.clientWidth - 48);
    return exact ? edge * Math.max(1, Math.floor(room / edge)) : Math.min(room, edge * 4);
  }

  /** How the size of a thumbnail stands to that of the stored picture. */
  function Size({ edge, size }) {
    if (!size) return null;
    const [width, height] = size;
    if (Math.max(width, height) <= edge) return html`<p class="muted small">All of its ${width} × ${height} pixels.</p>`;
    return html`<p class="muted small">Reduced to ${edge} pixels a side at most, of ${width} × ${height}; the picture itself is in the run’s folder.</p>`;
  }

  function Facts({ facts }) {
    const present = facts.filter(([, text]) => text !== null && text !== undefined && text !== "");
    return html`<dl class="facts">${present.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${text}</dd></div>`)}</dl>`;
  }

  function Scores({ data, run, row }) {
    const names = [...new Set([...data.overview.metrics.map((metric) => metric.name), ...data.rows[run].scores.keys()])].filter((name) => data.rows[run].scores.has(name));
    if (!names.length) return html`<p class="muted">No score of single pictures is stored for this run.</p>`;
    const parts = names.filter((name) => data.isPart(name));
    return html`<${ScoreTable} data=${data} run=${run} row=${row} names=${names.filter((name) => !parts.includes(name))} title="Scores" />
      ${parts.length > 0 && html`<details><summary>${parts.length} parts of these</summary><${ScoreTable} data=${data} run=${run} row=${row} names=${parts} title="Parts of scores" /></details>`}`;
  }

  function ScoreTable({ data, run, row, names, title }) {
    const { scores, user } = data.rows[run];
    const name = (each) => (data.metrics.has(each) ? html`<${MetricName} metric=${data.metrics.get(each)} bare />` : html`<bdi>${each}</bdi>`);
    return html`<${Wide} label=${title}><table><caption class="hidden">${title} of this picture</caption><thead><tr><th scope="col">metric</th><th scope="col">this picture</th>
      <th scope="col">the user’s mean</th></tr></thead><tbody>${names.map((each) => html`<tr key=${each}><th scope="row">${name(each)}</th><td>${shown(scores.get(each)[row])}</td>
        <td>${data.ready ? shown(userMeans(data, run, each)[user[row]]) : "…"}</td></tr>`)}</tbody></table><//>`;
  }

  /** The pictures of other methods for the same user, prompt and sample index. */
  function Others({ data, run, row }) {
    const waiting = useRows(data);
    if (data.overview.runs.length < 2) return null;
    const { user, prompt, index } = data.rows[run];
    const all = waiting ? [] : data.overview.runs.map((_, other) => [other, other === run ? row : rowOf(data, other, user[row], prompt[row], index[row])]);
    return html`<section aria-labelledby="others"><h2 id="others">The same case by every method</h2>${waiting}
      <ul class="judged">${all.map(([other, at]) => html`<li key=${other} class=${other === run ? "here" : ""}><figure>
        ${at < 0 ? html`<${Picture} data=${data} place=${-1} size=${96} label=${data.overview.runs[other].label} why="not drawn" />`
          : html`<a href=${link(["sample", other, at])} aria-current=${other === run ? "true" : undefined}><${Picture} data=${data} place=${data.rows[other].place[at]} size=${96}
            label=${data.overview.runs[other].label} why=${data.rows[other].ok[at] ? "picture missing" : "failed"} /></a>`}
        <figcaption><${Method} data=${data} run=${other} /></figcaption></figure></li>`)}</ul></section>`;
  }

  /** The row as data, with the names that indices stand for. */
  function record(data, run, row, about) {
    const rows = data.rows[run];
    const { label, method, folder } = data.overview.runs[run];
    const number = (value) => (Number.isNaN(value) ? null : value);
    return {
      run: label, method, folder, row, key: about.key, user: data.people.users[rows.user[row]].id, prompt: data.people.prompts[rows.prompt[row]],
      index: rows.index[row], ok: Boolean(rows.ok[row]), error: about.error, seed: about.seed, image: about.image, prompt_used: about.used,
      seconds: about.seconds, nfe: about.nfe, scores: Object.fromEntries([...rows.scores].map(([name, column]) => [name, number(column[row])])),
    };
  }

  function Sample({ data, path, params }) {
    const [run, row] = [1, 2].map((i) => (/^\d+$/.test(path[i] ?? "") ? Number(path[i]) : -1));
    const known = run >= 0 && run < data.overview.runs.length && row >= 0 && row < data.overview.runs[run].n;
    return known ? html`<${Known} data=${data} run=${run} row=${row} params=${params} />`
      : html`<${Title}>No such sample<//><p>There is no such sample here. <a href=${link(["users"])}>All users</a></p>`;
  }

  function Known({ data, run, row }) {
    const { about, error } = useSample(data, run, row);
    useRows(data);
    const { label, n } = data.overview.runs[run];
    const title = html`<div><${Title} small>Sample ${row} of <bdi>${label}</bdi><//></div>`;
    if (error) return html`<div><div></div>${title}<div><p class="notice bad" role="alert">${error}</p></div></div>`;
    if (!about) return html`<div><div></div>${title}<div><p class="notice" role="status">Reading the sample.</p></div></div>`;
    const rows = data.rows[run];
    const user = data.people.users[rows.user[row]];
    const prompt = data.people.prompts[rows.prompt[row]] ?? "";
    const json = JSON.stringify(record(data, run, row, about), null, 2);
    const thumbnail = data.overview.thumbnail;
    return html`<div><div><nav class="neighbours" aria-label="Neighbours in the run">${row > 0 ? html`<a href=${link(["sample", run, row - 1])} rel="prev">← before</a>` : html`<span class="muted">←</span>`}
        <a href=${link(["user", user.id])}>all of <bdi>${user.id || "(no name)"}</bdi></a>${row + 1 < n ? html`<a href=${link(["sample", run, row + 1])} rel="next">after →</a>` : html`<span class="muted">→</span>`}</nav></div>
      ${title}<div><div class="lead full" dir="auto" role="region" aria-label="prompt" tabindex="0">${prompt}</div>
      ${about.used !== null && html`<p class="used"><span class="muted">Prompt used:</span> <span dir="auto" role="region" aria-label="prompt used" tabindex="0">${about.used}</span></p>`}
      ${about.error !== null && html`<p class="notice bad">Failed: <span dir="auto">${about.error}</span></p>`}
      <div class="sample"><div class="pictures"><figure><${Picture} data=${data} place=${rows.place[row]} size=${largeSize(thumbnail)} label="the picture of this sample" why=${rows.ok[row] ? "picture missing" : "failed"} />
          <figcaption><${Method} data=${data} run=${run} /><${Size} edge=${thumbnail.edge} size=${about.size} /></figcaption></figure>
        <figure><${Picture} data=${data} place=${about.near ?? -1} size=${128} label="the nearest like" why="none" /><figcaption>Nearest like<p class="muted small">of this user, by pixels</p></figcaption></figure></div>
        <div><${Scores} data=${data} run=${run} row=${row} />
        <${Facts} facts=${[["method", html`<bdi>${label}</bdi>`], ["user", html`<a href=${link(["user", user.id])}><bdi>${user.id || "(no name)"}</bdi></a>`], ["kind", user.kind],
          ["sample", rows.index[row]], ["seed", about.seed], ["seconds", about.seconds === null ? null : shown(about.seconds)], ["passes", about.nfe], ["key", about.key], ["picture", about.image]]} /></div></div>
      <${Others} data=${data} run=${run} row=${row} />
      <details><summary>This row as JSON</summary><div class="code"><pre tabindex="0" aria-label="JSON">${json}</pre><${Copy} text=${json} label="Copy the JSON" /></div></details></div></div>`;
  }

  prefbench.views.sample = Sample;
})(window.prefbench);
