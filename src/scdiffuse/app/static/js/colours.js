// Colours of labels and of numbers: the report's palette first, scanpy's longer ones where there are more labels.

import { css } from "./dom.js";

const FEW = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#332288", "#999933"];
const FEW_ON_DARK = ["#4DA6E0", "#F0803C", "#2FC79A", "#E39AC4", "#8FD0F5", "#F2BC4B", "#9C8CEB", "#C6C65A"];
// default_20 of scanpy (vega 20, grey replaced), without its two faintest tones on either ground.
const MANY = [
  "#1f77b4", "#ff7f0e", "#279e68", "#d62728", "#aa40fc", "#8c564b", "#e377c2", "#b5bd61", "#17becf", "#7aa5e0",
  "#e0a25c", "#6cc96c", "#f27d7a", "#b493cc", "#a9806f", "#e08cc0", "#9fae3a", "#5fb8c9", "#ad494a", "#8c6d31",
];
// Viridis at nine places; on a dark ground from its middle to its bright end reads as well as on white.
const RAMP = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const ZERO = { light: "#dde2e8", dark: "#35404c" };

export const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark"
  || (getComputedStyle(document.documentElement).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);

/** Red, green and blue of `#rrggbb`. */
export const bytes = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Colours of `n` labels; beyond twenty they are spread around the wheel. */
export function labelColours(n) {
  if (n <= FEW.length) return isDark() ? FEW_ON_DARK : FEW;
  if (n <= MANY.length) return MANY;
  return Array.from({ length: n }, (_, at) => wheel((at * 0.61803) % 1, at % 3));
}

function wheel(hue, tone) {
  const light = [0.45, 0.58, 0.7][tone];
  const part = (shift) => {
    const k = (shift + hue * 12) % 12;
    return Math.round(255 * (light - 0.5 * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return `#${[0, 8, 4].map((shift) => part(shift).toString(16).padStart(2, "0")).join("")}`;
}

/** Colour of a share from 0 to 1. */
function rampColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  const [x, y] = [bytes(RAMP[low]), bytes(RAMP[low + 1])];
  return x.map((one, channel) => Math.round(one + (y[channel] - one) * (at - low)));
}

const TABLE = Array.from({ length: 256 }, (_, at) => rampColour(at / 255));
export const RAMP_STEPS = RAMP;
const zeroColour = () => ZERO[isDark() ? "dark" : "light"];
export const sourceColours = () => (isDark() ? ["#75818d", "#4DA6E0"] : ["#9aa3ad", "#0072B2"]);
const missingColour = () => css("--edge");

/** Paint labels: codes of each cell (-1 is none), four bytes a cell. */
export function paintLabels(codes, colours) {
  const out = new Uint8Array(codes.length * 4);
  const known = [...colours.map(bytes), bytes(missingColour())];
  for (let at = 0; at < codes.length; at++) {
    const [r, g, b] = known[codes[at] < 0 ? known.length - 1 : codes[at] % colours.length];
    out.set([r, g, b, 255], 4 * at);
  }
  return out;
}

/** Paint numbers from `low` to `high`; NaN has none. Zeros of counts are grey where `zeros`. */
export function paintNumbers(values, low, high, { zeros = false } = {}) {
  const out = new Uint8Array(values.length * 4);
  const span = high > low ? 255 / (high - low) : 0;
  const [none, zero] = [bytes(missingColour()), bytes(zeroColour())];
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    const colour = Number.isNaN(value) ? none : zeros && value === 0 ? zero
      : TABLE[Math.min(255, Math.max(0, Math.round((value - low) * span)))];
    out[4 * at] = colour[0];
    out[4 * at + 1] = colour[1];
    out[4 * at + 2] = colour[2];
    out[4 * at + 3] = 255;
  }
  return out;
}

/** The highest value that is shown apart: the 99.5th percentile of those above zero. */
export function ceiling(values) {
  const above = Float32Array.from(values.filter((one) => one > 0)).sort();
  return above.length ? above[Math.min(above.length - 1, Math.floor(above.length * 0.995))] : 1;
}
