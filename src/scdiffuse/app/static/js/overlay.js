// What lies over the points: the lasso, a ring around the cell under the pointer, names, arrows.

import { css } from "./dom.js";

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    Object.assign(this, { lasso: null, hovered: -1, names: [], arrows: [] });
  }

  draw(map) {
    const { context } = this;
    context.setTransform(map.ratio, 0, 0, map.ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const ink = css("--ink"), paper = css("--raise"), accent = css("--accent");
    map.boxes.forEach((box, at) => {
      context.save();
      context.strokeStyle = css("--line");
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
      context.beginPath();
      context.rect(box.x, box.y, box.width, box.height);
      context.clip();
      if (map.panels[at].arrows) this.drawArrows(map, at, ink);
      if (map.panels[at].names) this.drawNames(map, at, ink, paper);
      if (this.lasso?.length > 1) this.drawLasso(map, at, accent);
      if (this.hovered >= 0) this.drawRing(map, at, ink, paper);
      context.restore();
    });
  }

  drawLasso(map, at, accent) {
    const { context } = this;
    context.beginPath();
    for (const place of this.lasso) context.lineTo(...map.toPixels(at, ...place));
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = accent;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.strokeStyle = accent;
    context.stroke();
  }

  drawRing(map, at, ink, paper) {
    const { context } = this;
    const [x, y] = map.toPixels(at, map.places[2 * this.hovered], map.places[2 * this.hovered + 1]);
    for (const [width, colour] of [[4.5, paper], [2, ink]]) {
      context.beginPath();
      context.arc(x, y, 7, 0, 7);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  drawNames(map, at, ink, paper) {
    const { context } = this;
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const taken = [];
    for (const { text, place } of this.names) {
      const half = context.measureText(text).width / 2 + 2, box = map.boxes[at];
      let [x, y] = map.toPixels(at, ...place);
      if (x > box.x && x < box.x + box.width) x = Math.max(box.x + half, Math.min(x, box.x + box.width - half));
      if (taken.some((one) => Math.abs(one.y - y) < 14 && Math.abs(one.x - x) < one.half + half)) continue;
      taken.push({ x, y, half });
      context.lineWidth = 3.5;
      context.strokeStyle = paper;
      context.strokeText(text, x, y);
      context.fillStyle = ink;
      context.fillText(text, x, y);
    }
  }

  drawArrows(map, at, ink) {
    const { context } = this;
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.globalAlpha = 0.4;
    context.lineWidth = 1;
    for (const [from, to] of this.arrows) {
      const [x1, y1] = map.toPixels(at, map.places[2 * from], map.places[2 * from + 1]);
      const [x2, y2] = map.toPixels(at, map.places[2 * to], map.places[2 * to + 1]);
      const angle = Math.atan2(y2 - y1, x2 - x1);
      if (Math.hypot(x2 - x1, y2 - y1) < 4) continue;
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
      context.beginPath();
      context.moveTo(x2, y2);
      for (const turn of [2.7, -2.7]) context.lineTo(x2 + 6 * Math.cos(angle + turn), y2 + 6 * Math.sin(angle + turn));
      context.fill();
    }
    context.globalAlpha = 1;
  }
}
