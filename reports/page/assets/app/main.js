// The frame around the views: the way between them, focus and title, colours, and following a run that goes on.
"use strict";
(function (prefbench) {
  const { html, render, Component, useEffect, useLayoutEffect, useState } = window.htmPreact;
  const { parse, link } = prefbench.state;
  const { keep } = prefbench;
  const PAUSE = 2000;
  const VIEWS = [
    ["", "Overview", ["", "overview"]],
    ["users", "Users", ["users", "user", "sample"]],
    ["metrics", "Metrics", ["metrics", "metric"]],
    ["audit", "Audit", ["audit"]],
  ];
  const scrolled = new Map();
  let clicked = false;

  const viewOf = (name) => (name === "" ? "overview" : Object.hasOwn(prefbench.views, name) ? name : null);

  /** The route of now, followed as the hash changes; a step back finds the place on the page again. */
  function useRoute() {
    const [route, set] = useState(parse(location.hash));
    useEffect(() => {
      const note = () => scrolled.set(parse(location.hash).key, scrollY);
      const follow = () => set(parse(location.hash));
      const click = (event) => { if (event.target.closest?.("a[href^='#/'], canvas")) clicked = true; };
      addEventListener("hashchange", follow);
      addEventListener("scroll", note, { passive: true });
      addEventListener("click", click, true);
      return () => { removeEventListener("hashchange", follow); removeEventListener("scroll", note); removeEventListener("click", click, true); };
    }, []);
    return route;
  }

  function useArrival(route, title) {
    useLayoutEffect(() => {
      const heading = document.querySelector("main h1");
      document.title = heading ? `${heading.textContent.slice(0, 120)} · ${title}` : title;
    });
    const [first, set] = useState(true);
    useEffect(() => {
      if (first) { set(false); return; }
      const back = clicked ? 0 : scrolled.get(route.key) ?? 0;
      clicked = false;
      document.querySelector("main h1")?.focus({ preventScroll: true });
      scrollTo(0, back);
    }, [route.key]);
  }

  function Scheme() {
    const [scheme, set] = useState(keep.get("localStorage", "scheme") ?? "");
    useLayoutEffect(() => {
      document.documentElement.dataset.theme = scheme;
      dispatchEvent(new Event("prefbench-theme"));
    }, [scheme]);
    const choose = (event) => { keep.set("localStorage", "scheme", event.target.value); set(event.target.value); };
    return html`<label class="scheme"><span class="hidden">Colours</span><select value=${scheme} onChange=${choose}>
      ${[["", "System colours"], ["light", "Light"], ["dark", "Dark"]].map(([key, text]) => html`<option key=${key} value=${key} selected=${key === scheme}>${text}</option>`)}</select></label>`;
  }

  /** Reads `version` again and again while a run goes on; another text means another page. */
  function Follow() {
    const [paused, pause] = useState(keep.get("sessionStorage", "paused") === "1");
    const [lost, lose] = useState(false);
    useEffect(() => {
      if (paused) return undefined;
      let version = location.pathname.match(/^\/v(\d+)\//)?.[1] ?? null;
      const ask = async () => {
        try {
          const answer = await fetch("version", { cache: "no-store" });
          if (!answer.ok) throw new Error(answer.statusText);
          const text = await answer.text();
          lose(false);
          if (version !== null && text !== version) location.reload();
          version = text;
        } catch { lose(true); }
      };
      ask();
      const timer = setInterval(ask, PAUSE);
      return () => clearInterval(timer);
    }, [paused]);
    const toggle = () => { keep.set("sessionStorage", "paused", paused ? "" : "1"); pause(!paused); };
    return html`<p class="follow"><span role="status">${lost ? "The server does not answer." : paused ? "Not following the run." : "Following the run."}</span>
      <button type="button" onClick=${toggle}>${paused ? "Follow" : "Pause"}</button></p>`;
  }

  /** Keeps what is around a view alive where the view meets data that it cannot show. */
  class Guard extends Component {
    constructor() { super(); this.state = { error: null }; }
    componentDidCatch(error) { console.error(error); this.setState({ error }); }
    render({ children, route }, { error }) {
      if (error && this.failed === route) {
        return html`<${prefbench.parts.Title}>This view cannot be shown<//><p class="notice bad" role="alert">${String(error.message)}</p><p><a href="#/">To the start</a></p>`;
      }
      this.failed = route;
      return children;
    }
  }

  function Frame({ data }) {
    const route = useRoute();
    const name = viewOf(route.path[0]);
    const { title, version, live } = data.overview;
    useArrival(route, title);
    const skip = (event) => { event.preventDefault(); document.querySelector("main h1")?.focus(); };
    const View = prefbench.views[name];
    return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <header class="top"><div class="inner"><a class="brand" href=${link([""])}>prefbench</a>
        <nav aria-label="Views">${VIEWS.map(([path, text, names]) => html`<a key=${path} href=${link([path])} aria-current=${names.includes(name ?? "?") ? (names[0] === route.path[0] ? "page" : "true") : undefined}>${text}</a>`)}</nav>
        <${Scheme} /></div></header>
      <main id="main" class=${`view-${name}`} key=${name === "sample" || name === "user" || name === "metric" ? route.key : name}>${live && html`<${Follow} />`}
        <${Guard} route=${location.hash}>${View ? html`<${View} data=${data} path=${route.path} params=${route.params} />` : html`<${prefbench.parts.Title}>No such view<//><p><a href="#/">To the start</a></p>`}<//></main>
      <footer class="bottom"><div class="inner">Made by prefbench ${version}. Everything here lies in this folder; nothing is asked from the network.</div></footer>`;
  }

  const data = prefbench.open();
  const place = document.getElementById("app");
  if (data) render(html`<${Frame} data=${data} />`, place);
  else render(html`<p class="plain" role="alert">The data of this page are missing: keep the folder “page” beside index.html, or write the report again with prefbench report.</p>`, place);
})(window.prefbench);
