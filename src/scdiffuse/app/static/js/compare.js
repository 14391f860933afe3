// Two selections against each other: volcano and table, dot plot, and the verdict on generated cells.

import { get, guarded, on, post, runJob, store } from "./api.js";
import { csv, download, field, h, number, put, segments, select, table } from "./dom.js";
import { dotPlot, volcano } from "./charts.js";
import { code, geneTable, jobBox } from "./widgets.js";
import { verdictCard } from "./fit.js";
import { setLook } from "./stage.js";
import { columnNames, isReal, onWorld, parts, selections, world } from "./world.js";

const holders = { difference: h("div"), dots: h("div"), verdict: h("div") };
let evaluation = null;

/** Build what lies below the map. */
export function buildCompare(host) {
  const open = (name) => Object.entries(holders).forEach(([one, holder]) => (holder.hidden = one !== name));
  put(host, segments("Comparisons", [["difference", "Difference"], ["dots", "Dot plot"], ["verdict", "Verdict"]], "difference", open),
    Object.values(holders));
  open("difference");
  onWorld((what) => what === "cells" && write());
  addEventListener("kept", () => writeDifference());
  on("job", (job) => job.id === evaluation && put(holders.verdict.lastChild, verdictCard(job)));
}

function write() {
  writeDifference();
  writeDots();
  writeVerdict();
}

/** Everything that a side can be: a kept selection, a whole set, the cells of a label. */
function choices() {
  const out = [];
  for (const name of ["A", "B"]) if (world[name]) out.push([`kept:${name}`, `Selection ${name}`]);
  for (const { set } of parts()) {
    out.push([`set:${set.id}`, `All: ${set.name}`]);
    for (const about of set.obs) if (about.kind === "labels" && about.name !== "source") about.labels.forEach((label,
      at) => out.push([`label:${set.id}:${about.name}:${at}`, `${about.name} ${label}: ${isReal(set) ? "real" : set.name}`]));
  }
  return out;
}

function chosenSide(value) {
  const [kind, id, name, at] = value.split(":");
  if (kind === "kept") return selections(world[id]);
  const set = parts().find((one) => one.set.id === id).set;
  if (kind === "set") return [{ cells: id }];
  return [{ cells: id, where: { [name]: [set.obs.find((one) => one.name === name).labels[Number(at)]] } }];
}

function writeDifference() {
  const options = choices(), value = (at) => options[Math.min(at, options.length - 1)]?.[0];
  const sides = [select(options, world.A ? "kept:A" : value(0)),
    select(options, world.B ? "kept:B" : value(parts().length > 1 ? options.findIndex(([one]) => one === `set:${world.other.id}`) : 1))];
  const result = h("div", { "aria-live": "polite" });
  const run = guarded(async () => {
    put(result, h("p", {}, "Comparing ..."));
    try {
      const found = await post("differential", { a: chosenSide(sides[0].value), b: chosenSide(sides[1].value) });
      writeResult(result, found, sides.map((one) => one.selectedOptions[0].text));
    } catch (error) {
      put(result);
      throw error;
    }
  });
  put(holders.difference, h("div", { class: "sides" }, field("A", sides[0]), field("B", sides[1]),
    h("button", { type: "button", class: "primary", id: "compare", onclick: run }, "Compare")), result);
}

function writeResult(result, found, names) {
  const at = (name) => found.columns.indexOf(name);
  const rows = found.rows.map((row) => ({ name: row[at("gene")], gene: row[at("symbol")] ?? row[at("gene")], fold: row[at("log2_fold_change")],
    q: row[at("q")] }));
  const reference = (found.reference?.rows ?? []).map(([gene, fold, q]) => ({ gene, fold, q }));
  put(result,
    found.verdict && h("p", { class: `coverage ${found.verdict.level}` }, found.verdict.text),
    h("p", { class: "soft small" }, `${number(found.n_a)} cells in A, ${number(found.n_b)} in B; ${number(found.n_significant)} genes with q below .05.`,
      found.reference && ` Reference, ${found.reference.what}: ${number(found.reference.n_significant)} of them.`),
    h("div", { class: "duo" }, volcano({ rows, reference, title: `${names[0]} (right) against ${names[1]} (left)`,
      ondot: guarded((row) => setLook({ genes: [row.name] })) }),
    geneTable(found, "Genes by p-value")),
    reference.length > 0 && h("p", { class: "soft small" },
      "Grey dots behind: the same genes in the real-vs-real reference. Click a gene to colour the map by it."),
    h("div", { class: "row" }, h("a", { class: "button small", href: `api/tables/${found.table}.csv`, download: "" }, "All genes as csv")),
      code(found));
}

function writeDots() {
  const labels = columnNames().filter((name) => parts().every(({ set }) => set.obs.some((one) => one.name === name && one.kind === "labels")));
  const by = select(labels), result = h("div");
  const genes = h("input", { type: "text", placeholder: "CD3D, NKG7, ...", autocomplete: "off" });
  const run = guarded(async () => {
    const asked = genes.value.split(/[\s,;]+/).filter(Boolean);
    const found = await post("dotplot", { groups: parts().map(({ set }) => ({ cells: set.id, by: by.value })), genes: asked });
    const names = (row) => `${row.label}, ${isReal(store.cells.get(row.cells)) ? "real" : store.cells.get(row.cells)?.kind ?? "made"}`;
    const rows = [...found.rows].sort((x, y) => String(x.label).localeCompare(String(y.label)));
    const heads = ["Group", "Cells", ...found.genes.flatMap((gene) => [`${gene}, mean`, `${gene}, fraction`])];
    const values = rows.map((row) => [names(row), row.n, ...found.genes.flatMap((_, at) => [row.mean[at], row.fraction[at]])]);
    put(result, h("div", { class: "scroll" }, dotPlot({ genes: found.genes, rows, names })),
      h("details", {}, h("summary", {}, "As a table"), table(heads, values, { caption: "Dot plot as a table" })),
      h("button", { type: "button", class: "small", onclick: () => download("dotplot.csv", csv(heads, values), "text/csv") }, "csv"), code(found));
  });
  suggest(genes);
  put(holders.dots, labels.length ? h("div", { class: "sides" }, field("Genes", genes), field("Groups", by),
    h("button", { type: "button", class: "primary", onclick: run }, "Draw")) : h("p", { class: "soft" },
    "The cells on the map share no column of labels to group by."), result);
}

/** A few genes to begin with, so that the first click shows something. */
async function suggest(input) {
  const { genes } = await get("genes", { cells: world.frame.id, q: "CD" }).catch(() => ({ genes: [] }));
  if (!input.value) input.value = genes.slice(0, 5).map((one) => one.symbol ?? one.name).join(", ");
}

function writeVerdict() {
  const made = world.other?.kind === "generated" ? world.other : world.frame?.kind === "generated" ? world.frame : null;
  if (!made) return put(holders.verdict, h("p", { class: "soft" }, "Generate cells first: they are compared with real ones."));
  const model = store.models.get(made.origin?.model), real = store.cells.get(model?.held_out) ?? (isReal(world.frame) ? world.frame : null);
  if (!real) return put(holders.verdict, h("p", { class: "soft" }, "Open real cells to compare the generated ones with."));
  const columns = Object.keys(model?.conditions ?? {});
  const run = guarded(async () => {
    const body = { kind: "evaluate", real: real.id, generated: made.id, model: made.origin?.model ?? null, by: columns[0] ?? null,
      train: model?.held_out ? model.cells : null };
    const done = await runJob(body, { onstart: (job) => put(holders.verdict.lastChild, jobBox(job)), });
    evaluation = done.id;
    put(holders.verdict.lastChild, verdictCard(done));
  });
  put(holders.verdict, h("p", {}, `${made.name} against ${real.name}. `,
    Object.keys(made.origin?.where ?? {}).length > 0 && h("span", { class: "soft" }, "Only some conditions were asked for: differences of composition count."),
  ),
    h("button", { type: "button", class: "primary", id: "evaluate", onclick: run }, "Evaluate"), h("div"));
}
