// The map as an SVG: points as a picture, all else as shapes and text.

import { css, download, svg } from "./dom.js";

const XML = "http://www.w3.org/2000/svg";

/** Write the SVG of a figure to a file. */
export function saveSvg(element, name) {
  const copy = element.cloneNode(true);
  copy.setAttribute("xmlns", XML);
  copy.setAttribute("font-family", "system-ui, Helvetica, Arial, sans-serif");
  const text = new XMLSerializer().serializeToString(copy).replace(/var\((--[a-z-]+)\)/g, (_, one) => css(one));
  download(name, text, "image/svg+xml");
}

export function mapSvg(map, style) {
  map.draw();
  const width = map.host.clientWidth, tall = map.host.clientHeight;
  const out = svg("svg", { viewBox: `0 0 ${width} ${tall + 40}`, width, height: tall + 40 });
  for (const canvas of [map.canvas, map.sheet]) {
    if (canvas === map.sheet) map.overlay.draw(map);
    const picture = document.createElement("canvas");
    Object.assign(picture, { width: canvas.width, height: canvas.height });
    if (canvas === map.canvas) map.draw();
    picture.getContext("2d").drawImage(canvas, 0, 0);
    out.append(svg("image", { href: picture.toDataURL("image/png"), x: 0, y: 0, width, height: tall }));
  }
  map.boxes.forEach((box, at) => out.append(svg("text", { x: box.x, y: box.y - 8, "font-size": 13, "font-weight": 600, fill: css("--ink") },
    map.panels[at].title)));
  let x = 4;
  for (const [at, label] of (style.labels ?? []).entries()) {
    out.append(svg("circle", { cx: x + 5, cy: tall + 18, r: 5, fill: style.colours[at % style.colours.length] }));
    out.append(svg("text", { x: x + 14, y: tall + 22, "font-size": 11, fill: css("--ink") }, label));
    x += 24 + 6.2 * label.length;
  }
  if (!style.labels) out.append(svg("text", { x: 4, y: tall + 22, "font-size": 11, fill: css("--ink") }, `${style.title} ${style.unit ?? ""}`));
  saveSvg(out, "map.svg");
}
