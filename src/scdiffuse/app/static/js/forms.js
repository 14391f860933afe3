// What the forms that ask a model share: which model, and a button whose job shows what came of it.

import { guarded, on, runJob, store } from "./api.js";
import { field, h, number, put, select } from "./dom.js";
import { code, coverageNote, jobBox } from "./widgets.js";

/** Models that are ready, the newest last. */
export const readyModels = () => [...store.models.values()].filter((one) => one.state === "ready");

/** The list of models of a form; `call` hears the one that is chosen. */
export function modelPicker(current, call) {
  const models = readyModels();
  if (models.length < 2) return h("p", { class: "model-name" }, h("strong", {}, current.name),
    h("span", { class: "soft" }, ` ${number(current.n_genes)} genes, ${number(current.n_cells)} training cells`));
  return field("Model", select(models.map((one) => [one.id, one.name]), current.id,
    { onchange: (event) => call(store.models.get(event.target.value)) }));
}

/** Write a form anew for each model that becomes ready and is not the `current()` one; without any, say so in its place. */
export function followModels(host, current, write) {
  const follow = () => {
    const newest = readyModels().at(-1);
    if (newest && newest.id !== current()?.id) write(newest);
    else if (!newest) put(host, h("section", { class: "card" }, h("h2", {}, "No model yet"), h("p", {}, "Fit one, or open one from a folder."),
      h("a", { class: "button primary", href: "#/data" }, "Data and model")));
  };
  on("model", follow);
  follow();
}

/** A button that runs the job of `body()`: its progress, training coverage, file and code stand below, and `done` shows the cells. */
export function jobButton(text, { id, body, done, coverage = (result) => result.coverage }) {
  const result = h("div", { "aria-live": "polite" });
  const run = async () => {
    const job = await runJob(body(), { onstart: (one) => put(result, jobBox(one)) });
    const file = h("a", { class: "button small", href: `api/cells/${job.result.cells}/download`, download: "" }, "Download .h5ad");
    put(result, jobBox(job), coverageNote(coverage(job.result)), h("div", { class: "row" }, file), code(job));
    await done(job.result);
  };
  return { run, elements: [h("button", { type: "button", class: "primary wide", id, onclick: guarded(run) }, text), result] };
}
