// Cells of sheets of thumbnails. A sheet is decoded once and its cells are copied from there, when they come near the
// window. As backgrounds the sheets would do too, but a browser then keeps hundreds of them decoded: a gigabyte
// after twenty users. Here the most recent ones stay, up to a budget.
"use strict";
(function (prefbench) {
  const { html, useEffect, useRef } = window.htmPreact;
  const BUDGET = 48 * 2 ** 20;
  const NEAR = "700px";
  const sheets = new Map();
  const wanted = new WeakMap();
  const pending = new Map();
  let busy = false;

  async function decoded(number) {
    const image = new Image();
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error(image.src));
      image.src = `page/pictures/${number}.webp`;
    });
    const bitmap = await createImageBitmap(image);
    image.src = "";
    return bitmap;
  }

  /** A sheet as a bitmap; the one used longest ago makes room. */
  async function sheet(number) {
    const bitmap = sheets.get(number) ?? await decoded(number);
    sheets.delete(number);
    sheets.set(number, bitmap);
    while (sheets.size > 2 && sheets.size * bitmap.width * bitmap.height * 4 > BUDGET) {
      const [oldest, old] = sheets.entries().next().value;
      sheets.delete(oldest);
      old.close();
    }
    return bitmap;
  }

  function copy(bitmap, canvas) {
    const { place, thumbnail } = wanted.get(canvas);
    const { edge, columns, cells } = thumbnail;
    const cell = place % cells;
    const [left, top] = [(cell % columns) * edge, Math.floor(cell / columns) * edge];
    canvas.width = edge;
    canvas.height = edge;
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, left, top, edge, edge, 0, 0, edge, edge);
  }

  /** Draws what was asked for, one sheet at a time, the latest first: decoding never holds up a list for long. */
  async function work() {
    busy = true;
    while (pending.size) {
      await new Promise((resolve) => setTimeout(resolve));
      const [number, canvases] = [...pending].at(-1);
      pending.delete(number);
      const kept = () => [...canvases].filter((canvas) => wanted.get(canvas)?.near);
      if (!kept().length) continue;
      try {
        const bitmap = await sheet(number);
        for (const canvas of kept()) copy(bitmap, canvas);
      } catch {
        for (const canvas of kept()) canvas.classList.add("lost");
      }
    }
    busy = false;
  }

  function draw(canvas) {
    const { place, thumbnail } = wanted.get(canvas);
    const number = Math.floor(place / thumbnail.cells);
    const canvases = pending.get(number) ?? new Set();
    pending.delete(number);
    pending.set(number, canvases.add(canvas));
    if (!busy) work();
  }

  /** Gives back the memory of a picture that nobody sees. */
  function forget(canvas) {
    canvas.width = 0;
    canvas.height = 0;
  }

  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!wanted.has(target)) continue;
      wanted.get(target).near = isIntersecting;
      if (isIntersecting) draw(target);
      else forget(target);
    }
  }, { rootMargin: NEAR });

  /** Paper holds what the window does not: all pictures whose sheets are at hand. */
  addEventListener("beforeprint", () => {
    for (const canvas of document.querySelectorAll("canvas.picture")) {
      const about = wanted.get(canvas);
      const bitmap = about && sheets.get(Math.floor(about.place / about.thumbnail.cells));
      if (bitmap) copy(bitmap, canvas);
    }
  });

  /** One cell as a picture of `size` pixels; -1 for `place` is a picture that is not there, for the reason `why`. */
  function Picture({ data, place, size, label, why = "no picture" }) {
    const { thumbnail } = data.overview;
    const canvas = useRef();
    useEffect(() => {
      const element = canvas.current;
      if (!element) return undefined;
      wanted.set(element, { place, thumbnail, near: false });
      near.observe(element);
      return () => { near.unobserve(element); wanted.delete(element); forget(element); };
    }, [place]);
    const style = { width: `${size}px`, height: `${size}px` };
    if (place < 0) {
      return html`<span class="picture none" role="img" aria-label="${label}: ${why}" style=${style}><span>${why}</span></span>`;
    }
    return html`<canvas ref=${canvas} class=${thumbnail.exact && size > thumbnail.edge ? "picture pixels" : "picture"} role="img"
      aria-label=${label} style=${style}></canvas>`;
  }

  prefbench.Picture = Picture;
})(window.prefbench);
