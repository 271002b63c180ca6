// What was outlined by the box: segments of a segmentation, over the pictures that they belong to.

import { bytes, json } from "./box.js";
import { PLANES } from "./planes.js";

export class Segments {
  // Per segment number: runs of each picture of the stack.
  #runs = new Map();
  #visible = new Set();
  #result;
  #columns;

  static async open(result, stack) {
    return new Segments(result, await json(`/reading/result/${result}/segments`), stack);
  }

  constructor(result, listed, stack) {
    this.#result = result;
    this.#columns = listed.columns;
    const place = new Map(stack.pictures.map((picture, index) => [key(picture.sop_instance_uid, picture.is_frame ? picture.frame : 0), index]));
    this.all = listed.segments.map(({ number, label, colour, is_anatomy: isAnatomy, frames }) => {
      const at = frames.map(([uid, frame]) => place.get(key(uid, frame)) ?? place.get(key(uid, 0)));
      const largest = frames.reduce((best, frame, index) => (frame[2] > (frames[best]?.[2] ?? -1) ? index : best), 0);
      return { number, label, colour, isAnatomy, at, key: at[largest] ?? null };
    });
  }

  isVisible(number) {
    return this.#visible.has(number);
  }

  async show(number, on) {
    if (on) this.#visible.add(number);
    else this.#visible.delete(number);
    if (on && !this.#runs.has(number)) await this.#load(number);
  }

  async #load(number) {
    const { at } = this.all.find((segment) => segment.number === number);
    const values = new Uint32Array(await bytes(`/reading/result/${this.#result}/segment/${number}`));
    const runs = new Map();
    let read = 0;
    for (const index of at) {
      const end = read + 1 + 2 * values[read];
      if (index !== undefined) runs.set(index, values.subarray(read + 1, end));
      read = end;
    }
    this.#runs.set(number, runs);
  }

  // Colour and mask (one byte per pixel) of each visible segment that has pixels in this plane; all of them lie between `from` and `to`.
  masks(stack, plane, index) {
    const { size } = PLANES[plane](stack, index);
    const found = [];
    for (const { number, colour } of this.all) {
      const runs = this.#visible.has(number) && this.#runs.get(number);
      if (!runs || (plane === "slices" && !runs.has(index))) continue;
      const mask = new Uint8Array(size[0] * size[1]);
      const [from, to] = this.#paint(mask, size[0], runs, plane, index);
      if (from < to) found.push({ colour, mask, from, to });
    }
    return found;
  }

  #paint(mask, width, runs, plane, index) {
    const columns = this.#columns;
    let [from, to] = [mask.length, 0];
    for (const [slice, values] of plane === "slices" ? [[index, runs.get(index)]] : runs) {
      for (let i = 0; i < values.length; i += 2) {
        const [first, length] = [values[i], values[i + 1]];
        const row = Math.floor(first / columns);
        const column = first - row * columns;
        let [start, end] = [first, first + length];
        if (plane === "coronal" && row === index) [start, end] = [slice * width + column, slice * width + column + length];
        else if (plane === "sagittal" && column <= index && index < column + length) [start, end] = [slice * width + row, slice * width + row + 1];
        else if (plane !== "slices") continue;
        mask.fill(1, start, end);
        [from, to] = [Math.min(from, start), Math.max(to, end)];
      }
    }
    return [from, to];
  }
}

// Of several segmentations: pictures of each size have one of their own. Numbers are of the segmentation, so they are told apart.
export class Together {
  #parts;

  static async open(results, stack) {
    const parts = await Promise.all(results.map((result) => Segments.open(result, stack)));
    return parts.length > 1 ? new Together(parts) : parts[0] ?? null;
  }

  constructor(parts) {
    this.#parts = parts;
    this.all = parts.flatMap((part, index) => part.all.map((segment) => ({ ...segment, number: `${index} ${segment.number}` })));
  }

  #of(name) {
    const [index, number] = name.split(" ").map(Number);
    return [this.#parts[index], number];
  }

  isVisible(name) {
    const [part, number] = this.#of(name);
    return part.isVisible(number);
  }

  show(name, on) {
    const [part, number] = this.#of(name);
    return part.show(number, on);
  }

  masks(stack, plane, index) {
    return this.#parts.flatMap((part) => part.masks(stack, plane, index));
  }
}

const key = (uid, frame) => `${uid} ${frame}`;
