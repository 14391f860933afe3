// Maps of cells: panels on one canvas that share one view and one selection.

import { css, h, put } from "./dom.js";
import { bytes, isDark } from "./colours.js";
import { Overlay } from "./overlay.js";
import { Gestures } from "./gestures.js";
import { Neighbours, inside } from "./places.js";
import { Pixels } from "./pixels.js";
import { hasWebgl, Points } from "./points.js";

const GAP = 10, HEAD = 26, FARTHEST = 14;
const START = { zoom: 0.94, x: 0, y: 0 };

export class Scatter {
  /**
   * @param {HTMLElement} host where to draw
   * @param {{describe: (row: number) => [string, string][], onselect: (chosen: Uint8Array | null) => void, label: string}} calls
   */
  constructor(host, { describe, onselect, label }) {
    this.canvas = h("canvas", {
      tabindex: "0", role: "application", "aria-roledescription": "map of cells", "aria-label": label, "aria-describedby": "map-keys",
    });
    this.heads = h("div", { class: "map-heads" });
    this.sheet = h("canvas", { class: "map-sheet", "aria-hidden": "true" });
    this.tip = h("div", { class: "map-tip", hidden: true, "aria-hidden": "true" });
    this.host = host;
    put(host, this.canvas, this.sheet, this.heads, this.tip);
    Object.assign(this, { describe, onselect, panels: [], subsets: new Map(), chosen: null, places: null, view: { ...START } });
    this.points = hasWebgl() ? new Points(this.canvas) : new Pixels(this.canvas);
    this.overlay = new Overlay(this.sheet);
    this.gestures = new Gestures(this);
    new ResizeObserver(() => this.resize()).observe(host);
  }

  /** Places of all cells, `x, y` each, in any units; subsets are names with their rows. */
  setCells(xy, subsets) {
    const [low, high] = bounds(xy);
    this.places = new Float32Array(xy.length);
    for (let at = 0; at < xy.length; at++) this.places[at] = (2 * (xy[at] - low[at % 2])) / (high[at % 2] - low[at % 2] || 1) - 1;
    this.points.setPlaces(this.places);
    this.near = new Neighbours(this.places);
    this.subsets = new Map(Object.entries(subsets).map(([name, rows]) => [name, { rows: shuffled(rows), has: mask(rows, xy.length / 2) }]));
    this.chosen = null;
    this.panels = [];
    put(this.heads, []);
    this.order();
  }

  /** What to show: `{title, note, subset, key, paint}`; panels of one `key` share their colours. */
  setPanels(panels) {
    this.panels = panels;
    for (const key of new Set(panels.map((one) => one.key))) this.points.setColours(key, panels.find((one) => one.key === key).paint);
    put(this.heads, panels.map((one) => h("div", { class: "map-head" }, h("strong", {}, one.title),
      one.note && h("span", { class: "soft" }, ` ${one.note}`))));
    this.resize();
  }

  /** Show a selection, one byte a cell; `null` for none. */
  select(chosen) {
    this.chosen = chosen;
    this.order();
    this.ask();
  }

  /** Rows of one subset change, such as the state of a trajectory. */
  setSubset(name, rows) {
    this.subsets.set(name, { rows: shuffled(rows), has: mask(rows, this.places.length / 2) });
    this.order();
    this.ask();
  }

  order() {
    for (const [name, { rows }] of this.subsets) {
      if (!this.chosen) this.points.setOrder(name, rows);
      else {
        const rest = rows.filter((row) => !this.chosen[row]);
        const sorted = new Uint32Array(rows.length);
        sorted.set(rest);
        sorted.set(rows.filter((row) => this.chosen[row]), rest.length);
        this.points.setOrder(name, sorted, rest.length);
      }
    }
  }

  /** Sizes of canvas and panels follow the host. */
  resize() {
    const width = Math.round(this.host.clientWidth), height = Math.round(this.host.clientHeight);
    if (!width || !height) return;
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.sheet]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    this.boxes = grid(this.panels.length, width, height);
    [...this.heads.children].forEach((head, at) => {
      const box = this.boxes[at];
      head.style.left = `${box.x}px`;
      head.style.top = `${box.y - HEAD}px`;
      head.style.width = `${box.width}px`;
    });
    this.draw();
  }

  /** Draw with the next frame. */
  ask() {
    this.asked ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.asked);
    this.asked = undefined;
    if (!this.places || !this.boxes || this.boxes.length !== this.panels.length) return;
    this.points.draw(this.glPanels(), this.look());
    this.overlay.draw(this);
  }

  look() {
    const box = this.boxes[0] ?? { width: 400, height: 400 };
    const n = Math.max(...this.panels.map((one) => this.subsets.get(one.subset)?.rows.length ?? 0), 1);
    const size = Math.min(7, Math.max(2, (0.42 * Math.min(box.width, box.height)) / Math.sqrt(n)));
    const ground = bytes(hex(css("--raise")));
    return {
      size: Math.min(12, size * Math.sqrt(Math.max(1, this.view.zoom) ** 0.7)) * this.ratio,
      paper: ground.map((one) => one / 255),
      veil: isDark() ? 0.82 : 0.86,
    };
  }

  glPanels() {
    return this.panels.map((panel, at) => {
      const box = this.boxes[at];
      const zoom = this.view.zoom;
      return {
        x: box.x * this.ratio, y: box.y * this.ratio, width: box.width * this.ratio, height: box.height * this.ratio,
        order: panel.subset, colours: panel.key, view: [zoom, zoom, -this.view.x * zoom, -this.view.y * zoom],
      };
    });
  }

  /** Pixels on the page of a place, in one panel. */
  toPixels(at, x, y) {
    const box = this.boxes[at], { zoom, x: left, y: up } = this.view;
    return [box.x + ((1 + (x - left) * zoom) * box.width) / 2, box.y + ((1 - (y - up) * zoom) * box.height) / 2];
  }

  /** Place of a pixel, in one panel. */
  toPlace(at, px, py) {
    const box = this.boxes[at], { zoom, x: left, y: up } = this.view;
    return [left + ((2 * (px - box.x)) / box.width - 1) / zoom, up - ((2 * (py - box.y)) / box.height - 1) / zoom];
  }

  /** The panel at a pixel, or -1. */
  panelAt(px, py) {
    return (this.boxes ?? []).findIndex((box) => px >= box.x && px < box.x + box.width && py >= box.y && py < box.y + box.height);
  }

  /** The cell nearest to a pixel, or -1. */
  cellAt(px, py) {
    const at = this.panelAt(px, py);
    if (at < 0 || !this.near) return -1;
    const [x, y] = this.toPlace(at, px, py);
    const far = [this.boxes[at].width, this.boxes[at].height].map((side) => (2 * FARTHEST) / (this.view.zoom * side));
    return this.near.find([x, y], far, this.subsets.get(this.panels[at].subset).has);
  }

  /** Move and magnify; `around` is the place that stays where it is. */
  move({ dx = 0, dy = 0, times = 1, around = null }) {
    const zoom = Math.min(200, Math.max(0.5, this.view.zoom * times));
    const share = 1 - this.view.zoom / zoom;
    if (around) {
      this.view.x += (around[0] - this.view.x) * share;
      this.view.y += (around[1] - this.view.y) * share;
    }
    this.view = { zoom, x: clamp(this.view.x + dx), y: clamp(this.view.y + dy) };
    this.ask();
  }

  reset() {
    this.view = { ...START };
    this.ask();
  }

  /** Choose the cells within a polygon of places; they are chosen in all panels. */
  choose(polygon, { add = false } = {}) {
    const chosen = add && this.chosen ? this.chosen.slice() : new Uint8Array(this.places.length / 2);
    const shown = this.shown(), { places } = this;
    const [lowX, lowY, highX, highY] = [0, 1].map((at) => Math.min(...polygon.map((one) => one[at]))).concat([0,
      1].map((at) => Math.max(...polygon.map((one) => one[at]))));
    for (let row = 0; row < chosen.length; row++) {
      const x = places[2 * row], y = places[2 * row + 1];
      if (shown[row] && x >= lowX && x <= highX && y >= lowY && y <= highY && inside(polygon, x, y)) chosen[row] = 1;
    }
    this.onselect(chosen.some(Boolean) ? chosen : null);
  }

  /** Choose what the first panel shows: the lasso of the keyboard. */
  chooseView() {
    const box = this.boxes[0];
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => this.toPlace(0, box.x + x * box.width, box.y + y * box.height));
    this.choose(corners);
  }

  shown() {
    const shown = new Uint8Array(this.places.length / 2);
    for (const panel of this.panels) {
      const has = this.subsets.get(panel.subset)?.has;
      if (has) for (let row = 0; row < shown.length; row++) shown[row] |= has[row];
    }
    return shown;
  }
}

const clamp = (value) => Math.min(1.2, Math.max(-1.2, value));

function hex(text) {
  return /^#[0-9a-f]{6}$/i.test(text) ? text : "#ffffff";
}

function bounds(xy) {
  const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (let at = 0; at < xy.length; at++) {
    if (xy[at] < low[at % 2]) low[at % 2] = xy[at];
    if (xy[at] > high[at % 2]) high[at % 2] = xy[at];
  }
  return [low, high];
}

function mask(rows, n) {
  const has = new Uint8Array(n);
  for (const row of rows) has[row] = 1;
  return has;
}

/** In an order without meaning, the same each time, so that no label lies on top. */
function shuffled(rows) {
  const out = Uint32Array.from(rows);
  let state = 1;
  for (let at = out.length - 1; at > 0; at--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (at + 1));
    [out[at], out[other]] = [out[other], out[at]];
  }
  return out;
}

/** Boxes of `n` panels, as large as they can be. */
function grid(n, width, height) {
  let best = { side: 0, columns: 1 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const side = Math.min((width - GAP * (columns - 1)) / columns, height / rows - HEAD - GAP);
    if (side > best.side) best = { side, columns };
  }
  const rows = Math.ceil(n / best.columns) || 1;
  const w = (width - GAP * (best.columns - 1)) / best.columns, tall = (height - GAP * (rows - 1)) / rows;
  return Array.from({ length: n }, (_, at) => ({
    x: (at % best.columns) * (w + GAP), y: Math.floor(at / best.columns) * (tall + GAP) + HEAD, width: w, height: tall - HEAD,
  }));
}
