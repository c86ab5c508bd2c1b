// One user: what was liked and disliked, then each prompt with what every method drew, side by side.
"use strict";
(function (prefbench) {
  const { html, useEffect, useRef, useState } = window.htmPreact;
  const { Title, Method, Picture, Prompt, useRows } = prefbench.parts;
  const { Several, Methods, metricOptions } = prefbench.fields;
  const { shown } = prefbench.text;
  const { link } = prefbench.state;
  const FIRST_SCORES = 3;
  const MOST_COLUMNS = 7;
  const AT_ONCE = 30;
  const BELOW = 110;

  function Judged({ data, title, judged, empty }) {
    return html`<section aria-label=${title}><h2>${title}</h2>
      ${judged.length === 0 ? html`<p class="muted">${empty}</p>` : html`<ul class="judged">${judged.map(([place, prompt, rating], i) => html`<li key=${i}><figure>
        <${Picture} data=${data} place=${place} size=${96} label="picture ${i + 1}" why="not readable" />
        <figcaption><${Prompt} text=${data.people.prompts[prompt] ?? ""} lines="3" />${rating !== null && html` <span class="interval">rated ${rating}</span>`}</figcaption></figure></li>`)}</ul>`}</section>`;
  }

  /** The cases of a user, [prompt, index], that one of the runs has, in the order of the rows. */
  function casesOf(data, user, chosen) {
    const cases = new Map();
    for (const run of chosen.runs) {
      const { start, order, prompt, index, ok } = data.rows[run];
      for (let i = start[user]; i < start[user + 1]; i++) {
        const row = order[i];
        if (chosen.prompt >= 0 && prompt[row] !== chosen.prompt) continue;
        const key = `${prompt[row]} ${index[row]}`;
        if (!cases.has(key)) cases.set(key, { prompt: prompt[row], index: index[row], rows: new Map(), failed: false });
        cases.get(key).rows.set(run, row);
        if (!ok[row]) cases.get(key).failed = true;
      }
    }
    const all = [...cases.values()].filter((each) => !chosen.failed || each.failed);
    const places = new Map([...new Set(all.map((each) => each.prompt))].map((prompt, i) => [prompt, i]));
    return all.sort((a, b) => places.get(a.prompt) - places.get(b.prompt) || a.index - b.index);
  }

  /** What stands below the pictures at first: the headline, the scorer of preference, and what looks at the prompt. */
  function usualScores(data, names) {
    const adherence = names.find((name) => data.metrics.get(name)?.question === "adherence");
    const scorer = names.find((name) => name.startsWith("preference"));
    const usual = [data.overview.headline.find((name) => names.includes(name)), scorer, adherence, ...names];
    return [...new Set(usual.filter((name) => name !== undefined))].slice(0, FIRST_SCORES);
  }

  /** What one run drew for one case: a link to the sample, its scores below it. */
  function Drawn({ data, run, row, scores, size }) {
    const name = html`<span class="of"><${Method} data=${data} run=${run} /></span>`;
    if (row === undefined) return html`<figure class="drawn"><span class="picture none" style=${{ width: `${size}px`, height: `${size}px` }}><span>not drawn</span></span><figcaption>${name}</figcaption></figure>`;
    const rows = data.rows[run];
    const label = data.overview.runs[run].label;
    return html`<figure class="drawn"><a href=${link(["sample", run, row])}><${Picture} data=${data} place=${rows.place[row]} size=${size}
      label="${label}, sample ${rows.index[row]}" why=${rows.ok[row] ? "picture missing" : "failed"} /></a>
      <figcaption>${name}${!rows.ok[row] && html`<${Reason} data=${data} run=${run} row=${row} />`}
      <dl>${scores.map((metric) => html`<div key=${metric}><dt title=${data.metrics.get(metric)?.shown ?? metric}>${data.metrics.get(metric)?.shown ?? metric}</dt><dd>${shown(rows.scores.get(metric)?.[row])}</dd></div>`)}</dl></figcaption></figure>`;
  }

  /** Why a sample failed; its text is read when it is shown. */
  function Reason({ data, run, row }) {
    const [text, set] = useState("");
    useEffect(() => {
      let here = true;
      data.sample(run, row).then((about) => here && set(about.error ?? ""), () => {});
      return () => { here = false; };
    }, [run, row]);
    return html`<span class="reason" dir="auto" title=${text}>${text || "failed"}</span>`;
  }

  /** The cases of one prompt; where a user has many, they are built when they come near the window, or are printed. */
  function Group({ data, group, chosen, scores, size, open }) {
    const box = useRef();
    const [near, come] = useState(open);
    useEffect(() => {
      if (near) return undefined;
      const show = () => come(true);
      const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && show(), { rootMargin: "800px" });
      seen.observe(box.current);
      addEventListener("beforeprint", show);
      return () => { seen.disconnect(); removeEventListener("beforeprint", show); };
    }, [near]);
    const room = near ? undefined : { minHeight: `${group.cases.length * (size + BELOW)}px` };
    return html`<section class="group" ref=${box} style=${room}><h3><${Prompt} text=${data.people.prompts[group.prompt] ?? ""} lines="3" /></h3>
      ${near && group.cases.map((each) => html`<div class="case" key=${each.index} role="group" aria-label="sample ${each.index}">${chosen.runs.map((run) => html`<${Drawn} key=${run}
        data=${data} run=${run} row=${each.rows.get(run)} scores=${scores} size=${size} />`)}</div>`)}</section>`;
  }

  function Cases({ data, user, chosen, scores }) {
    const cases = casesOf(data, user, chosen);
    if (!cases.length) return html`<p class="notice">Nothing was drawn for this user that fits the choices.</p>`;
    const columns = chosen.runs.length <= MOST_COLUMNS;
    const { edge, exact } = data.overview.thumbnail;
    const room = columns && innerWidth >= 1200 && chosen.runs.length <= 5 ? 200 : 96;
    const size = exact && room > 96 ? edge * Math.max(1, Math.floor(room / edge)) : room;
    const groups = [];
    for (const each of cases) {
      if (groups.at(-1)?.prompt !== each.prompt) groups.push({ prompt: each.prompt, cases: [] });
      groups.at(-1).cases.push(each);
    }
    return html`<div class="cases ${columns ? "columns" : ""}" style=${{ "--methods": chosen.runs.length, "--size": `${size}px` }}>
      ${columns && html`<div class="case heads" aria-hidden="true">${chosen.runs.map((run) => html`<span key=${run}><${Method} data=${data} run=${run} /></span>`)}</div>`}
      ${groups.map((group) => html`<${Group} key=${group.prompt} data=${data} group=${group} chosen=${chosen} scores=${scores} size=${size} open=${cases.length <= AT_ONCE} />`)}</div>`;
  }

  /** The way to the neighbours in the list that the reader came from. */
  function Neighbours({ data, order, user, where = "" }) {
    const at = order.indexOf(user);
    const to = (u, text, sign) => (u === undefined ? html`<span class="muted">${sign}</span>`
      : html`<a href=${link(["user", data.people.users[u].id])} rel=${text}>${text === "prev" ? `${sign} ` : ""}<bdi>${data.people.users[u].id}</bdi>${text === "next" ? ` ${sign}` : ""}</a>`);
    return html`<nav class="neighbours" aria-label="Neighbours in the list${where}">${to(order[at - 1], "prev", "←")}
      <a href=${link(["users"])}>${at >= 0 ? `all users (${at + 1} of ${order.length})` : "all users"}</a>${to(at >= 0 ? order[at + 1] : order[0], "next", "→")}</nav>`;
  }

  function User({ data, path, params }) {
    const waiting = useRows(data);
    const user = data.users.get(path[1] ?? "");
    if (user === undefined) return html`<${Title}>No such user<//><p>There is no user <bdi>${path[1] ?? ""}</bdi> here. <a href="#/users">All users</a></p>`;
    const { id, kind } = data.people.users[user];
    const about = data.overview.suite.kinds[kind];
    const heading = html`<${Title}><bdi>${id || "(no name)"}</bdi><//><p class="muted"><bdi>${kind}</bdi>${about && html`: <bdi>${about}</bdi>`}</p>`;
    const judged = html`<div class="both"><${Judged} data=${data} title="Liked" judged=${data.people.liked[user]} empty="Nothing." />
      <${Judged} data=${data} title="Disliked" judged=${data.people.disliked[user]} empty="Nothing." /></div>
      ${data.people.left_out[user] > 0 && html`<p class="muted small more">${data.people.left_out[user]} more judgments are not shown.</p>`}`;
    // One root whose parts keep their places while rows are read: this Preact mixes up fragments that move.
    const around = (before, after) => html`<div>${before}<div>${heading}</div><div>${judged}</div>${after}</div>`;
    if (waiting) return around(html`<div></div>`, html`<div>${waiting}</div>`);
    const chosen = prefbench.listing.choices(data, params);
    const { order } = prefbench.listing.listing(data, chosen);
    const scores = chosen.scores.length ? chosen.scores : usualScores(data, chosen.names);
    return around(html`<div><${Neighbours} data=${data} order=${order} user=${user} /></div>`, html`<div><section aria-labelledby="drawn"><h2 id="drawn">Drawn for this user</h2>
        <div class="fields"><${Methods} data=${data} chosen=${chosen.runs} />
        ${chosen.names.length > 0 && html`<${Several} name="scores" legend="Scores below the pictures" options=${metricOptions(data, chosen.names)} chosen=${scores} write=${(keys) => keys.join("|")} />`}</div>
        ${chosen.prompt >= 0 && html`<p class="notice">Only the chosen prompt is shown. <a href=${link(path, { prompt: null })}>Show all prompts</a></p>`}
        ${chosen.failed && html`<p class="notice">Only cases with a failure are shown. <a href=${link(path, { failed: null })}>Show all</a></p>`}
        <${Cases} data=${data} user=${user} chosen=${chosen} scores=${scores} /></section>
      <${Neighbours} data=${data} order=${order} user=${user} where=", once more" /></div>`);
  }

  prefbench.views.user = User;
})(window.prefbench);
