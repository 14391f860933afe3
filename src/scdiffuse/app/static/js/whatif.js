// Flow C: given cells under other conditions, cells on their way, more cells of rare types.

import { fail, guarded } from "./api.js";
import { $, field, h, number, put, segments, select, table } from "./dom.js";
import { volcano } from "./charts.js";
import { followModels, jobButton, modelPicker } from "./forms.js";
import { conditions, geneTable } from "./widgets.js";
import { setLook, showState } from "./stage.js";
import { isReal, onWorld, realSets, selections, showMade, world } from "./world.js";

const FORMS = { predict: predictForm, trajectory: trajectoryForm, augment: augmentForm };
let host, model = null, kind = "predict", player = null;

/** Build the forms; they are written anew when a model or cells become ready. */
export function buildWhatIf(element) {
  host = element;
  onWorld((what) => what === "cells" && model && !host.querySelector(".job") && write(model));
  followModels(host, () => model, write);
}

function write(chosen) {
  model = chosen;
  const body = h("div");
  const open = (now) => {
    kind = now;
    put(body, FORMS[now]());
  };
  put(host, h("section", { class: "card", "aria-label": "What if" }, h("h2", {}, "What if"), modelPicker(model, write),
    segments("Question", [["predict", "Other conditions"], ["trajectory", "Trajectory"], ["augment", "Augment"]], kind, open), body));
  open(kind);
}

const needsReal = () => h("p", { class: "soft" }, "This needs real cells. ", h("a", { href: "#/data" }, "Open them"), " first.");
const ground = () => (isReal(world.frame) ? world.frame : realSets()[0]);

/** Which real cells to begin with: the selection, a label, or all. */
function startPicker() {
  const real = ground();
  const labels = real.obs.filter((one) => one.kind === "labels" && one.name in model.conditions).flatMap((one) => one.labels.map((label,
    at) => [`${one.name}\n${at}`, `${one.name}: ${label} (${number(one.n[at])})`]));
  const list = select([["all", `all real cells (${number(real.n_shown)})`], ["chosen", "the cells selected on the map"], ...labels],
    labels[0]?.[0] ?? "all");
  const value = () => {
    if (list.value === "all") return { cells: real.id };
    if (list.value === "chosen") {
      const mine = world.chosen && selections(world.chosen).find((one) => one.cells === real.id);
      if (!mine) throw new Error("No real cells are selected. Draw around some with the lasso, or choose a label.");
      return mine;
    }
    const [name, at] = list.value.split("\n");
    return { cells: real.id, where: { [name]: [real.obs.find((one) => one.name === name).labels[Number(at)]] } };
  };
  return { element: field("Start from", list), value };
}

/** A button whose job ends with what changed, below the map. */
const runner = (text, body, done) => jobButton(text, { id: "whatif-run", body, done: async (found) => {
  $("#changes").hidden = false;
  put($("#changes"), await done(found));
} }).elements;

function target() {
  const asked = conditions(model, { open: "keep" });
  return { element: h("div", {}, h("p", { class: "label" }, "Becomes"), asked.element), value: () => {
    const to = asked.value();
    if (!Object.keys(to).length) throw new Error("Nothing changes yet: choose at least one condition that the cells become.");
    return to;
  } };
}

function predictForm() {
  if (!ground()) return needsReal();
  const start = startPicker(), to = target();
  const body = () => ({ kind: "predict", model: model.id, cells: start.value(), to: to.value(), guidance: 1, seed: 0 });
  return [h("p", { class: "soft small" }, "Counterfactual prediction: the same cells, as another donor, day or treatment would have them."),
    start.element, to.element,
    runner("Predict", body, async (found) => {
      await showMade(found.cells, { before: found.before?.cells === ground().id ? found.before.indices : null });
      await setLook({ layout: "together", by: "source", genes: [] });
      return changes(found.change);
    })];
}

/** Genes that change, with their standard error where the server has one. */
function changes(found) {
  if (!found) return null;
  const at = (name) => found.columns.indexOf(name);
  const rows = found.rows.map((row) => ({ name: row[at("gene")], gene: row[at("symbol")] ?? row[at("gene")], fold: row[at("log2_fold_change")],
    q: row[at("q")] }));
  return h("div", {}, h("h2", {}, "Genes that change"), h("div", { class: "duo" },
    volcano({ rows, title: "After against before", ondot: guarded((row) => setLook({ genes: [row.name] })) }),
    geneTable(found, "Genes that change")), h("a", { class: "button small", href: `api/tables/${found.table}.csv`, download: "" }, "csv"));
}

function trajectoryForm() {
  if (!ground()) return needsReal();
  const start = startPicker(), to = target();
  const states = h("input", { type: "number", min: "2", max: "50", value: "10" }), n = h("input",
    { type: "number", min: "1", max: "500", value: "50" });
  const keep = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: "0.5" });
  const body = () => ({ kind: "trajectory", model: model.id, cells: start.value(), to: to.value(), n_states: Number(states.value),
    n_cells: Number(n.value), keep: Number(keep.value), seed: 0 });
  return [h("p", { class: "soft small" }, "Gradient Interpolation: cells on their way from their own conditions to others."), start.element,
    to.element,
    h("div", { class: "pair" }, field("States", states), field("Cells", n)), field("Keep of the start cell", keep),
    runner("Follow the cells", body, async (found) => {
      await showMade(found.cells);
      await setLook({ layout: "together", by: "source", genes: [] });
      return slider(found);
    })];
}

/** The states of a trajectory, one at a time, by hand or played. */
function slider(found) {
  const text = h("output", { class: "number" });
  const input = h("input", { type: "range", min: "0", max: found.n_states - 1, step: "1", value: "0", id: "state",
    oninput: () => go(Number(input.value)) });
  const go = (state) => {
    input.value = state;
    text.textContent = ` ${state + 1} of ${found.n_states}, weight of the target ${number(found.weights[state])}`;
    input.setAttribute("aria-valuetext", text.textContent);
    showState(state, found.n_cells);
  };
  const stop = () => {
    clearInterval(player);
    player = null;
    play.textContent = "Play";
  };
  const play = h("button", { type: "button", class: "small", onclick: () => {
    if (player) return stop();
    play.textContent = "Pause";
    player = setInterval(() => (play.isConnected ? go((Number(input.value) + 1) % found.n_states) : stop()), 700);
  } }, "Play");
  const box = field("State", input);
  box.querySelector("label").append(text);
  go(0);
  return h("div", { class: "slider" }, box, play);
}

function augmentForm() {
  const names = Object.keys(model.conditions).filter((name) => ground()?.obs.some((one) => one.name === name));
  if (!names.length) return needsReal();
  const by = select(names), most = select([["max", "as many as the largest label"], ["median", "as many as the median label"],
    ["number", "a number"]]);
  const n = h("input", { type: "number", min: "1", value: "100" });
  const box = field("Cells a label", n);
  box.hidden = true;
  most.addEventListener("change", () => (box.hidden = most.value !== "number"));
  const body = () => ({ kind: "augment", model: model.id, cells: ground().id, by: by.value,
    n_per_label: most.value === "number" ? Number(n.value) : most.value, seed: 0 });
  return [h("p", { class: "soft small" }, "Rare cell type augmentation: generated cells beside real ones, until each label has enough."),
    field("Labels", by), field("Each label has at least", most), box,
    runner("Augment", body, async (found) => {
      await showMade(found.cells).catch(fail);
      const share = (value) => (value === null || value === undefined ? "\u2013" : `${(100 * value).toFixed(0)} %`);
      return [h("h2", {}, "Labels after augmentation"), found.gain && h("p", { class: "coverage unscored" }, found.gain.text),
        table(["Label", "Real", "Generated", "Recall, real cells", "Recall, augmented"],
          found.rows.map((one) => [one.label, one.n_real, one.n_generated, share(one.recall_real),
          share(one.recall_augmented)]), { caption: "Labels after augmentation" })];
    })];
}
