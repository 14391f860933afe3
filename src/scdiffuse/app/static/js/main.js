// The page: its views by the address, its colours, and what was open before.

import { connect, fail, on, settled, store } from "./api.js";
import { $ } from "./dom.js";
import { buildCompare } from "./compare.js";
import { buildData, restoreData } from "./data.js";
import { readyModels } from "./forms.js";
import { buildGenerate } from "./generate.js";
import { buildSession } from "./session.js";
import { buildStage, repaint, theMap } from "./stage.js";
import { buildWhatIf } from "./whatif.js";
import { madeSets, realSets, show, world } from "./world.js";

const VIEWS = { data: "Data and model", generate: "Generate", whatif: "What if", session: "Session" };
let refreshSession = () => {};

function route() {
  const name = location.hash.slice(2) in VIEWS ? location.hash.slice(2) : "data";
  for (const one of Object.keys(VIEWS)) $(`#${one}`).hidden = one !== name;
  $("#bench").hidden = name !== "generate" && name !== "whatif";
  $("#changes").hidden = name !== "whatif" || !$("#changes").childElementCount;
  document.querySelectorAll(".top nav a").forEach((link) => {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  $("#title").textContent = VIEWS[name];
  document.title = `${VIEWS[name]} \u00b7 scdiffuse`;
  if (name === "session") refreshSession();
}

const THEMES = { system: ["\u25d0", "as the system"], light: ["\u2600", "light"], dark: ["\u263e", "dark"] };

function theme(next) {
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  $("#theme").textContent = THEMES[next][0];
  $("#theme").setAttribute("aria-label", `Colours: ${THEMES[next][1]}`);
  try {
    localStorage.setItem("scdiffuse-theme", next);
  } catch { /* a browser without storage forgets it */ }
  Promise.resolve(repaint()).catch(fail);
  return next;
}

function context() {
  const model = readyModels().at(-1);
  $("#context").textContent = [world.frame?.name, model && `model ${model.name}`].filter(Boolean).join(" \u00b7 ");
}

async function start() {
  let now = "system";
  try {
    now = localStorage.getItem("scdiffuse-theme") ?? now;
  } catch { /* a browser without storage has no choice kept */ }
  now = theme(now in THEMES ? now : "system");
  $("#theme").addEventListener("click", () => (now = theme(Object.keys(THEMES)[(Object.keys(THEMES).indexOf(now) + 1) % 3])));
  await connect();
  buildStage($("#map"));
  buildCompare($("#below"));
  buildData($("#data"));
  buildGenerate($("#generate"));
  buildWhatIf($("#whatif"));
  refreshSession = buildSession($("#session"));
  for (const kind of ["cells", "model"]) on(kind, context);
  addEventListener("hashchange", route);
  const begun = store.session.start;
  if (!location.hash && begun.model) location.hash = "#/generate";
  route();
  restoreData();
  if (begun.model) await settled("model", begun.model);
  const frame = store.cells.get(begun.cells) ?? realSets()[0] ?? null;
  if (begun.cells) await settled("cells", begun.cells);
  if (frame ?? madeSets()[0]) await show({ frame: store.cells.get(frame?.id) ?? null, other: madeSets().at(-1) ?? null });
  context();
  document.body.dataset.ready = "true";
}

// For the console and for measurements.
globalThis.scdiffuse = { store, world, map: theMap };
start().catch((error) => {
  fail(error);
  document.body.dataset.ready = "failed";
});
