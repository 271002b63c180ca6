// The pictures of one series: fetched from the box, nearest first, and kept.

import { AGAIN_MS, bytes, isFinal, json } from "./box.js";
import { words } from "./words.js";

// Requests at the same time; the box decodes two.
const AT_ONCE = 4;
// What a tablet can keep. Pictures that are furthest from the one that is looked at go first.
const MOST_BYTES = 512 * 2 ** 20;

const KINDS = {
  hounsfield: (buffer) => new Int16Array(buffer),
  grey: (buffer) => new Uint8Array(buffer),
  colour: (buffer) => new Uint8Array(buffer),
};

export class Stack {
  #kept = new Map();
  // Pictures that were here, also those that made room since.
  #had = new Set();
  #failed = new Map();
  // Pictures that could not be had for now, and why: they are asked for again, after the others.
  #later = new Map();
  #pause = null;
  #asked = new Map();
  #at = 0;
  #changed;
  #closed = false;

  static async open(series, changed) {
    return new Stack(await json(`/reading/series/${series}/stack`), changed);
  }

  constructor(listed, changed) {
    this.#changed = changed;
    this.pixels = listed.pixels;
    this.pictures = listed.pictures;
    this.orientation = listed.orientation;
    this.spacing = listed.spacing_mm;
    this.gap = this.#spaces();
  }

  get length() {
    return this.pictures.length;
  }

  get loaded() {
    return this.#kept.size;
  }

  get isComplete() {
    return this.#kept.size === this.length;
  }

  pixelsOf(index) {
    return this.#kept.get(index);
  }

  // Why a picture cannot be shown.
  failure(index) {
    return this.#failed.get(index) ?? this.#later.get(index);
  }

  // Was its picture here, to be looked at?
  had(index) {
    return this.#had.has(index);
  }

  // Number of the picture of a place: by where it is in the body (mm, LPS), by its image and frame, or as it is; null where none is.
  indexOf({ centre, picture, slice }) {
    const at = centre && this.locate(centre)?.index;
    if (at != null) return at;
    if (!picture) return slice ?? null;
    const index = this.pictures.findIndex((one) => one.sop_instance_uid === picture.uid && (!one.is_frame || one.frame === picture.frame));
    return index < 0 ? null : index;
  }

  // The picture that is looked at: it and its neighbours come first.
  look(index) {
    this.#at = index;
    this.#fetch();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#pause);
    for (const stop of this.#asked.values()) stop.abort();
  }

  // Do the slices make a volume that can be cut otherwise?
  get isVolume() {
    const { rows, columns } = this.pictures[0] ?? {};
    const same = this.pictures.every((picture) => picture.rows === rows && picture.columns === columns);
    return this.pixels === "hounsfield" && same && this.spacing !== null && this.gap !== null && this.length > 2;
  }

  // Number of the slice closest to a place (mm, LPS), and column and row there.
  locate(place) {
    if (!this.orientation || this.pictures.some((picture) => !picture.position_mm)) return null;
    const [across, down] = [this.orientation.slice(0, 3), this.orientation.slice(3)];
    const normal = cross(across, down);
    const off = this.pictures.map((picture) => Math.abs(dot(normal, minus(place, picture.position_mm))));
    const index = off.indexOf(Math.min(...off));
    const from = minus(place, this.pictures[index].position_mm);
    const [rowSpacing, columnSpacing] = this.spacing ?? [1, 1];
    return { index, column: dot(across, from) / columnSpacing, row: dot(down, from) / rowSpacing };
  }

  // Millimetres between slices when they are equally far from each other; else null.
  #spaces() {
    const at = this.pictures.map((picture) => picture.position_mm);
    if (!this.orientation || at.length < 2 || at.some((position) => !position)) return null;
    const normal = cross(this.orientation.slice(0, 3), this.orientation.slice(3));
    const gaps = at.slice(1).map((position, index) => Math.abs(dot(normal, minus(position, at[index]))));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    return mean > 0.01 && gaps.every((gap) => Math.abs(gap - mean) < 0.1 * mean) ? mean : null;
  }

  #next() {
    const due = (index) => index >= 0 && index < this.length && !this.#kept.has(index) && !this.#asked.has(index) && !this.#failed.has(index);
    let later = null;
    for (let away = 0; away < this.length; away += 1) {
      for (const index of away ? [this.#at + away, this.#at - away] : [this.#at]) {
        if (!due(index)) continue;
        if (index === this.#at || !this.#later.has(index)) return index;
        later ??= index;
      }
    }
    return later;
  }

  #fetch() {
    while (!this.#closed && this.#pause === null && this.#asked.size < AT_ONCE) {
      const index = this.#next();
      if (index === null || !this.#room(index)) return;
      this.#one(index);
    }
  }

  #bytesOf({ rows, columns }) {
    return rows * columns * { hounsfield: 2, grey: 1, colour: 3 }[this.pixels];
  }

  // Whether there is room for this picture, if need be in place of one that is further away.
  #room(index) {
    const each = this.#bytesOf(this.pictures[index]);
    if ((this.#kept.size + this.#asked.size + 1) * each <= MOST_BYTES) return true;
    const away = (other) => Math.abs(other - this.#at);
    const furthest = [...this.#kept.keys()].reduce((a, b) => (away(a) >= away(b) ? a : b), this.#at);
    if (away(furthest) <= away(index)) return false;
    this.#kept.delete(furthest);
    return true;
  }

  async #one(index) {
    const stop = new AbortController();
    this.#asked.set(index, stop);
    const { instance, frame, is_result: isKey } = this.pictures[index];
    const path = isKey ? `/reading/key/${instance}/${this.pixels === "colour" ? 3 : 1}` : `/reading/picture/${instance}/${frame}`;
    try {
      const buffer = await bytes(path, stop.signal);
      if (buffer.byteLength !== this.#bytesOf(this.pictures[index])) throw Object.assign(new Error(words.viewer.otherSize), { isFinal: true });
      this.#had.add(index);
      this.#kept.set(index, KINDS[this.pixels](buffer));
      this.#later.delete(index);
    } catch (error) {
      if (isFinal(error)) this.#failed.set(index, error.message);
      else this.#again(index, error);
    }
    this.#asked.delete(index);
    if (this.#closed) return;
    this.#changed(index);
    this.#fetch();
  }

  // Nothing is asked for during a pause.
  #again(index, error) {
    this.#later.set(index, words.pages.askedAgain(error.message));
    if (this.#closed) return;
    this.#pause ??= setTimeout(() => {
      this.#pause = null;
      this.#fetch();
    }, AGAIN_MS);
  }
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
