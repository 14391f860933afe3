// The cells on the map: a real set, and beside it one that a model made. Rows count through both.

import { binary, fail, get, on, settled, store } from "./api.js";

const listeners = [];
export const world = {
  frame: null, other: null, method: "pca", methods: [], note: null, n: 0, nReal: 0, xy: null, columns: new Map(), genes: new Map(),
  before: null, chosen: null, A: null, B: null,
};

export const onWorld = (call) => listeners.push(call);
const tell = (what) => listeners.forEach((call) => call(what));

/** Sets on the map, each with the row of its first cell. */
export const parts = () => [world.frame, world.other].filter(Boolean).map((set, at) => ({ set, first: at ? world.frame.n_shown : 0 }));

export const isReal = (set) => set?.kind === "real";

/** Cells that may be the ground of a map, and those that may lie beside them. */
export const realSets = () => [...store.cells.values()].filter((one) => isReal(one) && one.state === "ready");
export const madeSets = () => [...store.cells.values()].filter((one) => !isReal(one) && one.state === "ready");

/** Show a real set, and another one beside it; either may be `null`. */
export async function show({ frame = world.frame, other = world.other, before = null, method } = {}) {
  const ground = frame ?? other;
  if (!ground) return;
  const beside = other && other.id !== ground.id ? other : null;
  const asked = await get("map", { frame: ground.id });
  const ready = asked.methods.filter((one) => one.state === "ready").map((one) => one.name);
  const wanted = method ?? (world.wanted === "pca" ? "pca" : "umap");
  const used = ready.includes(wanted) ? wanted : (ready.includes(world.method) && world.method) || ready[0];
  const places = await Promise.all([ground, beside].filter(Boolean).map((set) =>
    binary("map/points", { frame: ground.id, cells: set.id, method: used })));
  const same = world.frame?.id === ground.id && world.other?.id === beside?.id;
  Object.assign(world, {
    frame: ground, other: beside, methods: asked.methods, method: used, note: asked.note, before: before ?? (same ? world.before : null),
    xy: joined(places, Float32Array), nReal: isReal(ground) ? ground.n_shown : 0, n: ground.n_shown + (beside?.n_shown ?? 0),
  });
  if (!same) Object.assign(world, { columns: new Map(), genes: new Map(), chosen: null, A: null, B: null });
  tell("cells");
}

/** The wanted method is drawn once it is ready. */
on("map", ({ frame, methods }) => {
  if (world.frame?.id !== frame) return;
  const had = world.methods.find((one) => one.name === "umap")?.state;
  world.methods = methods;
  const now = methods.find((one) => one.name === "umap")?.state;
  if (now === "ready" && had !== "ready" && world.wanted !== "pca") show({ method: "umap" }).catch(() => tell("methods"));
  else tell("methods");
});

function joined(lists, Kind) {
  const out = new Kind(lists.reduce((n, one) => n + one.length, 0));
  let at = 0;
  for (const one of lists) {
    out.set(one, at);
    at += one.length;
  }
  return out;
}

/** Names of columns that either set has. */
export const columnNames = () => [...new Set(parts().flatMap(({ set }) => set.obs.map((one) => one.name)))].filter((one) => one !== "source");

/** One column through both sets: `{kind: "labels", labels, codes}` or `{kind: "numbers", values}`. */
export async function column(name) {
  if (!world.columns.has(name)) world.columns.set(name, readColumn(name));
  return world.columns.get(name);
}

async function readColumn(name) {
  const facts = parts().map(({ set }) => ({ set, about: set.obs.find((one) => one.name === name) }));
  const kind = facts.find((one) => one.about).about.kind;
  const Kind = kind === "labels" ? Int32Array : Float32Array;
  const lists = await Promise.all(facts.map(({ set, about }) =>
    about?.kind === kind ? binary(`cells/${set.id}/column`, { name }, Kind) : new Kind(set.n_shown).fill(kind === "labels" ? -1 : NaN)));
  if (kind === "numbers") return { name, kind, values: joined(lists, Kind) };
  const labels = [...new Set(facts.flatMap(({ about }) => (about?.kind === kind ? about.labels : [])))];
  const recoded = lists.map((codes, at) => {
    const to = (facts[at].about?.labels ?? []).map((one) => labels.indexOf(one));
    return codes.map((code) => (code < 0 ? -1 : to[code]));
  });
  return { name, kind, labels, codes: joined(recoded, Kind) };
}

/** Expression of one gene through both sets. */
export async function gene(name, scale) {
  const key = `${scale}:${name}`;
  if (!world.genes.has(key)) {
    const lists = Promise.all(parts().map(({ set }) => binary(`cells/${set.id}/gene`, { name, scale })));
    world.genes.set(key, lists.then((all) => joined(all, Float32Array)));
    lists.catch(() => world.genes.delete(key));
  }
  return world.genes.get(key);
}

/** Where cells come from, as a column. */
export function sourceColumn() {
  const made = (world.other ?? world.frame)?.kind;
  const labels = ["real", made === "real" ? "held out" : made];
  return { name: "source", kind: "labels", labels, codes: Int32Array.from({ length: world.n }, (_, row) => Number(row >= world.nReal)) };
}

/** Select cells, one byte each; `null` for none. */
export function choose(chosen) {
  world.chosen = chosen;
  tell("chosen");
}

/** A selection in the words of the server: one for each set that has cells in it. */
export function selections(chosen) {
  return parts().map(({ set, first }) => ({
    cells: set.id, indices: Array.from({ length: set.n_shown }, (_, at) => at).filter((at) => chosen[first + at]),
  })).filter((one) => one.indices.length);
}

/** How many cells of a selection are real, and how many are not. */
export function countChosen(chosen) {
  let real = 0, made = 0;
  for (let row = 0; row < chosen.length; row++) if (chosen[row]) row < world.nReal ? real++ : made++;
  return { real, made };
}

/** Follow what the server says of a set, such as its state. */
on("cells", (one) => {
  if (one.state === "removed") {
    store.cells.delete(one.id);
    if (world.other?.id === one.id) show({ other: null }).catch(fail);
    return;
  }
  for (const name of ["frame", "other"]) if (world[name]?.id === one.id) world[name] = one;
});

/** Show the newest set of a job beside the real cells. */
export async function showMade(id, extra = {}) {
  const other = await settled("cells", id);
  const model = store.models.get(other.origin?.model);
  const home = store.cells.get(model?.cells);
  if (matchMedia("(max-width: 900px)").matches) document.querySelector("#map").scrollIntoView({ behavior: "smooth" });
  await show({ frame: (isReal(world.frame) && world.frame) || home || realSets()[0] || null, other, ...extra });
}
