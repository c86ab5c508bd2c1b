// Components that every view uses. Text from outside goes through Preact, which escapes it, and stands in <bdi> or with
// dir="auto", so that its direction does not turn what is beside it.
"use strict";
(function (prefbench) {
  const { html, useEffect, useRef, useState } = window.htmPreact;
  const { shown, range, p } = prefbench.text;
  const SIGN = /([†‡§¶°⊕*●]|=(?=\s|$)|\bfew\b)/u;
  const SHAPES = 4;
  const COLOURS = 8;

  /** The first heading of a view; it takes the focus when the view opens. */
  function Title({ children, small }) {
    return html`<h1 tabindex="-1" class=${small ? "small" : ""}>${children}</h1>`;
  }

  /** The colour and shape of a run, the same everywhere. */
  function Dot({ run }) {
    return html`<span class="dot c${run % COLOURS} s${Math.floor(run / COLOURS) % SHAPES}" aria-hidden="true"></span>`;
  }

  /** A run's colour and label. */
  function Method({ data, run }) {
    const { label } = data.overview.runs[run];
    return html`<span class="method"><${Dot} run=${run} /><bdi>${label}</bdi>
      ${!data.ranked(run) && html` <span class="tag">control</span>`}</span>`;
  }

  /** A prompt, cut to some lines by the style sheet but whole for a screen reader. */
  function Prompt({ text, lines = 2 }) {
    return html`<span class="prompt lines${lines}" dir="auto" title=${text.length > 80 ? text : undefined}>${text}</span>`;
  }

  /** A mark that opens its note where it stands; Escape or leaving it closes the note. */
  function Mark({ sign, note }) {
    const [at, open] = useState(null);
    const button = useRef();
    const toggle = () => {
      const box = button.current.getBoundingClientRect();
      const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - 296));
      open(at ? null : { left: `${left}px`, top: `${box.bottom + 6}px` });
    };
    useEffect(() => {
      if (!at) return undefined;
      const close = () => open(null);
      addEventListener("scroll", close, { capture: true, once: true });
      return () => removeEventListener("scroll", close, { capture: true });
    }, [at]);
    const keyed = (event) => { if (event.key === "Escape") open(null); };
    return html`<span class="mark"><button type="button" ref=${button} aria-expanded=${String(Boolean(at))}
      aria-label="note ${sign}" title=${note} onClick=${toggle} onBlur=${() => open(null)} onKeyDown=${keyed}>${sign}</button>
      <span role="status">${at && html`<span class="note" dir="auto" style=${at}>${note}</span>`}</span></span>`;
  }

  /** A text whose marks open the notes that begin with them. */
  function Marked({ text, notes }) {
    const words = text.split(SIGN);
    return html`${words.map((word) => {
      const note = SIGN.test(word) && notes.find((line) => line.startsWith(word) || line.startsWith(`${word}:`));
      return note ? html`<${Mark} sign=${word} note=${note} />` : html`<bdi>${word}</bdi>`;
    })}`;
  }

  /** The notes of a metric as [sign, text]: what a note begins with stands as a mark beside the metric. */
  const marks = (metric) => metric.marks.map((note) => [note.match(/^(?:few|\S)(?=[ :])/u)?.[0] ?? "†", note]);

  /** The name of a metric as a link to its card, with its direction and, unless bare, its marks. */
  function MetricName({ metric, bare }) {
    const way = { up: "↑", down: "↓" }[metric.direction];
    return html`<a href=${prefbench.state.link(["metric", metric.name])}><bdi>${metric.shown}</bdi></a>${way && html` <span
      class="way" role="img" aria-label="${metric.direction === "up" ? "higher" : "lower"} is better">${way}</span>`}
      ${!bare && marks(metric).map(([sign, note]) => html`<${Mark} sign=${sign} note=${note} />`)}`;
  }

  /** A summary of one metric for one run: the mean, its interval, and the difference from the baseline. */
  function Value({ value, digits, best, baseline }) {
    if (!value || value.value === null) return html`<span class="muted">—</span>`;
    const gain = baseline ? value.difference : null;
    const sure = gain && prefbench.verdict.isSure(gain);
    return html`<span class=${best ? "number best" : "number"}>${shown(value.value, digits)}${value.unranked && html`<${Mark} sign="§"
        note="§ This metric must not rank it: ${value.unranked}." />`}</span>
      ${value.low !== null && value.low !== undefined && html`<span class="interval">${range(value.low, value.high, digits)}</span>`}
      ${gain && gain.value !== null && html`<span class=${sure ? "gain sure" : "gain"}>${gain.value > 0 ? "+" : ""}${shown(gain.value, digits)}${" "}
        ${sure ? "sure" : "not sure"}${gain.p !== null && gain.p !== undefined ? `, ${p(gain.p)}` : ""}</span>`}
      ${!gain && value.p !== null && value.p !== undefined && html`<span class="interval">${p(value.p)}</span>`}
      ${value.missing > 0 && html`<span class="interval">${value.missing} missing</span>`}`;
  }

  /** A table that scrolls sideways within itself, reachable by keyboard. */
  function Wide({ label, children }) {
    return html`<div class="wide" role="region" aria-label="table: ${label}" tabindex="0">${children}</div>`;
  }

  /** A text to copy, with a button that says whether it was. */
  function Copy({ text, label = "Copy" }) {
    const [said, say] = useState("");
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(text);
        say("Copied");
      } catch {
        say("Select the text to copy it");
      }
      setTimeout(() => say(""), 2500);
    };
    return html`<span class="copy"><button type="button" onClick=${copy}>${label}</button>
      <span role="status" class="muted">${said}</span></span>`;
  }

  /** A link out of the page: https only, anything else stays text. */
  function Outside({ href }) {
    if (!/^https:\/\/[^\s]+$/.test(href)) return html`<bdi>${href}</bdi>`;
    return html`<a href=${href} rel="noopener noreferrer" target="_blank"><bdi>${href}</bdi></a>`;
  }

  /** Calls for all rows; says how far that is, and what went wrong. Returns null once they are there. */
  function useRows(data) {
    const [, again] = useState(0);
    const [error, fail] = useState(null);
    useEffect(() => {
      let here = true;
      if (!data.ready) {
        data.all(() => here && again(data.done)).then(() => here && again(-1), (problem) => here && fail(problem.message));
      }
      return () => { here = false; };
    }, [data]);
    if (data.ready) return null;
    if (error) return html`<p class="notice bad" role="alert">${error}</p>`;
    return html`<p class="notice" role="status">Reading samples: <progress max=${data.total} value=${data.done}
      aria-label="blocks of samples that are read" /></p>`;
  }

  /** The width of an element in pixels, followed as it changes. */
  function useWidth(element) {
    const [width, set] = useState(0);
    useEffect(() => {
      const seen = new ResizeObserver((entries) => set(Math.floor(entries[0].contentRect.width)));
      seen.observe(element.current);
      return () => seen.disconnect();
    }, []);
    return width;
  }

  Object.assign(prefbench, {
    parts: { Title, Dot, Method, Prompt, Picture: prefbench.Picture, Mark, Marked, MetricName, Value, Wide, Copy, Outside, marks, useRows, useWidth },
  });
})(window.prefbench);
