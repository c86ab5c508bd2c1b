// Where the reader is: all of it stands in the hash, so a reload or a shared link shows the same.
"use strict";
(function (prefbench) {
  const decode = (text) => {
    try { return decodeURIComponent(text); } catch { return text; }
  };
  const encode = (text) => {
    try { return encodeURIComponent(text); } catch { return encodeURIComponent(String(text).toWellFormed()); }
  };

  /** { path: [segments], params: {name: text} } of a hash. */
  function parse(hash) {
    const text = hash.replace(/^#\/?/, "");
    const at = text.indexOf("?");
    const path = (at < 0 ? text : text.slice(0, at)).split("/").map(decode);
    const params = Object.fromEntries(new URLSearchParams(at < 0 ? "" : text.slice(at + 1)));
    return { path, params, key: path.join("/") };
  }

  /** The link to a view; the choices made so far come along, `changes` replace some (null removes one). */
  function link(path, changes = {}) {
    const params = { ...parse(location.hash).params, ...changes };
    const kept = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const query = kept.length ? `?${new URLSearchParams(kept)}` : "";
    return `#/${path.map(encode).join("/")}${query}`;
  }

  /** Changes choices in place: the way back leads to the view before, not through every letter that was typed. */
  function change(changes) {
    location.replace(link(parse(location.hash).path, changes));
  }

  /** Indices in a text such as "0,2" that lie below a count; all of them for an empty text. */
  function indices(text, count) {
    const named = (text ?? "").split(",").filter((word) => /^\d+$/.test(word)).map(Number).filter((i) => i < count);
    return named.length ? [...new Set(named)].sort((a, b) => a - b) : Array.from({ length: count }, (_, i) => i);
  }

  /** One index from a text, or what stands in where the text names none. */
  function index(text, count, otherwise) {
    return /^\d+$/.test(text ?? "") && Number(text) < count ? Number(text) : otherwise;
  }

  /** A word kept in the browser; some browsers keep nothing for files. */
  const keep = {
    get(storage, name) {
      try { return window[storage].getItem(`prefbench ${name}`); } catch { return null; }
    },
    set(storage, name, value) {
      try { window[storage].setItem(`prefbench ${name}`, value); } catch { /* the choice holds until the page is left */ }
    },
  };

  Object.assign(prefbench, { state: { parse, link, change, indices, index }, keep });
})(window.prefbench);
