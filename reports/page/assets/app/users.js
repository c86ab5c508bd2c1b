// All users, filtered and sorted. Only the rows in sight are in the document.
"use strict";
(function (prefbench) {
  const { html, useEffect, useLayoutEffect, useRef, useState } = window.htmPreact;
  const { Title, Method, Picture, useRows } = prefbench.parts;
  const { Select, Search, Check, Methods, metricOptions, runOptions } = prefbench.fields;
  const { shown, count } = prefbench.text;
  const { link } = prefbench.state;
  const BEYOND = 6;
  const NARROW = 760;
  const LIKES = 6;

  const sortOptions = [
    ["id", "order of the suite"],
    ["score", "score of a method"],
    ["methods", "disagreement of two methods"],
    ["metrics", "disagreement of two metrics"],
  ];

  function Filters({ data, chosen, params }) {
    const kinds = [...new Set(data.people.users.map((user) => user.kind))].sort();
    const used = new Set(data.rows.flatMap((rows) => [...new Set(rows.prompt)]));
    const prompts = [...used].sort((a, b) => a - b).map((i) => [String(i), data.people.prompts[i]]);
    const metrics = metricOptions(data, chosen.names);
    const runs = runOptions(data);
    return html`<form class="filters" role="search" aria-label="Users" onSubmit=${(event) => event.preventDefault()}>
      <div class="fields">
        <${Search} name="q" label="User or prompt" value=${params.q ?? ""} hint="name or words" />
        <${Select} name="kind" label="Kind of user" value=${chosen.kind} options=${[["", "all kinds"], ...kinds.map((kind) => [kind, kind])]} />
        <${Select} name="prompt" label="Prompt" value=${chosen.prompt < 0 ? "" : String(chosen.prompt)} options=${[["", "all prompts"], ...prompts]} />
        ${chosen.metric && html`<${Select} name="metric" label="Metric shown" value=${chosen.metric} options=${metrics} />`}
      </div>
      <div class="fields">
        <${Select} name="sort" label="Sort by" value=${chosen.sort} options=${sortOptions} also=${{ order: null }} />
        ${chosen.sort === "score" && html`<${Select} name="by" label="of" value=${String(chosen.by)} options=${runs} />`}
        ${chosen.sort === "methods" && html`<${Select} name="a" label="one method" value=${String(chosen.a)} options=${runs} />
          <${Select} name="b" label="the other" value=${String(chosen.b)} options=${runs} />`}
        ${chosen.sort === "metrics" && html`<${Select} name="x" label="one metric" value=${chosen.x} options=${metrics} />
          <${Select} name="y" label="the other" value=${chosen.y} options=${metrics} />`}
        <${Select} name="order" label="Order" value=${chosen.reverse ? "reverse" : ""} options=${chosen.sort === "id"
          ? [["", "first to last"], ["reverse", "last to first"]] : [["", "largest first"], ["reverse", "smallest first"]]} />
      </div>
      <div class="fields"><${Methods} data=${data} chosen=${chosen.runs} /><${Check} name="failed" label="failed to draw" on=${chosen.failed} /></div>
    </form>`;
  }

  const explained = {
    methods: "Apart: how far the user’s means of the two methods lie from each other.",
    metrics: "Apart: by how many ranks among all users the two metrics place a user differently, the mean over the methods chosen.",
  };

  function Row({ data, chosen, list, place, top, height, narrow }) {
    const u = list.order[place];
    const user = data.people.users[u];
    const values = list.means.map((means) => (means ? means[u] : NaN));
    const finite = values.filter(Number.isFinite);
    const best = data.metrics.get(chosen.metric)?.direction === "down" ? Math.min(...finite) : Math.max(...finite);
    const apart = (chosen.sort === "methods" || chosen.sort === "metrics") && list.keys;
    return html`<li class="user" aria-setsize=${list.order.length} aria-posinset=${place + 1} data-place=${place}
      style=${{ transform: `translateY(${top}px)`, height: `${height}px` }}>
      <a href=${link(["user", user.id])}><bdi>${user.id || "(no name)"}</bdi><span class="kind"><bdi>${user.kind}</bdi></span></a>
      <span class="strip" aria-hidden="true">${data.people.liked[u].slice(0, LIKES).map(([at], i) => html`<${Picture} key=${i} data=${data} place=${at} size=${40} label="liked" why="" />`)}</span>
      <span class="means">${chosen.runs.map((run, i) => html`<span key=${run} class=${values[i] === best ? "best" : ""}>
        <span class=${narrow ? "of" : "hidden"}><${Method} data=${data} run=${run} /> </span><span>${shown(values[i])}</span></span>`)}</span>
      <span class="last">${apart && Number.isFinite(apart[u]) && html`<span class="number">${shown(apart[u], chosen.sort === "metrics" ? 1 : undefined)}</span> <span class="muted">apart</span>`}
        ${list.failed[u] > 0 && html` <span class="tag bad">${list.failed[u]} failed</span>`}</span></li>`;
  }

  /** The part of a long list that is in sight: [first, last] places. */
  function useSight(box, length, height) {
    const [sight, set] = useState([0, 20]);
    const look = () => {
      if (!box.current) return;
      const above = -box.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.min(length - 1, Math.floor(above / height) - BEYOND));
      const last = Math.min(length, Math.ceil((above + innerHeight) / height) + BEYOND);
      set((old) => (old[0] === first && old[1] === last ? old : [first, last]));
    };
    useLayoutEffect(look, [length, height]);
    useEffect(() => {
      addEventListener("scroll", look, { passive: true });
      addEventListener("resize", look);
      return () => { removeEventListener("scroll", look); removeEventListener("resize", look); };
    }, [length, height]);
    const last = Math.min(sight[1], length);
    return [Math.max(0, Math.min(sight[0], last - 20)), last];
  }

  function List({ data, chosen, list }) {
    const box = useRef();
    const [held, hold] = useState(-1);
    const [narrow, fold] = useState(innerWidth < NARROW);
    useEffect(() => {
      const follow = () => fold(innerWidth < NARROW);
      addEventListener("resize", follow);
      return () => removeEventListener("resize", follow);
    }, []);
    const height = narrow ? 122 + 24 * Math.ceil(chosen.runs.length / 2) : 68;
    const [first, last] = useSight(box, list.order.length, height);
    const places = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
    if (held >= 0 && held < list.order.length && !places.includes(held)) places.push(held);
    const focus = (event) => hold(Number(event.target.closest("li")?.dataset.place ?? -1));
    const style = { height: `${height * list.order.length}px`, "--methods": chosen.runs.length };
    return html`<div class="users ${narrow ? "narrow" : ""}" style=${{ "--methods": chosen.runs.length }}>
      ${!narrow && html`<div class="user columns" aria-hidden="true"><span>user</span><span>liked</span><span class="means">${chosen.runs.map((run) => html`<span><${Method}
        data=${data} run=${run} /></span>`)}</span><span></span></div>`}
      <ol ref=${box} style=${style} onFocusIn=${focus} onFocusOut=${() => hold(-1)}>${places.map((place) => html`<${Row} key=${list.order[place]} data=${data}
        chosen=${chosen} list=${list} place=${place} top=${place * height} height=${height} narrow=${narrow} />`)}</ol></div>`;
  }

  function Users({ data, params }) {
    const waiting = useRows(data);
    if (waiting) return html`<${Title}>Users<//>${waiting}`;
    const chosen = prefbench.listing.choices(data, params);
    const list = prefbench.listing.listing(data, chosen);
    const all = data.people.users.length;
    return html`<${Title}>Users<//><${Filters} data=${data} chosen=${chosen} params=${params} />
      <p class="tally"><span role="status">${count(list.order.length)} of ${count(all)} users</span>
        ${Object.keys(params).length > 0 && html` <a href="#/users">Clear all choices</a>`}</p>
      ${explained[chosen.sort] && html`<p class="muted small">${explained[chosen.sort]}</p>`}
      ${chosen.metric && html`<p class="muted small">Numbers are each user’s mean of <bdi>${data.metrics.get(chosen.metric)?.shown ?? chosen.metric}</bdi>${chosen.prompt >= 0
        ? " for the chosen prompt" : ""}.</p>`}
      ${list.order.length ? html`<${List} data=${data} chosen=${chosen} list=${list} />` : html`<p class="notice">No user fits these choices.</p>`}`;
  }

  prefbench.views.users = Users;
})(window.prefbench);
