// What an audit of each run found, failures first.
"use strict";
(function (prefbench) {
  const { html } = window.htmPreact;
  const { Title, Method, Copy } = prefbench.parts;
  const { count } = prefbench.text;
  const ORDER = ["failed", "warning", "passed", "skipped"];
  const SIGNS = { failed: "✕", warning: "!", passed: "✓", skipped: "–" };

  /** A folder as a word for a shell. */
  const quoted = (folder) => (/^[\w./:@%+=-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`);

  function Missing({ run }) {
    const command = `prefbench audit ${quoted(run.folder)}`;
    return html`<p>This run was not audited. To audit it:</p><div class="code"><pre tabindex="0" aria-label="command">${command}</pre><${Copy} text=${command} /></div>`;
  }

  function Run({ data, run, place }) {
    const { audit } = run;
    const findings = audit ? [...audit.findings].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status)) : [];
    const counts = ORDER.map((status) => [status, findings.filter((each) => each.status === status).length]).filter(([, n]) => n);
    return html`<section aria-labelledby="audit-${place}"><h2 id="audit-${place}"><${Method} data=${data} run=${place} /></h2>
      ${!audit ? html`<${Missing} run=${run} />` : html`${audit.failed_before > 0 && html`<p class="notice">An earlier audit of this run failed.</p>`}
        <p class="muted">${counts.map(([status, n]) => `${count(n)} ${status}`).join(", ")}${audit.date ? `, ${String(audit.date).slice(0, 10)}` : ""}</p>
        ${audit.fresh && html`<p dir="auto">${audit.fresh.text}</p>`}
        <ul class="findings">${findings.map((each, i) => html`<li key=${i} class=${ORDER.includes(each.status) ? each.status : "skipped"}>
          <span class="status"><span aria-hidden="true">${SIGNS[each.status] ?? "–"}</span> ${each.status}</span>
          <div><h3 dir="auto">${each.name}</h3><p dir="auto">${each.text}</p></div></li>`)}</ul>`}</section>`;
  }

  function Audit({ data }) {
    const weight = ({ run: { audit }, place }) => (audit?.failed ? 0 : audit?.warned ? 1 : !audit && data.ranked(place) ? 2 : audit ? 3 : 4);
    const runs = data.overview.runs.map((run, place) => ({ run, place })).sort((a, b) => weight(a) - weight(b));
    return html`<${Title}>Audit<//><p class="muted">An audit tries whether a run can be what it says it is: drawn from seeds, for these users, without copies.</p>
      ${runs.map(({ run, place }) => html`<${Run} key=${place} data=${data} run=${run} place=${place} />`)}`;
  }

  prefbench.views.audit = Audit;
})(window.prefbench);
