// The map with its tools: what lies beside what, colours, the selection, and the same in a table.

import { get, guarded, on } from "./api.js";
import { $, announce, h, number, put, segments, select, table } from "./dom.js";
import { ceiling, labelColours, paintLabels, paintNumbers, RAMP_STEPS, sourceColours } from "./colours.js";
import { middles } from "./places.js";
import { Scatter } from "./scatter.js";
import { mapSvg } from "./mapsvg.js";
import { choose, column, columnNames, countChosen, gene, isReal, madeSets, onWorld, parts, realSets, show, sourceColumn, world } from "./world.js";

const MOST_GENES = 6, MOST_ARROWS = 150;
const look = { layout: "side", by: null, genes: [], scale: "log1p", names: true, state: null };
let map = null, tools, legend, bar, note, asTable, drawn = 0, shown = null;

/** Build the stage once; it follows the cells on the map. */
export function buildStage(host) {
  tools = h("div", { class: "tools" });
  const frame = h("div", { class: "map-frame" });
  [legend, bar, note] = [h("div", { class: "legend" }), h("div", { class: "selection", role: "group", "aria-label": "Selection" }),
    h("p", { class: "soft small map-note" })];
  asTable = h("details", { ontoggle: guarded(fillTable) }, h("summary", {}, "The map as a table"), h("div"));
  const empty = h("div", { class: "empty", id: "map-empty" },
    h("p", {}, "No cells yet. ", h("a", { href: "#/data" }, "Open cells or a model"), " first."));
  put(host, tools, empty, frame, note, legend, bar, asTable);
  map = new Scatter(frame, { describe, onselect: choose, label: "Map of real and generated cells" });
  onWorld(guarded(async (what) => {
    if (what === "cells") await restage();
    else if (what === "chosen") showChosen();
    else writeTools();
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", guarded(repaint));
  on("cells", () => world.frame && writeTools());
}

/** Colours of the page changed. */
export const repaint = () => world.frame && restyle();

const madeName = () => ({ generated: "Generated", predicted: "Predicted", trajectory: "Trajectory",
  augmented: "Augmented" })[world.other?.kind ?? world.frame?.kind] ?? "Held out";

async function restage() {
  $("#map-empty").hidden = true;
  document.body.classList.add("has-map");
  look.state = world.other?.kind === "trajectory" ? 0 : null;
  if (!columnNames().includes(look.by) && look.by !== "source") look.by = columnNames().find((name) => facts(name)?.kind === "labels") ?? "source";
  map.setCells(world.xy, subsets());
  await restyle();
  showChosen();
}

function rowsOf(first, n) {
  return Uint32Array.from({ length: n }, (_, at) => first + at);
}

function subsets() {
  const real = rowsOf(0, world.nReal);
  let made = rowsOf(world.nReal, world.n - world.nReal);
  if (look.state !== null) made = made.filter((row) => Math.floor((row - world.nReal) / look.nCells) === look.state);
  return { real, made, all: Uint32Array.from([...real, ...made]) };
}

const facts = (name) => parts().map(({ set }) => set.obs.find((one) => one.name === name)).find(Boolean);

/** Show one state of a trajectory. */
export function showState(state, nCells) {
  Object.assign(look, { state, nCells });
  const sets = subsets();
  for (const name of ["made", "all"]) map.setSubset(name, sets[name]);
  map.overlay.arrows = trails(state, nCells);
  map.ask();
}

function trails(state, nCells) {
  const out = [];
  for (let at = Math.max(0, state - 1); at < state; at++) {
    for (let cell = 0; cell < nCells; cell++) out.push([world.nReal + at * nCells + cell, world.nReal + (at + 1) * nCells + cell]);
  }
  return out;
}

/** Choose how the map looks from another part of the page. */
export async function setLook(change) {
  Object.assign(look, change);
  if (world.frame) await restyle();
}

async function restyle() {
  writeTools();
  const mine = ++drawn;
  const style = look.genes.length ? await geneStyle() : await columnStyle();
  if (mine !== drawn) return;
  shown = style;
  const both = world.nReal && world.n > world.nReal;
  const layout = both ? look.layout : world.nReal ? "real" : "made";
  const sides = { side: ["real", "made"], together: ["all"], real: ["real"], made: ["made"] }[layout];
  const titles = { real: "Real", made: madeName(), all: `Real and ${madeName().toLowerCase()}` };
  const counts = { real: world.nReal, made: world.n - world.nReal, all: world.n };
  const panels = style.paints.flatMap((one) => sides.map((subset) => ({
    title: one.title ? (sides.length > 1 ? `${one.title}, ${titles[subset].toLowerCase()}` : one.title) : titles[subset],
    note: one.title ? "" : look.state !== null && subset !== "real" ? "" : number(counts[subset]), subset, key: one.key, paint: one.paint,
    names: look.names && Boolean(style.labels) && style.title !== "source", arrows: subset !== "real",
  })));
  map.overlay.arrows = world.before ? world.before.map((row, at) => [row, world.nReal + at]).filter((_,
    at) => at % Math.ceil(world.before.length / MOST_ARROWS) === 0) : look.state !== null ? map.overlay.arrows : [];
  map.overlay.names = style.labels ? names(style) : [];
  map.setPanels(panels);
  const made = `${number(world.n - world.nReal)} ${madeName().toLowerCase()} cells`;
  map.canvas.setAttribute("aria-label", `Map of ${number(world.nReal)} real and ${made}, coloured by ${style.title}`);
  note.textContent = [world.note, ...parts().map(({ set }) => set.note)].filter(Boolean).join(" ");
  writeLegend(style);
  if (asTable.open) await fillTable();
}

async function columnStyle() {
  const found = look.by === "source" ? sourceColumn() : await column(look.by);
  if (found.kind === "labels") {
    const colours = look.by === "source" ? sourceColours() : labelColours(found.labels.length);
    return { title: found.name, labels: found.labels, codes: found.codes, colours,
      paints: [{ key: "labels", paint: paintLabels(found.codes, colours) }] };
  }
  let [low, high] = [Infinity, -Infinity];
  for (const value of found.values) if (!Number.isNaN(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return { title: found.name, low, high, values: [found], paints: [{ key: "numbers", paint: paintNumbers(found.values, low, high) }] };
}

async function geneStyle() {
  const lists = await Promise.all(look.genes.map((name) => gene(name, look.scale)));
  const highs = lists.map(ceiling);
  return {
    title: look.genes.join(", "), low: 0, high: look.genes.length === 1 ? highs[0] : null, unit: look.scale === "counts" ? "counts" : "log1p of counts per 10,000",
    values: lists.map((values, at) => ({ name: look.genes[at], values })),
    paints: lists.map((values, at) => ({ key: `gene${at}`, title: `${look.genes[at]}`, paint: paintNumbers(values, 0, highs[at], { zeros: true }) })),
  };
}

function names(style) {
  const places = middles(map.places, style.codes, subsets().all, style.labels.length);
  return style.labels.map((text, at) => ({ text, place: places[at] })).filter((one) => one.place);
}

function writeTools() {
  const focus = document.activeElement?.dataset?.tool;
  const sets = (list) => list.map((one) => [one.id, one.name]);
  const methods = world.methods.map((one) => [one.name, one.state === "computing" ? `${one.name.toUpperCase()} ...` : one.name.toUpperCase()]);
  const both = world.nReal && world.n > world.nReal;
  const made = madeSets(), real = realSets();
  put(tools,
    real.length > 1 && pick("Ground", select(sets(real), world.frame?.id,
      { "data-tool": "frame", onchange: guarded((event) => show({ frame: real.find((one) => one.id === event.target.value) })) })),
    made.length > 0 && isReal(world.frame) && pick("Beside real cells", select([["", "nothing"], ...sets(made)], world.other?.id ?? "", {
      "data-tool": "other", onchange: guarded((event) => show({ other: made.find((one) => one.id === event.target.value) ?? null })) })),
    both && segments("Panels", [["side", "Side by side"], ["together", "Together"], ["real", "Real"], ["made", madeName()]], look.layout,
      guarded((value) => setLook({ layout: value }))),
    methods.length > 1 && segments("Method of the map", methods, world.method, guarded((value) => {
      world.wanted = value;
      const isReady = world.methods.find((one) => one.name === value).state === "ready";
      return isReady ? show({ method: value }) : announce("UMAP is being computed; it is shown once it is there.", { shown: true });
    })),
    pick("Colour by", select([...(look.genes.length ? [["", "genes"]] : []), "source", ...columnNames()], look.genes.length ? "" : look.by, {
      "data-tool": "by", onchange: guarded((event) => setLook({ by: event.target.value, genes: [] })) })),
    geneBox(),
    h("span", { class: "grow" }),
    segments("Pointer", [["pan", "Pan"], ["lasso", "Lasso"]], map.gestures.mode, (mode) => {
      map.gestures.mode = mode;
      map.canvas.classList.toggle("lasso", mode === "lasso");
    }),
    h("div", { class: "segments", role: "group", "aria-label": "View" },
      h("button", { type: "button", "aria-label": "Magnify", onclick: () => map.move({ times: 1.4 }) }, "+"),
      h("button", { type: "button", "aria-label": "Reduce", onclick: () => map.move({ times: 1 / 1.4 }) }, "\u2212"),
      h("button", { type: "button", onclick: () => map.reset() }, "All")),
    h("button", { type: "button", class: "small", onclick: guarded(() => mapSvg(map, shown)) }, "SVG"),
  );
  if (focus) $(`[data-tool="${focus}"]`, tools)?.focus();
}

const pick = (text, control) => h("label", { class: "pick" }, h("span", {}, text), control);

/** Genes by name: one colours the map, several make small maps. */
function geneBox() {
  const list = h("datalist", { id: "genes" });
  const add = guarded(async (name) => {
    const found = (await get("genes", { cells: world.frame.id, q: name })).genes;
    const hit = found.find((one) => [one.name, one.symbol].some((text) => text?.toLowerCase() === name.toLowerCase()));
    if (!hit) throw new Error(`No gene is called ${name}.${found.length ? ` Close: ${found.slice(0, 5).map((one) => one.symbol ?? one.name).join(", ")}.` : ""}`);
    if (look.genes.length >= MOST_GENES) throw new Error(`${MOST_GENES} genes at once are the most; remove one first.`);
    if (!look.genes.includes(hit.name)) await setLook({ genes: [...look.genes, hit.name] });
  });
  const input = h("input", {
    type: "search", list: "genes", placeholder: "gene", "aria-label": "Add a gene", "data-tool": "gene", autocomplete: "off",
    oninput: async (event) => {
      if (!world.frame || !event.target.value) return;
      const { genes } = await get("genes", { cells: world.frame.id, q: event.target.value }).catch(() => ({ genes: [] }));
      put(list, genes.map((one) => h("option", { value: one.symbol ?? one.name })));
    },
    onchange: (event) => event.target.value.trim() && add(event.target.value.trim()),
  });
  return h("div", { class: "genes" }, input, list,
    look.genes.map((name) => h("button", { type: "button", class: "chip on", "aria-label": `Remove gene ${name}`,
      onclick: guarded(() => setLook({ genes: look.genes.filter((one) => one !== name) })) }, name, h("span", { "aria-hidden": "true" }, "\u00d7"))),
    look.genes.length > 0 && segments("Scale of genes", [["log1p", "log"], ["counts", "counts"]], look.scale,
      guarded((scale) => setLook({ scale }))));
}

function writeLegend(style) {
  if (!style.labels) {
    const steps = RAMP_STEPS.map((colour) => h("i", { style: { background: colour } }));
    return put(legend, h("span", { class: "label" }, style.title),
      h("span", { class: "ramp" }, h("span", {}, number(style.low)), h("span", { class: "steps", "aria-hidden": "true" }, steps),
      h("span", {}, style.high === null ? "high, each gene" : number(style.high))), h("span", { class: "soft small" }, style.unit ?? ""));
  }
  const counts = style.labels.map(() => 0);
  for (const code of style.codes) if (code >= 0) counts[code]++;
  put(legend, style.labels.map((label, at) => h("button", {
    type: "button", class: "key", "aria-label": `Select ${label}, ${counts[at]} cells`, onclick: () => chooseLabel(style, at) },
  h("i", { style: { background: style.colours[at % style.colours.length] } }), label, h("span", { class: "soft number" }, number(counts[at])))),
  style.labels.length > 1 && style.title !== "source" && h("label", { class: "check" },
    h("input", { type: "checkbox", ...(look.names ? { checked: true } : {}),
    onchange: guarded((event) => setLook({ names: event.target.checked })) }), "names on the map"));
}

function chooseLabel(style, code) {
  const chosen = new Uint8Array(world.n);
  for (let row = 0; row < world.n; row++) chosen[row] = Number(style.codes[row] === code);
  choose(chosen);
}

function showChosen() {
  map.select(world.chosen);
  if (!world.chosen) return put(bar, h("span", { class: "soft small" },
    "Drag with the lasso, or choose a label of the legend: the selection holds in all panels."));
  const { real, made } = countChosen(world.chosen);
  announce(`${real} real and ${made} other cells are selected.`);
  put(bar, h("strong", {}, "Selected"), h("span", { class: "number" }, `${number(real)} real, ${number(made)} ${madeName().toLowerCase()}`),
    ...["A", "B"].map((name) => h("button", { type: "button", class: "small", onclick: () => keep(name) },
      world[name] ? `Replace ${name}` : `Keep as ${name}`)),
    h("button", { type: "button", class: "quiet", onclick: () => choose(null) }, "Clear"));
}

function keep(name) {
  world[name] = world.chosen.slice();
  dispatchEvent(new CustomEvent("kept", { detail: name }));
  showChosen();
}

function describe(row) {
  const out = [["", row < world.nReal ? "real" : madeName().toLowerCase()]];
  if (shown?.labels) out.push([shown.title, shown.codes[row] < 0 ? "missing" : shown.labels[shown.codes[row]]]);
  else for (const one of shown?.values ?? []) out.push([one.name, number(one.values[row])]);
  return out;
}

async function fillTable() {
  if (!asTable.open || !shown) return;
  const heads = shown.labels ? [shown.title, "Real", "Share", madeName(), "Share"] : ["", "Real, mean", `${madeName()}, mean`];
  const rows = shown.labels ? shown.labels.map((label, code) => {
    const n = [0, 0];
    shown.codes.forEach((one, row) => one === code && n[Number(row >= world.nReal)]++);
    const share = (at, all) => (all ? `${((100 * n[at]) / all).toFixed(1)} %` : "\u2013");
    return [label, n[0], share(0, world.nReal), n[1], share(1, world.n - world.nReal)];
  }) : shown.values.map(({ name, values }) => [name, mean(values, 0, world.nReal), mean(values, world.nReal, world.n)]);
  put(asTable.lastChild, table(heads, rows, { caption: `Cells of the map by ${shown.title}`, sortable: true }));
}

function mean(values, from, to) {
  const known = values.slice(from, to).filter((one) => !Number.isNaN(one));
  return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
}

export const theMap = () => map;
