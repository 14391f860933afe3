// Flow A, first half: choose cells or a model, see what was found, mend it.

import { fail, get, guarded, on, open, post, store, upload } from "./api.js";
import { announce, h, number, put } from "./dom.js";
import { card } from "./widgets.js";
import { fitCard } from "./fit.js";
import { show } from "./world.js";

const found = h("div"), source = h("div");
let current = null, onMap = null, written = "";

const stateOf = (one) => `${one.id} ${one.state} ${one.inspected}`;

/** Build the view once. */
export function buildData(host) {
  put(host, source, found);
  writeSource();
  on("cells", (one) => one.id === current && stateOf(one) !== written && inspect(one));
}

/** Choose cells: bundled, dropped, or in a folder that was named at the start. */
function writeSource() {
  const { bundled, roots, uploads } = store.session;
  const browser = h("div", { class: "files" });
  const picker = h("input", { type: "file", multiple: true, class: "unseen", tabindex: "-1", "aria-hidden": "true",
    onchange: (event) => send([...event.target.files]) });
  const progress = h("progress", { max: "1", value: "0", hidden: true, "aria-label": "Upload" });
  const send = guarded(async (files) => {
    if (!files.length) return;
    progress.hidden = false;
    try {
      let folder = files.length > 1 ? files[0].name.replace(/\.[^.]*(\.gz)?$/, "") : undefined;
      let last;
      for (const file of files) {
        last = (await upload(file, { folder, progress: (share) => (progress.value = share) })).file;
        if (folder) folder = last.split("/").at(-2); // the name that was free
      }
      await openFile(folder ? last.slice(0, last.lastIndexOf("/")) : last);
    } finally {
      progress.hidden = true;
      picker.value = "";
    }
  });
  const drop = h("div", {
    class: "drop",
    ondragover: (event) => (event.preventDefault(), drop.classList.add("over")), ondragleave: () => drop.classList.remove("over"),
    ondrop: (event) => (event.preventDefault(), drop.classList.remove("over"), send([...event.dataTransfer.files])),
  },
  h("p", {}, h("strong", {}, "Drop a file of raw counts here"), h("br"),
    h("span", { class: "soft small" }, `.h5ad, 10x, .csv, or the three files of a 10x matrix; up to ${number(Math.round(uploads.max_bytes / 1e6))} MB. `
      + "It stays on the machine that runs scdiffuse.")),
  h("div", { class: "row" }, h("button", { type: "button", onclick: () => picker.click() }, "Choose a file"),
    bundled && h("button", { type: "button", class: "primary", onclick: guarded(() => openCells({ bundled: bundled.name })) },
      `Open ${bundled.title}`)),
  picker, progress);
  const folders = roots.length ? h("details", { ontoggle: guarded((event) => event.target.open && browse(browser, "")) },
    h("summary", {}, "Files of this machine and models"), browser) : null;
  put(source, card("Cells", drop, folders));
}

async function browse(browser, folder) {
  const { parent, entries } = await get("files", folder ? { folder } : undefined);
  const line = (text, note, call) => h("li", {}, h("button", { type: "button", class: "quiet", onclick: guarded(call) }, text),
    h("span", { class: "soft small" }, note));
  const calls = { folder: (one) => browse(browser, one.file), cells: (one) => openFile(one.file), model: (one) => openModel(one.file) };
  put(browser, h("p", { class: "soft small mono" }, folder || "Folders"), h("ul", { class: "plain" },
    folder && line("..", "", () => browse(browser, parent ?? "")),
    entries.filter((one) => calls[one.kind]).map((one) => line(one.kind === "folder" ? `${one.name}/` : one.name,
      { folder: "", cells: one.bytes ? `${number(Math.round(one.bytes / 1e4) / 100)} MB` : "cells",
      model: "model" }[one.kind], () => calls[one.kind](one)))));
}

const openFile = (file) => (/\.scd$/.test(file) ? openModel(file) : openCells({ file }));

/** Open a model, and go where cells are asked for. */
async function openModel(file) {
  const model = await open("model", { file });
  announce(`${model.name} is open.`, { shown: true });
  location.hash = "#/generate";
}

async function openCells(body) {
  const one = await post("cells", body);
  store.cells.set(one.id, one);
  inspect(one);
  found.scrollIntoView({ block: "nearest" });
}

/** What was found in a set of cells, with what can be mended, and the fit of a model. */
export function inspect(one) {
  [current, written] = [one.id, stateOf(one)];
  const about = one.inspect;
  if (one.state === "failed") return put(found, card(one.name, h("p", { class: "wrong" }, one.error)));
  if (one.state === "reading") return put(found, card(one.name, h("p", { role: "status" }, "Reading the cells ..."),
    h("progress", { "aria-label": "Reading" })));
  if (onMap !== one.id) show({ frame: one, other: null }).catch(fail);
  onMap = one.id;
  const facts = [["Cells", number(one.n_cells)], ["Genes", number(one.n_genes)]];
  if (about) facts.push(["Counts in", about.counts.map((counts) => counts.title).join(", ") || "none"], ["", about.genes]);
  const list = card(one.name, h("dl", { class: "facts" }, facts.filter(([, text]) => text).map(([name, text]) => [h("dt", {}, name),
    h("dd", {}, text)])),
    !about && h("p", { role: "status" }, "Looking at the counts ..."),
    about?.problems.map((text) => h("p", { class: "wrong" }, text)), about?.notes.length > 0 && h("ul", { class: "notes" },
      about.notes.map((text) => h("li", {}, text))),
    about?.mends.length > 0 && h("div", { class: "mends" }, h("p", { class: "label" }, "Can be mended here; the file stays as it is:"),
      h("div", { class: "row" }, about.mends.map((mend) =>
      h("button", { type: "button", onclick: guarded(() => openCells({ from: one.id, ...mend.body })) }, mend.title)))));
  put(found, list, about?.fittable && fitCard(one));
}

/** Cells that were open before the page was loaded. */
export function restoreData() {
  const real = [...store.cells.values()].filter((one) => one.kind === "real" && one.inspected !== undefined && one.id.startsWith("c"));
  const first = store.cells.get(store.session.start.cells) ?? real.at(-1);
  if (first) inspect(first);
}
