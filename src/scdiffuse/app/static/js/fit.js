// Flow A, second half: conditions, the fit with its curves, and the verdict on the model.

import { get, guarded, isActive, on, post, store } from "./api.js";
import { $, duration, field, h, number, put } from "./dom.js";
import { lossCurves } from "./charts.js";
import { card, code, jobBox, verdicts } from "./widgets.js";

const FEWEST = 2;

/** Conditions to fit by, and what follows from the click. */
export function fitCard(cells) {
  const { conditions, continuous, missing, fit_seconds: seconds } = cells.inspect;
  const chosen = new Set(Object.keys(conditions).slice(0, 1)), numbers = new Set();
  const box = (set, name) => h("input", { type: "checkbox", ...(set.has(name) ? { checked: true } : {}),
    onchange: (event) => (event.target.checked ? set.add(name) : set.delete(name)) });
  const lost = (name) => (missing[name] ? `, ${number(missing[name])} missing` : "");
  const labelled = Object.entries(conditions).map(([name, labels]) => h("div", { class: "condition" },
    h("label", { class: "check" }, box(chosen, name), h("span", {}, h("strong", {}, name),
      h("span", { class: "soft" }, ` ${labels.length} labels${lost(name)}`))),
    h("ul", { class: "chips plain" }, labels.slice(0, 40).map((one) => h("li", { class: one.n < FEWEST ? "chip flat few" : "chip flat" }, one.label,
      h("span", { class: "soft number" }, number(one.n)))), labels.length > 40 && h("li", { class: "soft small" }, `and ${labels.length - 40} more`))));
  const ranged = Object.entries(continuous).map(([name, [low, high]]) => h("label", { class: "check" }, box(numbers, name),
    h("span", {}, h("strong", {}, name), h("span", { class: "soft" }, ` ${number(low)} to ${number(high)}${lost(name)}`))));
  const title = h("input", { type: "text", value: cells.name.replace(/\.[a-z0-9]+$/i, ""), autocomplete: "off" });
  const held = h("input", { type: "number", min: "0", max: "50", step: "5", value: "20" });
  const epochs = h("input", { type: "number", min: "1", placeholder: "until it is done" });
  const quick = h("input", { type: "checkbox" });
  const status = h("div", { class: "fit-status" });
  const start = guarded(async () => {
    const job = await post("jobs", {
      kind: "fit", cells: cells.id, conditions: [...chosen], continuous: [...numbers], name: title.value.trim() || "model",
      hold_out: Number(held.value) / 100, quick: quick.checked, seed: 0, max_epochs: epochs.value ? Number(epochs.value) : null,
    });
    store.jobs.set(job.id, job);
    follow(status, job);
    status.scrollIntoView({ block: "nearest" });
  });
  const running = [...store.jobs.values()].filter((one) => one.kind === "fit").at(-1);
  if (running) follow(status, running);
  return [card("Conditions to generate by",
    h("p", { class: "soft small" }, "Columns of obs whose labels or numbers cells are asked for later."), labelled,
    ranged.length > 0 && h("fieldset", { class: "field" }, h("legend", {}, "Numbers"), ranged),
    h("div", { class: "pair" }, field("Name of the model", title), field("Held-out cells, %", held, "kept from the fit, for the verdict")),
    h("details", {}, h("summary", {}, "More settings"), h("label", { class: "check" }, quick,
      h("span", {}, "Quick: fit for a few seconds only; the cells are less realistic")), field("Epochs at most", epochs)),
    h("div", { class: "row" }, h("button", { type: "button", class: "primary", id: "fit", onclick: start }, "Fit the model"),
      seconds && h("span", { class: "soft" }, `about ${duration(seconds)} on this machine`))), status];
}

/** A fit from start to verdict: the box, the curves, the evaluation after it. */
function follow(status, first) {
  const curves = h("div"), verdict = h("div"), lines = h("div");
  put(status, card("Fit", jobBox(first), curves, lines), verdict);
  let evaluated = null, drawn = 0, stop = null;
  const write = (job) => {
    if (stop && !curves.isConnected) return stop();
    if (job.id === first.id) {
      if (job.losses && (Date.now() - drawn > 700 || !isActive(job))) {
        drawn = Date.now();
        put(curves, lossCurves(job.losses));
      }
      if (job.state === "done") finished(job);
    }
    if (job.id === evaluated) put(verdict, verdictCard(job));
  };
  const finished = (job) => {
    put(lines, h("div", { class: "row" }, h("a", { class: "button primary", href: "#/generate" }, "Generate cells"),
      h("a", { class: "button", href: `api/models/${job.result.model}/download`, download: "" }, "Download the model")), code(job));
    evaluated = job.result.evaluate;
    const later = store.jobs.get(evaluated);
    if (later) put(verdict, verdictCard(later));
  };
  write(store.jobs.get(first.id) ?? first);
  stop = on("job", write);
}

/** An evaluation: verdicts first, then every score beside its reference. */
export function verdictCard(job) {
  if (job.state !== "done") return card("Verdict", jobBox(job));
  const found = job.result, report = found.report ?? `api/jobs/${job.id}/report`;
  const frame = h("iframe", { title: "Report", sandbox: "allow-same-origin", loading: "lazy" });
  return card("Verdict", verdicts(found), scores(found.metrics),
    h("div", { class: "row" }, h("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, "Open the report")),
    h("details", { ontoggle: (event) => event.target.open && !frame.src && frame.setAttribute("src", report) },
      h("summary", {}, "The report on this page"), frame), code(job));
}

function scores(metrics) {
  const heads = ["Metric", "Generated", "Reference, real vs real", "Normalised score", "First value told"];
  const body = h("tbody");
  put(body, metrics.map((one) => h("tr", {}, h("th", { scope: "row" }, one.title),
    [one.value, one.reference, one.normalised, one.detectable].map((value) => h("td", {}, number(value))))));
  return h("details", {}, h("summary", {}, "All scores"), h("div",
    { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "All scores" },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), body)));
}
