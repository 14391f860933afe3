// What happened so far: jobs, code, downloads.

import { get, guarded, isActive, on, remove, store } from "./api.js";
import { $, h, number, put } from "./dom.js";
import { card, code, jobBox } from "./widgets.js";

/** Build the view once; it follows the jobs. */
export function buildSession(host) {
  const jobs = h("div", { class: "jobs" }), lines = h("div"), sets = h("div");
  put(host, card("Jobs", jobs), card("This session as code", h("p", { class: "soft small" }, "Every action so far, to run again without this page."),
    h("div", { class: "row" }, h("a", { class: "button primary", href: "api/notebook", download: "session.ipynb" }, "Download as a notebook")),
      lines), card("Cells and models", sets));
  const known = new Map();
  const write = (job) => {
    if (!known.has(job.id)) {
      if (!known.size) put(jobs);
      known.set(job.id, h("div", {}, jobBox(job)));
      jobs.prepend(known.get(job.id));
    }
    const active = [...store.jobs.values()].filter(isActive);
    $("#running").hidden = !active.length;
    $("#running").textContent = active.length === 1 ? active[0].title : `${active.length} jobs`;
    later();
  };
  let timer = null;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, 400);
  };
  const refresh = async () => {
    if (host.hidden) return;
    put(lines, code(await get("script").catch(() => ({}))));
    put(sets, h("ul", { class: "plain" }, [...store.models.values()].map((one) => line(one, "model", `models/${one.id}/download`,
      `${number(one.n_genes)} genes`)),
      [...store.cells.values()].filter((one) => one.state === "ready").map((one) => line(one, one.kind, `cells/${one.id}/download`,
        `${number(one.n_cells)} cells`))));
  };
  const line = (one, kind, href, size) => h("li", { class: "row" }, h("strong", {}, one.name), h("span", { class: "soft small" }, `${kind}, ${size}`),
    h("span", { class: "grow" }),
    h("a", { class: "button small", href: `api/${href}`, download: "" }, "Download"),
    kind !== "model" && kind !== "real" && h("button", { type: "button", class: "small",
      onclick: guarded(async () => (await remove(`cells/${one.id}`), store.cells.delete(one.id), refresh())) }, "Close"));
  put(jobs, h("p", { class: "soft" }, "Nothing was asked for yet."));
  on("job", write);
  for (const kind of ["cells", "model"]) on(kind, later);
  [...store.jobs.values()].forEach(write);
  return refresh;
}
