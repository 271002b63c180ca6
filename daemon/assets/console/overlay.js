// Lesions as vectors over the video; nothing is drawn into the picture.

const SVG = "http://www.w3.org/2000/svg";

// The class that gives colour and dashes; the score is in the list.
export const kind = (lesion) => (lesion.malignant >= 0.5 ? "high" : "low");

function make(name, attributes, classes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.setAttribute("class", classes);
  return element;
}

export class OverlayLayer {
  #svg;
  #drawn = null;

  constructor(svg) {
    this.#svg = svg;
  }

  draw(lesions, [width, height]) {
    if (this.#drawn === lesions) return;
    this.#drawn = lesions;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    // Readable at any size of the screen.
    const letters = Math.max(width, height) / 45;
    this.#svg.replaceChildren(...lesions.flatMap((lesion) => this.#shapes(lesion, letters, width)));
  }

  #shapes(lesion, letters, width) {
    const points = lesion.outline.map(([x, y]) => `${x},${y}`).join(" ");
    const [, top, right] = lesion.bounds;
    const text = make("text", {
      x: Math.min(right + letters * 0.3, width - letters),
      y: Math.max(top, letters),
      "font-size": letters,
    }, `tag ${kind(lesion)}`);
    text.textContent = lesion.id;
    return [make("polygon", { points }, "halo"), make("polygon", { points, "data-id": lesion.id }, `outline ${kind(lesion)}`), text];
  }

  clear() {
    if (this.#drawn === null) return;
    this.#drawn = null;
    this.#svg.replaceChildren();
  }
}
