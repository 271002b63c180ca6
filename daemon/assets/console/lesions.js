// The list: number, size, score between benign and malignant, words. Entries stay in place while their numbers change.

import { kind } from "./overlay.js";
import { words } from "./words.js";

function part(name, classes, parent) {
  const element = document.createElement(name);
  element.className = classes;
  parent.append(element);
  return element;
}

class Entry {
  constructor(lesion) {
    this.root = document.createElement("li");
    const first = part("div", "first", this.root);
    part("span", "number", first).textContent = words.live.number(lesion.id);
    this.size = part("span", "size", first);
    this.where = part("span", "where", this.root);
    this.scale = part("div", "scale", this.root);
    this.scale.setAttribute("role", "meter");
    this.scale.setAttribute("aria-label", words.live.scale(lesion.id));
    this.needle = part("div", "needle", this.scale);
    const ends = part("div", "ends", this.root);
    part("span", "", ends).textContent = words.live.benign;
    this.score = part("span", "", ends);
    part("span", "", ends).textContent = words.live.malignant;
    this.words = part("p", "words", this.root);
  }

  show(lesion) {
    const percent = Math.round(lesion.malignant * 100);
    this.root.className = kind(lesion);
    this.needle.style.left = `${percent}%`;
    this.scale.setAttribute("aria-valuenow", percent);
    this.score.textContent = words.live.score(lesion.malignant.toFixed(2));
    this.size.textContent = lesion.size_mm ? lesion.size_mm.map((mm) => mm.toFixed(1)).join(" × ") + " mm" : words.live.noScale;
    this.words.textContent = [...lesion.descriptors.map((one) => words.edit.choices[one] ?? one), words.live.confidence(lesion.confidence.toFixed(2))].join(words.pages.comma);
  }
}

export class LesionList {
  #root;
  #none;
  #count;
  #where;
  #entries = new Map();
  #shown;

  // `where`: what is known of the place of a lesion, in words.
  constructor(root, none, count, where) {
    this.#where = where;
    this.#root = root;
    this.#none = none;
    this.#count = count;
  }

  // Somebody has said where a lesion is.
  placed() {
    for (const [id, entry] of this.#entries) entry.where.textContent = this.#where(id);
  }

  // Null when no overlay is shown, which is not the same as nothing found.
  show(overlay) {
    if (this.#shown === overlay) return;
    this.#shown = overlay;
    const lesions = overlay ?? [];
    this.#none.textContent = overlay ? words.live.none : words.live.noOverlay;
    for (const [id, entry] of this.#entries) {
      if (!lesions.some((lesion) => lesion.id === id)) {
        entry.root.remove();
        this.#entries.delete(id);
      }
    }
    for (const lesion of [...lesions].sort((a, b) => a.id - b.id)) {
      let entry = this.#entries.get(lesion.id);
      if (!entry) {
        entry = new Entry(lesion);
        entry.where.textContent = this.#where(lesion.id);
        this.#entries.set(lesion.id, entry);
        const after = [...this.#entries.keys()].filter((id) => id > lesion.id).sort((a, b) => a - b)[0];
        this.#root.insertBefore(entry.root, after === undefined ? null : this.#entries.get(after).root);
      }
      entry.show(lesion);
    }
    this.#none.hidden = lesions.length > 0;
    this.#count.textContent = lesions.length ? `(${lesions.length})` : "";
  }
}
