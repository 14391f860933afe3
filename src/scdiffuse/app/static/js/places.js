// Where cells lie: the nearest one to a place, and those within a polygon.

const SIDE = 160;

export class Neighbours {
  /** Sort cells into squares of a grid once, so that a pointer finds its cell without reading all. */
  constructor(places) {
    this.places = places;
    const n = places.length / 2;
    this.first = new Uint32Array(SIDE * SIDE + 1);
    const square = new Uint32Array(n);
    for (let row = 0; row < n; row++) {
      square[row] = bin(places[2 * row]) * SIDE + bin(places[2 * row + 1]);
      this.first[square[row] + 1]++;
    }
    for (let at = 0; at < SIDE * SIDE; at++) this.first[at + 1] += this.first[at];
    this.rows = new Uint32Array(n);
    const next = this.first.slice();
    for (let row = 0; row < n; row++) this.rows[next[square[row]]++] = row;
  }

  /** The nearest cell for which `has` is set, at most `far` away along each axis, or -1. */
  find([x, y], [farX, farY], has) {
    let best = -1, least = 1;
    for (let across = bin(x - farX); across <= bin(x + farX); across++) {
      for (let at = this.first[across * SIDE + bin(y - farY)]; at < this.first[across * SIDE + bin(y + farY) + 1]; at++) {
        const row = this.rows[at];
        const distance = ((this.places[2 * row] - x) / farX) ** 2 + ((this.places[2 * row + 1] - y) / farY) ** 2;
        if (distance < least && has[row]) [best, least] = [row, distance];
      }
    }
    return best;
  }
}

const bin = (value) => Math.min(SIDE - 1, Math.max(0, Math.floor(((value + 1) / 2) * SIDE)));

/** Whether a place lies within a polygon. */
export function inside(polygon, x, y) {
  let within = false;
  for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
    const [x1, y1] = polygon[at], [x2, y2] = polygon[before];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
  }
  return within;
}

/** The median place of each label: where its name stands. */
export function middles(places, codes, rows, n) {
  const lists = Array.from({ length: n }, () => [[], []]);
  for (const row of rows) {
    if (codes[row] < 0) continue;
    lists[codes[row]][0].push(places[2 * row]);
    lists[codes[row]][1].push(places[2 * row + 1]);
  }
  const median = (list) => Float64Array.from(list).sort()[list.length >> 1];
  return lists.map(([x, y]) => (x.length ? [median(x), median(y)] : null));
}
