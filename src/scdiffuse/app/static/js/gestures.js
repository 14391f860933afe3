// Pointer, touch and keys on a map: pan, zoom, lasso, labels of cells.

import { announce, h, put } from "./dom.js";

const KEYS = {
  ArrowLeft: { dx: -0.12 }, ArrowRight: { dx: 0.12 }, ArrowUp: { dy: 0.12 }, ArrowDown: { dy: -0.12 },
  "+": { times: 1.3 }, "=": { times: 1.3 }, "-": { times: 1 / 1.3 },
};

export class Gestures {
  constructor(map) {
    Object.assign(this, { map, mode: "pan", held: new Map(), from: null });
    const on = (name, call, options) => map.canvas.addEventListener(name, call.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.moved);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("pointerleave", () => this.hover(-1));
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.key);
    on("dblclick", () => map.reset());
  }

  at(event) {
    const box = this.map.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    const [x, y] = this.at(event);
    this.panel = this.map.panelAt(x, y);
    if (this.panel < 0 || event.button > 0) return;
    this.map.canvas.setPointerCapture(event.pointerId);
    this.held.set(event.pointerId, [x, y]);
    const lasso = this.held.size === 1 && (this.mode === "lasso" || event.shiftKey);
    this.map.overlay.lasso = lasso ? [this.map.toPlace(this.panel, x, y)] : null;
    this.add = event.shiftKey && this.mode === "lasso";
    this.hover(-1);
  }

  moved(event) {
    const [x, y] = this.at(event);
    const before = this.held.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") this.hover(this.map.cellAt(x, y), x, y);
      return;
    }
    const { map, panel } = this;
    if (map.overlay.lasso) {
      map.overlay.lasso.push(map.toPlace(panel, x, y));
      map.ask();
    } else if (this.held.size === 1) {
      const [from, to] = [map.toPlace(panel, ...before), map.toPlace(panel, x, y)];
      map.move({ dx: from[0] - to[0], dy: from[1] - to[1] });
    } else {
      const other = [...this.held].find(([id]) => id !== event.pointerId)[1];
      const spread = (one) => Math.max(10, Math.hypot(one[0] - other[0], one[1] - other[1]));
      map.move({ times: spread([x, y]) / spread(before), around: map.toPlace(panel, (x + other[0]) / 2, (y + other[1]) / 2) });
    }
    this.held.set(event.pointerId, [x, y]);
  }

  up(event) {
    if (!this.held.delete(event.pointerId)) return;
    const { lasso } = this.map.overlay;
    this.map.overlay.lasso = null;
    if (lasso?.length > 2) this.map.choose(lasso, { add: this.add });
    else if (lasso) this.map.onselect(null);
    this.map.ask();
  }

  wheel(event) {
    const [x, y] = this.at(event), panel = this.map.panelAt(x, y);
    if (panel < 0) return;
    event.preventDefault();
    const step = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
    this.map.move({ times: Math.exp(-step / 400), around: this.map.toPlace(panel, x, y) });
  }

  key(event) {
    const { map } = this;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (KEYS[event.key]) {
      const { dx = 0, dy = 0, times = 1 } = KEYS[event.key];
      map.move({ dx: dx / map.view.zoom, dy: dy / map.view.zoom, times });
    } else if (event.key === "0") map.reset();
    else if (event.key === "Escape") map.onselect(null);
    else if (event.key === "v") map.chooseView();
    else return;
    event.preventDefault();
    if (KEYS[event.key]) announce(`Magnified ${map.view.zoom.toFixed(1)} times.`);
  }

  hover(row, x = 0, y = 0) {
    const { map } = this;
    if (map.overlay.hovered !== row) {
      map.overlay.hovered = row;
      if (row >= 0) put(map.tip, map.describe(row).map(([name, value]) => h("div", {}, h("span", { class: "soft" }, `${name} `), value)));
      map.ask();
    }
    map.tip.hidden = row < 0;
    if (row < 0) return;
    const width = map.host.clientWidth;
    map.tip.style.left = `${x > width / 2 ? x - 14 - map.tip.offsetWidth : x + 14}px`;
    map.tip.style.top = `${Math.max(0, Math.min(y - 10, map.host.clientHeight - map.tip.offsetHeight))}px`;
  }
}
