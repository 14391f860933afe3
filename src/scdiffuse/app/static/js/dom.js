// Elements, and what every part of the page does with them. Text goes in as text, never as markup.

/** Make an element: `h("p", {class: "soft", onclick: f}, "text", child)`. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Make an SVG element. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const $ = (selector, root = document) => root.querySelector(selector);

/** Replace what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return element;
}

/** Say something to screen readers, and show it for a moment where `shown`. */
export function announce(text, { shown = false } = {}) {
  $("#live").textContent = text;
  if (!shown) return;
  const toast = $("#toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => (toast.hidden = true), 4000);
}

/** One of several choices, as buttons side by side. */
export function segments(label, options, chosen, onchange) {
  const buttons = options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), "data-value": value, onclick: () => choose(value) }, text),
  );
  const choose = (value) => {
    buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.value === String(value))));
    onchange(value);
  };
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

let made = 0;
/** A control under its label, with a hint below. */
export function field(label, control, hint) {
  control.id ||= `field-${++made}`;
  const note = hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

/** A list to choose from; options are values or `[value, text]`. */
export function select(options, chosen, props = {}) {
  const list = options.map((one) => (Array.isArray(one) ? one : [one, one]));
  const element = h("select", props, list.map(([value, text]) => h("option", { value: String(value) }, String(text))));
  if (chosen !== undefined && chosen !== null) element.value = String(chosen);
  return element;
}

/** A table; cells are text or elements, and a click on a heading sorts where `sortable`. */
export function table(heads, rows, { caption, sortable = false } = {}) {
  const body = h("tbody");
  const write = (list) => put(body, list.map((row) => h("tr", {},
    row.map((one, at) => h(at ? "td" : "th", at ? {} : { scope: "row" }, cellText(one))))));
  let last = null;
  const sort = (at, head) => {
    const down = last === at ? -1 : 1;
    last = down === 1 ? at : null;
    const key = (row) => (row[at] instanceof Node ? row[at].textContent : row[at]);
    write([...rows].sort((x, y) => down * (typeof key(x) === "number" ? key(x) - key(y) : String(key(x)).localeCompare(String(key(y))))));
    head.parentNode.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
  };
  const line = h("tr", {}, heads.map((text, at) => {
    const head = h("th", { scope: "col" });
    head.append(sortable ? h("button", { type: "button", onclick: () => sort(at, head) }, text) : text);
    return head;
  }));
  write(rows);
  return h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": caption ?? "Table" },
    h("table", {}, caption && h("caption", { class: "unseen" }, caption), h("thead", {}, line), body));
}

const cellText = (one) => (typeof one === "number" ? number(one) : one ?? "\u2013");

const RAISED = Object.fromEntries([..."-0123456789"].map((one, at) => [one,
  "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[at]]));

/** A number as the report writes it: three significant figures, thousands apart. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) {
    const [head, power] = value.toExponential(1).split("e");
    return `${head}\u00d710${[...power].map((one) => RAISED[one] ?? "").join("")}`;
  }
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** Seconds in words. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Give the browser a file to save. */
export function download(name, data, type) {
  const url = URL.createObjectURL(data instanceof Blob ? data : new Blob([data], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Rows as a file of comma-separated values. */
export function csv(heads, rows) {
  const quote = (one) => (/[",\n]/.test(String(one ?? "")) ? `"${String(one).replaceAll('"', '""')}"` : String(one ?? ""));
  return [heads, ...rows].map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

/** The value of a colour of the page's style, such as `css("--ink")`. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
