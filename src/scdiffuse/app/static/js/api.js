// The server: requests, what it has (cells, models, jobs), and news of it. All addresses are relative: the page may
// live beneath the path of a proxy.

import { $, announce, h, put } from "./dom.js";

export const store = { session: null, cells: new Map(), models: new Map(), jobs: new Map() };
const listeners = new Map();
let heard = 0, since = 0;

/** Call `call(one)` when something of a kind changes: "cells", "model", "job", "map" or "session"; returns how to stop. */
export function on(kind, call) {
  listeners.set(kind, [...(listeners.get(kind) ?? []), call]);
  return () => listeners.set(kind, listeners.get(kind).filter((one) => one !== call));
}

const tell = (kind, one) => (listeners.get(kind) ?? []).forEach((call) => call(one));

async function answer(response) {
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try {
    text = (await response.json()).error ?? text;
  } catch { /* no JSON: the status says it */ }
  throw Object.assign(new Error(text), { status: response.status });
}

const query = (path, asked) => (asked ? `${path}?${new URLSearchParams(asked)}` : path);

export const get = async (path, asked) => (await answer(await fetch(query(`api/${path}`, asked)))).json();

export const post = async (path, body = {}) =>
  (await answer(await fetch(`api/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }))).json();

export const remove = async (path) => answer(await fetch(`api/${path}`, { method: "DELETE" }));

export const binary = async (path, asked, kind = Float32Array) => new kind(await (await answer(await fetch(query(`api/${path}`,
  asked)))).arrayBuffer());

/** Send a file; `progress` hears the share that went. */
export function upload(file, { folder, progress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", query("api/upload", folder ? { name: file.name, folder } : { name: file.name }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new Error("The file did not arrive. Choose it in a folder of the server instead."));
    request.onload = () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch { /* said below */ }
      if (request.status < 400) resolve(body);
      else reject(new Error(body.error ?? `The server answered ${request.status}.`));
    };
    request.send(file);
  });
}

/** Show what went wrong until it is closed. */
export function fail(error) {
  const box = $("#problem");
  put(box, h("span", {}, error.message ?? String(error)), h("button", { type: "button", class: "quiet", onclick: () => (box.hidden = true) },
    "Close"));
  box.hidden = false;
}

/** A handler that shows its error and, while it works, disables the button that was clicked. */
export const guarded = (call) => async (event) => {
  const button = event?.currentTarget;
  if (button?.tagName === "BUTTON") button.disabled = true;
  $("#problem").hidden = true;
  try {
    return await call(event);
  } catch (error) {
    fail(error);
  } finally {
    if (button?.tagName === "BUTTON") button.disabled = false;
  }
};

const KINDS = { cells: "cells", model: "models", job: "jobs" };

function take(kind, one) {
  if (KINDS[kind]) store[KINDS[kind]].set(one.id, one);
  tell(kind, one);
}

/** Read all that the server has, then listen. */
export async function connect() {
  store.session = await get("session");
  for (const [kind, name] of Object.entries(KINDS)) for (const one of store.session[name]) store[name].set(one.id, one), tell(kind, one);
  since = store.session.now ?? 0;
  tell("session", store.session);
  const events = new EventSource("api/events");
  for (const kind of ["job", "cells", "model", "map"]) {
    events.addEventListener(kind, (event) => {
      heard = Date.now();
      take(kind, JSON.parse(event.data));
    });
  }
  setInterval(() => waiting() && Date.now() - heard > 2500 && poll(), 1500);
}

export const isActive = (job) => job.state === "queued" || job.state === "running";
const waiting = () => [...store.jobs.values()].some(isActive)
  || [...store.cells.values()].some((one) => one.state === "reading" || one.inspected === false)
  || [...store.models.values()].some((one) => one.state === "reading");

/** Where a proxy holds events back, ask. */
async function poll() {
  try {
    const news = await get("changes", { since });
    since = news.now;
    for (const [kind, name] of [["job", "jobs"], ["cells", "cells"], ["model", "models"], ["map", "maps"]]) {
      for (const one of news[name]) if (kind === "map" || JSON.stringify(store[name].get(one.id)) !== JSON.stringify(one)) take(kind, one);
    }
  } catch (error) {
    if (error.status) fail(error);
  }
}

/** Wait until something is ready: cells, models and jobs by their id. */
export function settled(kind, id) {
  return new Promise((resolve, reject) => {
    const look = (one) => {
      if (one?.id !== id) return;
      if (one.state === "ready" || one.state === "done") resolve(one);
      else if (["failed", "cancelled", "interrupted"].includes(one.state)) reject(new Error(one.error ?? `It was ${one.state}.`));
      else return;
      stop();
    };
    const stop = on(kind, look);
    look(store[KINDS[kind]].get(id));
  });
}

/** Start a job, and wait for its result. */
export async function runJob(body, { onstart = () => {} } = {}) {
  const job = await post("jobs", body);
  if (!store.jobs.has(job.id)) take("job", job);
  onstart(job);
  const done = await settled("job", job.id);
  announce(`${done.title}: done.`);
  return done;
}

/** Open cells or a model, and wait until they are read. */
export async function open(kind, body) {
  const one = await post(KINDS[kind], body);
  if (!store[KINDS[kind]].has(one.id)) take(kind, one);
  return settled(kind, one.id);
}
