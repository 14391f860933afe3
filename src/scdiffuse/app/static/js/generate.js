// Flow B: ask for cells. Chips, the grid of training coverage, guidance; first cells land on the map.

import { fail, get, guarded, post, store } from "./api.js";
import { field, h, number, put, select } from "./dom.js";
import { followModels, jobButton, modelPicker } from "./forms.js";
import { conditions, coverageNote } from "./widgets.js";
import { showMade } from "./world.js";

let host, model = null;

/** Build the form; it is written anew when a model becomes ready. */
export function buildGenerate(element) {
  host = element;
  followModels(host, () => model, write);
}

function write(chosen) {
  model = chosen;
  const support = h("div", { "aria-live": "polite" });
  const asked = conditions(model, { onchange: () => lookUp(support, asked.value()) });
  const n = h("input", { type: "number", min: "1", max: store.session.limits.max_generate, value: "500" });
  const seed = h("input", { type: "number", min: "0", value: "0" });
  const guidance = guidanceForm();
  const size = h("input", { type: "number", min: "1", step: "any", placeholder: "as learnt" });
  const steps = h("input", { type: "number", min: "1", placeholder: String(model.solver_steps ?? "") });
  const body = () => ({
    kind: "generate", model: model.id, n_cells: Number(n.value), where: asked.value(), seed: Number(seed.value), ...guidance.value(),
    library_size: size.value ? Number(size.value) : null, solver_steps: steps.value ? Number(steps.value) : null,
  });
  const { run, elements } = jobButton("Generate cells", { id: "ask", body, done: (found) => showMade(found.cells),
    coverage: (found) => found.text && found });
  const grid = coverageGrid(guarded(async (where) => {
    asked.set(where);
    lookUp(support, where);
    await run();
  }));
  put(host, h("section", { class: "card", "aria-label": "Ask for cells" }, h("h2", {}, "Ask for cells"), modelPicker(model, write), asked.element,
    support,
    h("div", { class: "pair" }, field("Number of cells", n), field("Seed", seed)), guidance.element,
    h("details", {}, h("summary", {}, "Library size and solver"),
      h("div", { class: "pair" }, field("Library size", size), field("Solver steps", steps))), elements), grid);
}

async function lookUp(support, where) {
  if (!Object.keys(where).length) return put(support);
  put(support, coverageNote(await post(`models/${model.id}/support`, { where }).catch((error) => (fail(error), null))));
}

/** Guidance scale, classifiers to go toward, labels to keep away from. */
function guidanceForm() {
  if (!model.can_guide) return { element: h("p", { class: "soft small" }, "A distilled sampler takes no guidance."), value: () => ({ guidance: 1 }) };
  const scale = h("input", { type: "range", min: "0", max: "3", step: "0.1", value: "1",
    oninput: () => (shown.textContent = Number(scale.value).toFixed(1)) });
  const shown = h("output", { class: "number" }, "1.0");
  const names = Object.entries(model.classifiers);
  const toward = names.map(([name, about]) => {
    const label = about.labels ? select([["", "no"], ...about.labels], "") : h("input", { type: "number", step: "any", placeholder: "no" });
    const strength = h("input", { type: "number", min: "0", step: "0.5", value: "1", "aria-label": `Scale of ${name}` });
    return { name, label, strength, about, element: h("div", { class: "toward" }, field(name, label, `accuracy ${number(about.accuracy)}`),
      field("Scale", strength)) };
  });
  const labels = Object.entries(model.conditions).flatMap(([name, list]) => list.map((one) => [`${name}\n${one.label}`, `${name}: ${one.label}`]));
  const away = select([["", "nothing"], ...labels], "");
  const element = h("div", {}, field("Guidance scale", scale,
    "1 is the model as learnt, 0 ignores the conditions; above 1 cells become more typical and less varied"),
    h("details", {}, h("summary", {}, names.length ? "Classifiers and negative guidance" : "Negative guidance"), toward.map((one) => one.element),
      labels.length > 0 && field("Keep away from", away)));
  element.querySelector("label").append(" ", shown);
  return {
    element,
    value: () => {
      const targets = toward.filter((one) => one.label.value !== "");
      const [name, label] = away.value.split("\n");
      return {
        guidance: Number(scale.value), ...(name ? { away: { [name]: label } } : {}),
        ...(targets.length ? { toward: Object.fromEntries(targets.map((one) => [one.name,
          [one.about.labels ? one.label.value : Number(one.label.value), Number(one.strength.value)]])) } : {}),
      };
    },
  };
}

/** Training cells of each combination; a click generates it. */
function coverageGrid(ask) {
  const names = Object.keys(model.conditions);
  if (!names.length) return null;
  const body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Training coverage" });
  const rows = select(names, names[0]), columns = select([["", "none"], ...names], names[1] ?? "");
  const draw = async () => {
    const two = columns.value && columns.value !== rows.value;
    const found = await get(`models/${model.id}/coverage`, two ? { rows: rows.value, columns: columns.value } : { rows: rows.value });
    const most = Math.log1p(Math.max(1, ...found.n.flat()));
    const heads = found.columns?.labels ?? ["all"];
    put(body, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, rows.value),
      heads.map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", {}, found.rows.labels.map((row, at) => h("tr", {}, h("th", { scope: "row" }, row),
        heads.map((column, to) => h("td", {}, square(found.n[at][to], most,
        { [rows.value]: row, ...(found.columns ? { [columns.value]: column } : {}) }, ask))))))));
  };
  for (const one of [rows, columns]) one.addEventListener("change", guarded(draw));
  draw().catch(fail);
  return h("section", { class: "card", "aria-label": "Grid of training coverage" }, h("h2", {}, "Training coverage"),
    h("p", { class: "soft small" }, "Training cells of each combination. Click a square to generate it; dashed ones are out of distribution."),
    names.length > 1 && h("div", { class: "pair" }, field("Rows", rows), field("Columns", columns)), body);
}

function square(n, most, where, ask) {
  const share = n ? 0.08 + 0.47 * (Math.log1p(n) / most) : 0;
  const text = Object.values(where).join(", ");
  return h("button", { type: "button", class: `square ${n ? "" : "unseen-pair"}`, style: { "--share": share },
    "aria-label": `Generate ${text}: ${number(n)} training cells`, onclick: () => ask(where) }, number(n));
}
