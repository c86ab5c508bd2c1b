// Plots by Vega-Lite. Its expressions are walked by the interpreter, since the policy forbids eval; the library is loaded
// with the first plot, so the first view does not wait for it. Each plot stands beside a table of the same numbers.
"use strict";
(function (prefbench) {
  const { html, useEffect, useRef, useState } = window.htmPreact;
  const { useWidth } = prefbench.parts;
  const LIBRARY = "page/vendor/vega.js";
  const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

  /** The colour that a variable of the style sheet stands for now. */
  function colour(name) {
    const probe = document.createElement("span");
    probe.className = `probe ${name}`;
    document.body.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }

  /** Colours of the page as it is shown now. */
  const palette = (runs) => ({
    ink: colour("ink"),
    muted: colour("muted"),
    rule: colour("rule"),
    accent: colour("accent"),
    runs: Array.from({ length: runs }, (_, run) => colour(`c${run % 8}`)),
  });

  /** What all plots have in common. */
  const look = ({ ink, muted, rule }) => ({
    background: null,
    font: FONT,
    view: { stroke: null },
    axis: {
      labelColor: muted, titleColor: muted, domainColor: rule, tickColor: rule, gridColor: rule, labelFontSize: 13,
      titleFontSize: 13, titleFontWeight: "normal", labelLimit: 170, gridOpacity: 0.7, titlePadding: 8,
    },
    axisY: { labelColor: ink },
    header: { labelColor: ink, labelFontSize: 13, labelLimit: 300, titleColor: muted },
    legend: { labelColor: muted, titleColor: muted },
  });

  async function plot(element, spec, width, runs, pick) {
    await prefbench.script(LIBRARY);
    const { vega, vegaLite, vegaInterpreter } = window;
    const colours = palette(runs);
    const { spec: compiled } = vegaLite.compile({ ...spec(width, colours), config: look(colours) });
    const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
      expr: vegaInterpreter, renderer: "canvas", container: element, hover: true, logLevel: vega.Error,
    });
    if (pick) view.addEventListener("click", (_, item) => item?.datum && pick(item.datum));
    await view.runAsync();
    return view;
  }

  /** A plot: `spec(width, colours)` gives it in Vega-Lite for a width in pixels, `mark` tells when it is another one. */
  function Chart({ spec, mark, label, runs, pick }) {
    const box = useRef();
    const width = useWidth(box);
    const [error, fail] = useState(null);
    const theme = useScheme();
    useEffect(() => {
      if (!width) return undefined;
      let here = true;
      let view = null;
      const element = document.createElement("div");
      plot(element, spec, width, runs, pick).then((made) => {
        view = made;
        if (here) box.current.replaceChildren(element);
        else view.finalize();
      }, (problem) => here && fail(problem.message));
      return () => { here = false; view?.finalize(); };
    }, [mark, width, theme]);
    return html`<div class=${theme === "dark" ? "chart dark" : "chart"} role="img" aria-label=${label}>
      <div ref=${box}></div>${error && html`<p class="notice bad">${error}</p>`}</div>`;
  }

  /** A word for the colours in use; it changes with the system's scheme and with the reader's choice. */
  function useScheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const now = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
    const [scheme, set] = useState(now());
    useEffect(() => {
      const follow = () => set(now());
      dark.addEventListener("change", follow);
      addEventListener("prefbench-theme", follow);
      return () => { dark.removeEventListener("change", follow); removeEventListener("prefbench-theme", follow); };
    }, []);
    return scheme;
  }

  /** Dots with intervals, one row a run: rows are { run, label, value, low, high }; `line` is a value to compare with. */
  const intervals = (rows, title, line) => (width, colours) => ({
    width,
    height: 34 * rows.length + 44,
    autosize: { type: "fit", contains: "padding" },
    data: { values: rows },
    encoding: { y: { field: "label", type: "nominal", sort: null, title: null, axis: { domain: false, ticks: false, labelPadding: 12 } } },
    layer: [
      ...(Number.isFinite(line)
        ? [{ mark: { type: "rule", strokeDash: [4, 4], color: colours.muted }, encoding: { x: { datum: line }, y: null } }]
        : []),
      {
        mark: { type: "rule", strokeWidth: 2.5, strokeCap: "round" },
        encoding: {
          x: { field: "low", type: "quantitative", title, axis: { tickCount: Math.max(3, Math.floor(width / 110)) }, scale: { zero: false, nice: true, padding: 8 } },
          x2: { field: "high" },
          color: runColours(rows, colours),
        },
      },
      {
        mark: { type: "point", filled: true, size: 130, opacity: 1, stroke: colours.ink, strokeWidth: 0.6 },
        encoding: { x: { field: "value", type: "quantitative" }, color: runColours(rows, colours), shape: runShapes(rows) },
      },
    ],
  });

  const runColours = (rows, colours) => {
    const runs = [...new Set(rows.map((row) => row.run))];
    return { field: "run", type: "nominal", legend: null, scale: { domain: runs, range: runs.map((run) => colours.runs[run]) } };
  };

  /** The shapes that tell apart runs of one colour, as the style sheet's dots have them. */
  const runShapes = (rows) => {
    const runs = [...new Set(rows.map((row) => row.run))];
    const shapes = ["circle", "square", "diamond", "triangle-up"];
    return { field: "run", type: "nominal", legend: null, scale: { domain: runs, range: runs.map((run) => shapes[Math.floor(run / 8) % 4]) } };
  };

  /** Counts in bins, one small plot a run above the next: rows are { run, label, from, to, count }. */
  const distributions = (rows, title) => (width, colours) => ({
    data: { values: rows },
    facet: { row: { field: "label", type: "nominal", sort: [...new Set(rows.map((row) => row.label))], title: null, header: { labelAngle: 0, labelAlign: "left", labelOrient: "top", labelAnchor: "start", labelPadding: 2 } } },
    spacing: 10,
    spec: {
      width: Math.max(120, width - 70),
      height: 56,
      mark: { type: "bar", binSpacing: 1 },
      encoding: {
        x: { field: "from", type: "quantitative", bin: { binned: true }, title, scale: { zero: false } },
        x2: { field: "to" },
        y: { field: "count", type: "quantitative", title: null, axis: { tickCount: 2, grid: false } },
        color: runColours(rows, colours),
        tooltip: [{ field: "count", title: "pictures" }, { field: "from", format: ".3f" }, { field: "to", format: ".3f" }],
      },
    },
  });

  /** Users as points, one method against another, with the diagonal: rows are { user, x, y }. */
  const scatter = (rows, [across, up]) => (width, colours) => {
    const both = rows.flatMap((row) => [row.x, row.y]);
    const [low, high] = [Math.min(...both), Math.max(...both)];
    const axis = { tickCount: 5 };
    const scale = { domain: [low, high], zero: false, nice: true };
    return {
      width: Math.min(440, width - 80),
      height: Math.min(440, width - 80),
      data: { values: rows },
      layer: [
        {
          data: { values: [{ at: low }, { at: high }] },
          mark: { type: "line", color: colours.muted, strokeDash: [4, 4] },
          encoding: { x: { field: "at", type: "quantitative" }, y: { field: "at", type: "quantitative" } },
        },
        {
          mark: { type: "point", filled: true, size: 70, opacity: 0.75, color: colours.accent, cursor: "pointer" },
          encoding: {
            x: { field: "x", type: "quantitative", title: across, scale, axis },
            y: { field: "y", type: "quantitative", title: up, scale, axis },
            tooltip: [{ field: "user" }, { field: "x", format: ".3f", title: across }, { field: "y", format: ".3f", title: up }],
          },
        },
      ],
    };
  };

  prefbench.charts = { Chart, intervals, distributions, scatter };
})(window.prefbench);
