// Parts that several views share: code to copy, a job, conditions as chips, verdicts.

import { guarded, isActive, on, post, store } from "./api.js";
import { announce, duration, field, h, number, put, segments, table } from "./dom.js";

/** What makes the same cells by hand: Python and command line, with a button to copy. */
export function code({ python, command }) {
  if (!python && !command) return null;
  const text = h("pre", { tabindex: "0" }, python ?? command);
  const copy = guarded(async () => {
    await navigator.clipboard.writeText(text.textContent).catch(() => {
      const range = document.createRange();
      range.selectNodeContents(text);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      throw new Error("The browser does not let this page copy; the text is marked, press Ctrl and C.");
    });
    announce("Copied.", { shown: true });
  });
  const texts = { python, command };
  return h("div", { class: "code" },
    h("div", { class: "row" }, python && command ? segments("Language", [["python", "Python"], ["command", "Command line"]], "python",
      (one) => (text.textContent = texts[one])) : h("span", { class: "label" }, python ? "Python" : "Command line"),
      h("span", { class: "grow" }), h("button", { type: "button", class: "small", onclick: copy }, "Copy")),
    text);
}

const STATES = { queued: "waits for its turn", running: "running", done: "done", failed: "failed", cancelled: "cancelled",
  interrupted: "interrupted" };

/** A job that keeps itself up to date: progress, cancel, resume, its error. */
export function jobBox(job) {
  const box = h("div", { class: "job" });
  const write = (now) => {
    if (now.id !== job.id) return;
    const share = now.progress?.total ? now.progress.done / now.progress.total : null;
    const seconds = now.started ? (now.ended ?? Date.now() / 1000) - now.started : 0;
    put(box,
      h("div", { class: "row" }, h("strong", {}, now.title), h("span", { class: `state ${now.state}` }, STATES[now.state]),
        h("span", { class: "soft small number" }, seconds >= 1 ? duration(seconds) : ""),
        h("span", { class: "grow" }),
        isActive(now) && h("button", { type: "button", class: "small", onclick: guarded(() => post(`jobs/${now.id}/cancel`)) }, "Cancel"),
        now.resumable && !isActive(now) && h("button", { type: "button", class: "small", onclick: guarded(() => post(`jobs/${now.id}/resume`)) },
          "Resume")),
      isActive(now) && h("progress", share === null ? { "aria-label": now.title } : { max: "1", value: share, "aria-label": now.title }),
      now.progress?.text && isActive(now) && h("p", { class: "soft small" }, [now.progress.task, now.progress.text].filter(Boolean).join(": ")),
      now.error && h("p", { class: "wrong" }, now.error));
  };
  write(store.jobs.get(job.id) ?? job);
  const stop = on("job", (now) => (box.isConnected || now.state === "queued" ? write(now) : stop()));
  return box;
}

/** One choice among labels with their numbers of cells; no choice leaves the condition open. */
function chips(name, labels, { chosen = null, open = "any", onchange }) {
  const buttons = [[null, open], ...labels.map((one) => [one.label, one.label, one.n])].filter(([, text]) => text).map(([value, text, n]) =>
    h("button", { type: "button", class: "chip", "aria-pressed": String(value === chosen), onclick: () => mark(value, true) }, String(text),
      n === undefined ? null : h("span", { class: "soft number" }, number(n))));
  const values = [...(open ? [null] : []), ...labels.map((one) => one.label)];
  let now = chosen;
  function mark(value, said) {
    now = value;
    buttons.forEach((one, at) => one.setAttribute("aria-pressed", String(values[at] === value)));
    if (said) onchange();
  }
  return { element: h("fieldset", { class: "field" }, h("legend", {}, name), h("div", { class: "chips" }, buttons)), value: () => now,
    set: (value) => mark(value ?? null, false) };
}

/** Conditions of a model to ask for; `value()` gives those that are named. */
export function conditions(model, { open = "any", onchange = () => {}, chosen = {} } = {}) {
  const parts = Object.fromEntries(Object.entries(model.conditions).map(([name, labels]) => [name,
    chips(name, labels, { open, onchange, chosen: chosen[name] ?? null })]));
  for (const [name, about] of Object.entries(model.continuous)) {
    const input = h("input", { type: "number", step: "any", placeholder: open ?? "", onchange, value: chosen[name] ?? "" });
    parts[name] = {
      element: field(name, input, `trained from ${number(about.low)} to ${number(about.high)}`),
      value: () => (input.value === "" ? null : Number(input.value)), set: (value) => (input.value = value ?? ""),
    };
  }
  return {
    element: h("div", {}, Object.values(parts).map((one) => one.element)),
    value: () => Object.fromEntries(Object.entries(parts).map(([name, one]) => [name, one.value()]).filter(([, value]) => value !== null)),
    set: (where) => Object.entries(parts).forEach(([name, one]) => one.set(where[name])),
  };
}

/** Verdicts as the report shows them, and what they can tell. */
export function verdicts(found) {
  const power = found.power?.cells_to_60 ?? found.power?.cells_to_55;
  return h("div", {},
    found.overall && h("p", { class: `overall ${found.overall.level}` },
      h("strong", {}, `${found.overall.mark ?? ""} ${found.overall.title ?? found.overall.level_text ?? ""}`), h("br"), found.overall.text),
    h("ul", { class: "verdicts" }, found.verdicts.map((one) => h("li", { class: `verdict ${one.level}` },
      h("h3", {}, one.title, h("span", { class: "badge" }, h("span", { "aria-hidden": "true" }, `${one.mark ?? ""} `), one.level_text ?? one.level)),
        h("p", {}, one.text)))),
    power !== undefined && power !== null && h("p", { class: "soft small" },
      `Power: a classifier needs ${number(power)} cells a side to tell generated from held-out real cells with an AUC of ${found.power.cells_to_60 ? ".60" : ".55"}.`));
}

/** A sentence on training coverage, with its tone. */
export const coverageNote = (about) => about && h("p", { class: `coverage ${about.is_unseen ? "differs" : "passes"}` },
  h("strong", {}, about.is_unseen ? "Out of distribution. " : "Training coverage. "), about.text);

const MOST_ROWS = 300;

/** A table of genes as the server gives it; the symbol alone where it is the name. */
export function geneTable({ columns, rows }, caption) {
  const [name, symbol] = ["gene", "symbol"].map((one) => columns.indexOf(one));
  const same = symbol >= 0 && rows.every((row) => row[symbol] === row[name] || !row[symbol]);
  const kept = columns.map((_, at) => at).filter((at) => !(same && at === symbol));
  return table(kept.map((at) => columns[at].replaceAll("_", " ")), rows.slice(0, MOST_ROWS).map((row) => kept.map((at) => row[at])),
    { caption, sortable: true });
}

/** A part of a view. */
export const card = (title, ...children) => h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
