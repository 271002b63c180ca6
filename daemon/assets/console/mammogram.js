// One mammogram: its values as the box gives them, turned as it hangs, in several sizes, and their greys.

import { bytes } from "./box.js";
import { words } from "./words.js";

// Stored pixels a side of the small picture that is fetched first, at most.
const SMALL = 1300;
const LEVELS = 5;
// Greys between the darkest pixels and the darkest quarter; with more of them that quarter is not only air.
const UNEVEN = 12;

// Stored pixels that become one, so that a picture of this size is small.
export const smallFactor = ({ rows, columns }) => Math.min(16, Math.max(1, Math.ceil(Math.max(rows, columns) / SMALL)));

// `fallback`: the turn of a picture whose header does not say how it lies, by its pixels. `other`: the same picture in another size, where it
// is here by then.
export async function fetched(image, frame, factor, fallback, other, signal) {
  const buffer = await bytes(`/reading/mammogram/${image.instance}/${frame}/${factor}`, signal);
  const length = new DataView(buffer).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  // A typed array must begin at an even byte.
  const values = new Uint16Array(buffer.slice(4 + length));
  if (values.length !== told.rows * told.columns) throw Object.assign(new Error(words.viewer.otherSize), { isFinal: true });
  return new Mammogram(image, frame, told, values, fallback, other());
}

export class Mammogram {
  #levels;
  #table = { of: "", greys: null };

  constructor(image, frame, told, values, fallback, other) {
    Object.assign(this, { image, frame, told });
    this.isPlacedByHeader = told.turn !== null;
    // Judged once: another size of a picture is never mirrored or cut otherwise.
    this.judged = other?.judged ?? tissue(told, values);
    const { extent, wall } = this.judged;
    this.wall = wall;
    this.turn = told.turn ?? fallback(wall);
    const first = oriented(values, told, this.turn);
    this.#levels = [{ ...first, pixel: told.factor }];
    while (this.#levels.length < LEVELS && Math.min(first.width, first.height) >> this.#levels.length > 32) {
      this.#levels.push(half(this.#levels.at(-1)));
    }
    // Stored pixels across and down, as it hangs.
    const { rows, columns } = image;
    this.size = this.turn.transposed ? [rows, columns] : [columns, rows];
    // Of what is not air.
    this.extent = this.hungBox(extent);
  }

  get mm() {
    return this.told.mm;
  }

  get factor() {
    return this.told.factor;
  }

  // The coarsest picture whose pixels are no larger than those of the screen, at so many of the screen for a stored one.
  level(scale) {
    return this.#levels.findLast(({ pixel }) => pixel * scale <= 1) ?? this.#levels[0];
  }

  // A point of the stored picture (pixels, 0 at its corner) as it hangs.
  hung([x, y]) {
    const { transposed, mirrored, upended } = this.turn;
    const [across, down] = transposed ? [y, x] : [x, y];
    return [mirrored ? this.size[0] - across : across, upended ? this.size[1] - down : down];
  }

  // Left, top, right, bottom of a box of the stored picture, as it hangs.
  hungBox(box) {
    const corners = [this.hung(box.slice(0, 2)), this.hung(box.slice(2))];
    return [Math.min, Math.min, Math.max, Math.max].map((of, i) => of(corners[0][i % 2], corners[1][i % 2]));
  }

  // The window that a person has chosen, as the scanner's is called: centre and width.
  window({ shift, stretch, which }) {
    const [scale, offset] = this.told.named;
    const [centre, width] = this.#curve(which).window;
    return [(centre + shift * width) * scale + offset, width * stretch * Math.abs(scale)];
  }

  // Of each value a grey for a canvas. `shift` in widths of the window, `stretch` in times.
  greys({ shift, stretch, inverted, which }) {
    const of = [shift, stretch, inverted, which].join();
    if (this.#table.of !== of) this.#table = { of, greys: table(this.#curve(which), shift, stretch, inverted) };
    return this.#table.greys;
  }

  // Of the tables and windows of its file; the first where it has no other.
  #curve(which) {
    return this.told.looks[which] ?? this.told;
  }
}

function table({ window: [centre, width], ends: [from, to], greys }, shift, stretch, inverted) {
  const made = new Uint32Array(65536);
  const last = greys.length - 1;
  const per = last / (to - from);
  for (let value = 0; value < made.length; value += 1) {
    // The curve is moved and stretched; its shape stays that of the scanner.
    const at = Math.max(0, Math.min(last, (centre + (value - centre - shift * width) / stretch - from) * per));
    const low = Math.floor(at);
    const grey = greys[low] + ((greys[low + 1] ?? greys[low]) - greys[low]) * (at - low);
    const byte = Math.round(255 * (inverted ? 1 - grey : grey));
    made[value] = 0xff000000 | (byte << 16) | (byte << 8) | byte;
  }
  return made;
}

function oriented(values, { rows, columns }, { transposed, mirrored, upended }) {
  const [width, height] = transposed ? [rows, columns] : [columns, rows];
  if (!transposed && !mirrored && !upended) return { values, width, height };
  const out = new Uint16Array(values.length);
  for (let y = 0; y < height; y += 1) {
    const from = upended ? height - 1 - y : y;
    for (let x = 0; x < width; x += 1) {
      const across = mirrored ? width - 1 - x : x;
      out[y * width + x] = transposed ? values[across * columns + from] : values[from * columns + across];
    }
  }
  return { values: out, width, height };
}

// Means of two by two; what is left over at an edge is the mean of what there is.
function half({ values, width, height, pixel }) {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const out = new Uint16Array(w * h);
  for (let y = 0; y < h; y += 1) {
    const above = 2 * y * width;
    const below = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x += 1) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      out[y * w + x] = (values[above + left] + values[above + right] + values[below + left] + values[below + right] + 2) >> 2;
    }
  }
  return { values: out, width: w, height: h, pixel: 2 * pixel };
}

// Where the breast lies in the stored picture: left, top, right, bottom (stored pixels; all of it where that is not clear), and at which side
// it is cut off ("left", "right", or null where that is not clear).
function tissue(told, values) {
  const { rows, columns, factor } = told;
  const greys = table(told, 0, 1, false);
  const step = Math.max(1, Math.floor(Math.max(rows, columns) / 256));
  const [width, height] = [Math.floor(columns / step), Math.floor(rows / step)];
  const seen = new Uint8Array(width * height);
  const histogram = new Uint32Array(256);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const grey = greys[values[y * step * columns + x * step]] & 255;
      seen[y * width + x] = grey;
      histogram[grey] += 1;
    }
  }
  // Air is what most of the darkest quarter is.
  const air = above(histogram, seen.length / 4);
  const isAir = air - above(histogram, seen.length / 50) <= UNEVEN;
  const is = largest(seen, width, height, air + 12);
  const across = new Uint32Array(width);
  const down = new Uint32Array(height);
  for (let i = 0; i < is.length; i += 1) if (is[i]) { across[i % width] += 1; down[Math.floor(i / width)] += 1; }
  const found = [across.findIndex(Boolean), down.findIndex(Boolean), across.findLastIndex(Boolean) + 1, down.findLastIndex(Boolean) + 1];
  const all = { extent: [0, 0, columns * factor, rows * factor], wall: null };
  const wide = found[2] - found[0];
  if (found[0] < 0 || wide * (found[3] - found[1]) < 0.04 * seen.length) return all;
  // At the chest wall the breast is high, at the nipple it is not.
  const band = Math.max(2, Math.round(wide / 8));
  const sum = (counts) => counts.reduce((total, count) => total + count, 0);
  const [left, right] = [sum(across.subarray(found[0], found[0] + band)), sum(across.subarray(found[2] - band, found[2]))];
  const margin = 0.03 * columns * factor;
  const per = step * factor;
  const part = [Math.max(0, found[0] * per - margin), Math.max(0, found[1] * per - margin),
    Math.min(columns * factor, found[2] * per + margin), Math.min(rows * factor, found[3] * per + margin)];
  // Where the darkest quarter is not only air, or with something at three borders, a part of the breast may count as air: nothing is cut off then.
  const borders = [found[0] === 0, found[1] === 0, found[2] === width, found[3] === height].filter(Boolean).length;
  const extent = isAir && borders < 3 ? part : all.extent;
  return { extent, wall: left > 1.25 * right ? "left" : right > 1.25 * left ? "right" : null };
}

// The first grey that is above so many of the pixels.
function above(histogram, count) {
  let grey = 0;
  for (let sum = 0; sum < count; grey += 1) sum += histogram[grey];
  return grey;
}

// The largest connected part that is brighter: labels, clips and scratches are others.
function largest(seen, width, height, least) {
  const part = new Uint16Array(seen.length);
  let [best, most, count] = [0, 0, 0];
  for (let start = 0; start < seen.length; start += 1) {
    if (part[start] || seen[start] <= least || count === 65535) continue;
    count += 1;
    part[start] = count;
    const open = [start];
    let size = 0;
    while (open.length) {
      const at = open.pop();
      size += 1;
      const x = at % width;
      for (const next of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (next >= 0 && next < seen.length && !part[next] && seen[next] > least) {
          part[next] = count;
          open.push(next);
        }
      }
    }
    if (size > most) [best, most] = [count, size];
  }
  return part.map((of) => (of === best && best > 0 ? 1 : 0));
}
