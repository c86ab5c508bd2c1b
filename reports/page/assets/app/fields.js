// Fields of forms. Each writes its choice into the hash, from where the views read it.
"use strict";
(function (prefbench) {
  const { html } = window.htmPreact;
  const { change } = prefbench.state;
  const LONGEST = 70;
  const OPEN = 10;

  const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

  /** A list to choose one from: options are [value, text]. */
  function Select({ name, label, value, options, also = {} }) {
    return html`<label class="field"><span>${label}</span>
      <select value=${value} onChange=${(event) => change({ [name]: event.target.value, ...also })}>
        ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${cut(text)}</option>`)}
      </select></label>`;
  }

  /** A field to search by typing. */
  function Search({ name, label, value, hint }) {
    return html`<label class="field search"><span>${label}</span>
      <input type="search" value=${value} placeholder=${hint} autocomplete="off" spellcheck="false"
        onInput=${(event) => change({ [name]: event.target.value })} /></label>`;
  }

  /** One yes or no. */
  function Check({ name, label, on }) {
    return html`<label class="check"><input type="checkbox" checked=${on}
      onChange=${(event) => change({ [name]: event.target.checked ? "1" : null })} /> ${label}</label>`;
  }

  /** Some of several: `chosen` are keys, `write` makes the text for the hash. */
  function Several({ name, legend, options, chosen, write }) {
    const toggle = (key, on) => {
      const keys = options.map(([each]) => each).filter((each) => (each === key ? on : chosen.includes(each)));
      change({ [name]: write(keys) });
    };
    const boxes = html`<fieldset class="several"><legend>${legend}</legend>
      ${options.map(([key, text]) => html`<label class="check" key=${key}><input type="checkbox" checked=${chosen.includes(key)}
        onChange=${(event) => toggle(key, event.target.checked)} /> ${text}</label>`)}</fieldset>`;
    if (options.length <= OPEN) return boxes;
    const texts = options.filter(([key]) => chosen.includes(key)).map(([, text]) => (typeof text === "string" ? text : ""));
    return html`<details class="folded"><summary>${legend}: <span class="muted">${texts[0] ? texts.join(", ") : `${chosen.length} of ${options.length}`}</span></summary>${boxes}</details>`;
  }

  /** The methods that are looked at. */
  function Methods({ data, chosen }) {
    const all = data.overview.runs.length;
    const options = data.overview.runs.map((run, i) => [i, html`<${prefbench.parts.Method} data=${data} run=${i} />`]);
    const write = (keys) => (keys.length === all ? null : keys.join(","));
    return html`<${Several} name="runs" legend="Methods" options=${options} chosen=${chosen} write=${write} />`;
  }

  /** Options for metrics by their names. */
  const metricOptions = (data, names) => names.map((name) => [name, data.metrics.get(name)?.shown ?? name]);

  /** Options for runs by their places. */
  const runOptions = (data) => data.overview.runs.map((run, i) => [String(i), run.label]);

  prefbench.fields = { Select, Search, Check, Several, Methods, metricOptions, runOptions, cut };
})(window.prefbench);
