// What the page knows. Data come as scripts that call prefbench_receive, since neither fetch nor modules work from file://.
// Blocks of rows become columns of typed arrays once and are then forgotten: 100,000 rows take some tens of megabytes.
"use strict";
window.prefbench = {};
(function (prefbench) {
  const received = new Map();
  const loading = new Map();
  const AT_ONCE = 4;

  // Data are JSON in a string, not an object in the script: there `__proto__` would be no name.
  window.prefbench_receive = (name, part) => received.set(name, typeof part === "string" ? JSON.parse(part) : part);

  /** Adds a script once; resolves when it has run. */
  function script(path) {
    if (!loading.has(path)) {
      loading.set(path, new Promise((resolve, reject) => {
        const tag = document.createElement("script");
        tag.src = path;
        tag.onload = () => { tag.remove(); resolve(); };
        tag.onerror = () => {
          loading.delete(path);
          reject(new Error(`${path} could not be read. Keep the folder "page" beside index.html, or write the report again.`));
        };
        document.head.append(tag);
      }));
    }
    return loading.get(path);
  }

  /** One data file. */
  async function part(name) {
    if (!received.has(name)) await script(`page/data/${name}.js`);
    if (!received.has(name)) throw new Error(`page/data/${name}.js does not hold what its name says. Write the report again.`);
    return received.get(name);
  }

  /** Columns of one run, filled as its blocks come. A score that is missing is NaN. */
  function emptyRows(n) {
    return {
      n,
      read: new Uint8Array(n),
      user: new Int32Array(n),
      prompt: new Int32Array(n),
      index: new Float64Array(n),
      place: new Int32Array(n).fill(-1),
      ok: new Uint8Array(n),
      scores: new Map(),
      start: null,
      order: null,
    };
  }

  function addBlock(rows, block) {
    const first = block.first;
    const count = Math.min(block.user.length, rows.n - first);
    for (const name of ["user", "prompt", "index", "place", "ok"]) {
      for (let i = 0; i < count; i++) rows[name][first + i] = block[name][i];
    }
    rows.read.fill(1, first, first + count);
    for (const [name, values] of Object.entries(block.scores)) {
      if (!rows.scores.has(name)) rows.scores.set(name, new Float64Array(rows.n).fill(NaN));
      const column = rows.scores.get(name);
      for (let i = 0; i < count; i++) column[first + i] = values[i] === null ? NaN : values[i];
    }
  }

  /** Rows of each user: those of user u are order[start[u]] to order[start[u + 1] - 1]. */
  function sortByUser(rows, users) {
    const start = new Int32Array(users + 1);
    for (let i = 0; i < rows.n; i++) start[rows.user[i] + 1]++;
    for (let u = 0; u < users; u++) start[u + 1] += start[u];
    const next = start.slice(0, users);
    const order = new Int32Array(rows.n);
    for (let i = 0; i < rows.n; i++) order[next[rows.user[i]]++] = i;
    rows.start = start;
    rows.order = order;
  }

  class Data {
    constructor(overview, people) {
      this.overview = overview;
      this.people = people;
      Object.setPrototypeOf(overview.suite.kinds, null);
      this.rows = overview.runs.map((run) => emptyRows(run.n));
      this.metrics = new Map(overview.metrics.map((metric) => [metric.name, metric]));
      this.users = new Map(people.users.map((user, i) => [user.id, i]));
      this.total = overview.runs.reduce((sum, run) => sum + run.blocks, 0);
      this.done = 0;
      this.ready = this.total === 0;
      this.everything = null;
      this.values = new Map(overview.values.map((value) => [JSON.stringify([value.run, value.kind, value.metric]), value]));
    }

    /** Places of runs in the order in which tables show them: the best first, controls last. */
    order() {
      const all = this.overview.runs.map((_, i) => i);
      return [...new Set([...(this.overview.order ?? []), ...all])];
    }

    /** Whether a metric is a part of another, as `utility/worded` is of `utility`, and not in the headline. */
    isPart(name) {
      const at = name.indexOf("/");
      return at > 0 && this.metrics.has(name.slice(0, at)) && !this.overview.headline.includes(name);
    }

    /** Whether a run stands among the ranked methods; controls and attacks do not. */
    ranked(run) {
      const { ranked, control } = this.overview.runs[run];
      return ranked !== false && control === null;
    }

    /** The summary of a metric for a run and a kind of users, or undefined. */
    value(run, metric, kind = "all") {
      return this.values.get(JSON.stringify([run, kind, metric]));
    }

    /** Reads the block that holds a row, and the texts of that block. */
    async sample(run, row) {
      const size = this.overview.size.block;
      const block = Math.floor(row / size);
      const about = await part(`about-${run}-${block}`);
      if (!this.rows[run].read[row]) await this.block(run, block);
      const texts = { place: row - block * size };
      for (const name of Object.keys(about)) if (Array.isArray(about[name])) texts[name] = about[name][texts.place];
      return texts;
    }

    async block(run, block) {
      const name = `rows-${run}-${block}`;
      addBlock(this.rows[run], await part(name));
      received.delete(name);
    }

    /** Reads all rows of all runs, once; `tell` is called after every block. */
    all(tell) {
      this.tell = tell;
      this.everything ??= this.readAll().catch((error) => { this.everything = null; throw error; });
      return this.everything;
    }

    async readAll() {
      const queue = this.overview.runs.flatMap((run, r) => Array.from({ length: run.blocks }, (_, b) => [r, b]));
      const size = this.overview.size.block;
      this.done = 0;
      const work = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
          const [run, block] = next;
          if (!this.rows[run].read[block * size]) await this.block(run, block);
          this.done++;
          this.tell?.();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      for (const rows of this.rows) sortByUser(rows, this.people.users.length);
      this.ready = true;
    }

    /** Names of metrics that single pictures have a value of, in the order of the overview. */
    ofPictures() {
      const names = new Set(this.rows.flatMap((rows) => [...rows.scores.keys()]));
      const known = this.overview.metrics.map((metric) => metric.name).filter((name) => names.delete(name));
      return [...known, ...names];
    }
  }

  /** The data that index.html loaded, or null where a file is missing. */
  prefbench.open = () => {
    const overview = received.get("overview");
    const people = received.get("people");
    return overview && people ? new Data(overview, people) : null;
  };
  prefbench.script = script;
})(window.prefbench);
