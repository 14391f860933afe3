// Figures as SVG: curves of a fit, volcano, dot plot. Text beside each says the same.

import { h, number, svg } from "./dom.js";
import { saveSvg } from "./mapsvg.js";

const WIDE = 460; // of a volcano, in its own units
const STAGES = { autoencoder: "Autoencoder", diffusion: "Diffusion" };

/** A figure with its title and a button that saves it. */
function figure(title, picture, name) {
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", title);
  return h("figure", {}, h("figcaption", {}, h("strong", {}, title),
    h("button", { type: "button", class: "quiet small", "aria-label": `Save ${title} as SVG`, onclick: () => saveSvg(picture, name) },
    "SVG")), picture);
}

/** Even marks of an axis. */
function ticks(low, high, n = 4) {
  const raw = (high - low) / n || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const out = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) out.push(Math.abs(at) < step * 1e-6 ? 0 : at);
  return out;
}

function frame({ width, height, left = 52, bottom = 36, top = 10, right = 12 }, [x0, x1], [y0, y1], { x: xText, y: yText }) {
  const x = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0 || 1)) * (height - top - bottom);
  const text = { "font-size": 11, fill: "var(--soft)" };
  const out = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart" },
    ticks(y0, y1).map((at) => [svg("line", { x1: left, x2: width - right, y1: y(at), y2: y(at), stroke: "var(--line)" }),
      svg("text", { ...text, x: left - 6, y: y(at) + 4, "text-anchor": "end" }, number(at))]),
    ticks(x0, x1).map((at) => svg("text", { ...text, x: x(at), y: height - bottom + 15, "text-anchor": "middle" }, number(at))),
    svg("text", { ...text, x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xText),
    svg("text", { ...text, x: 12, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${height / 2})` }, yText));
  return { out, x, y };
}

const span = (values, room = 0.04) => {
  const known = values.filter((one) => Number.isFinite(one));
  const low = Math.min(...known), high = Math.max(...known);
  return known.length ? [low - room * (high - low || 1), high + room * (high - low || 1)] : [0, 1];
};

/** Training and validation loss of each stage, as they come. */
export function lossCurves(losses) {
  return h("div", { class: "charts" }, Object.entries(losses).filter(([, rows]) => rows.length).map(([stage, rows]) => {
    // The first values dwarf all that follows: the axis starts where a tenth of the curve is over.
    const late = rows.slice(Math.floor(rows.length / 10)).flatMap((row) => [row[1], row[2]]).filter((one) => one !== null);
    const { out, x, y } = frame({ width: 420, height: 200 }, span(rows.map((row) => row[0]), 0), span(late), { x: "step", y: "loss" });
    const floor = (value) => Math.max(10, Math.min(164, y(value)));
    [[1, "training", "#0072B2"], [2, "validation", "#D55E00"]].forEach(([at, name, colour], place) => {
      const known = rows.filter((row) => row[at] !== null && Number.isFinite(row[at]));
      const points = known.map((row) => `${x(row[0]).toFixed(1)},${floor(row[at]).toFixed(1)}`).join(" ");
      out.append(svg("polyline", { points, fill: "none", stroke: colour, "stroke-width": 2, "stroke-linejoin": "round" }),
        svg("text", { x: 408, y: 22 + 15 * place, "font-size": 11.5, "font-weight": 600, fill: colour, "text-anchor": "end", stroke: "var(--raise)",
          "stroke-width": 3, "paint-order": "stroke" }, name));
    });
    const last = rows.at(-1);
    const ends = ["training", "validation"].map((name, at) => last[at + 1] !== null && `${name} ${number(last[at + 1])}`).filter(Boolean);
    return figure(`${STAGES[stage] ?? stage}: ${ends.join(", ")}`, out, `${stage}.svg`);
  }));
}

/** Fold changes against p-values; genes of the reference in grey behind. */
export function volcano({ rows, reference = [], title, ondot = () => {}, level = 0.05 }) {
  const depth = (p) => Math.min(300, -Math.log10(Math.max(p, 1e-300)));
  const folds = rows.map((row) => row.fold).filter(Number.isFinite);
  const wide = Math.max(1, ...folds.map(Math.abs)) * 1.05;
  const { out, x, y } = frame({ width: WIDE, height: 330 }, [-wide, wide],
    [0, Math.max(2, ...rows.map((row) => depth(row.q)), ...reference.map((row) => depth(row.q))) * 1.06],
    { x: "log2 fold change", y: "\u2212log10 of q" });
  out.append(svg("line", { x1: 52, x2: WIDE - 12, y1: y(depth(level)), y2: y(depth(level)), stroke: "var(--edge)", "stroke-dasharray": "4 4" }));
  for (const row of reference.filter((one) => Number.isFinite(one.fold))) {
    out.append(svg("circle", { cx: x(row.fold), cy: y(depth(row.q)), r: 2, fill: "var(--edge)", opacity: 0.45 }));
  }
  const told = rows.filter((row) => row.q < level);
  for (const row of rows) {
    if (!Number.isFinite(row.fold)) continue;
    const fill = row.q < level ? (row.fold > 0 ? "#D55E00" : "#0072B2") : "var(--edge)";
    const dot = svg("circle", { cx: x(row.fold), cy: y(depth(row.q)), r: 3, fill, class: "dot" },
      svg("title", {}, `${row.gene}: ${number(row.fold)}, q ${number(row.q)}`));
    dot.addEventListener("click", () => ondot(row));
    out.append(dot);
  }
  const taken = [];
  for (const row of told.slice(0, 24)) {
    const [at, up] = [x(row.fold), y(depth(row.q)) - 6];
    const half = row.gene.length * 3.1;
    if (taken.length > 11 || taken.some(([px, py, ph]) => Math.abs(py - up) < 12 && Math.abs(px - at) < ph + half)) continue;
    taken.push([at, up, half]);
    out.append(svg("text", { x: Math.min(WIDE - 12 - half, Math.max(54 + half, at)), y: Math.max(11, up), "font-size": 11, "text-anchor": "middle",
      fill: "var(--ink)", stroke: "var(--raise)", "stroke-width": 3, "paint-order": "stroke" }, row.gene));
  }
  return figure(title, out, "volcano.svg");
}

/** Genes by groups: area is the fraction of cells with counts, colour the mean within its gene. */
export function dotPlot({ genes, rows, names }) {
  const left = 16 + 6.4 * Math.max(...rows.map((row) => names(row).length)), step = 30, line = 24;
  const top = 14 + 5 * Math.max(...genes.map((one) => one.length));
  const width = Math.max(400, left + step * genes.length + 60), height = top + line * rows.length + 34;
  const highs = genes.map((_, at) => Math.max(...rows.map((row) => row.mean[at]), 1e-9));
  const out = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "chart fixed" },
    genes.map((gene, at) => svg("text", { x: left + step * (at + 0.5), y: top - 8, "font-size": 11.5, fill: "var(--ink)",
      transform: `rotate(-45 ${left + step * (at + 0.5)} ${top - 8})` }, gene)),
    rows.map((row, place) => {
      const cy = top + line * (place + 0.5);
      return [place % 2 ? svg("rect", { x: 0, y: cy - line / 2, width, height: line, fill: "var(--wash)" }) : null,
        svg("text", { x: left - 8, y: cy + 4, "font-size": 11.5, "text-anchor": "end", fill: "var(--ink)" }, names(row)),
        genes.map((gene, at) => svg("circle", { cx: left + step * (at + 0.5), cy, r: 10 * Math.sqrt(row.fraction[at]), fill: "var(--accent)",
          "fill-opacity": (0.08 + 0.92 * row.mean[at] / highs[at]).toFixed(2), stroke: "var(--accent)", "stroke-width": 0.7 },
          svg("title", {}, `${gene}, ${names(row)}: mean ${number(row.mean[at])}, in ${number(100 * row.fraction[at])} % of cells`)))].filter(Boolean);
    }),
    svg("text", { x: 4, y: height - 8, "font-size": 11, fill: "var(--soft)" },
      "area: fraction of cells with counts; colour: mean, within each gene"));
  return figure("Dot plot", out, "dotplot.svg");
}
