// What was found in one series: switched on and off, gone to, and judged.

import { element } from "./box.js";

const by = (id) => document.getElementById(id);
const isAnatomy = ({ segment }) => segment.isAnatomy;

export class FindingList {
  #goTo;
  #redraw;
  #segments = null;
  #rows = [];
  #at = -1;

  constructor(goTo, redraw) {
    this.#goTo = goTo;
    this.#redraw = redraw;
  }

  clear() {
    this.#segments = null;
    this.#rows = [];
    this.#at = -1;
    by("findings").replaceChildren();
    by("structures").replaceChildren();
    by("anatomy").hidden = true;
    by("findings-note").textContent = "";
  }

  async show(series, segments) {
    this.clear();
    this.#segments = segments;
    if (!segments) {
      by("findings-note").textContent = series.results.length ? "Nothing was outlined in this series." : "";
      return;
    }
    for (const segment of segments.all) this.#rows.push(this.#row(segment));
    const [structures, found] = [this.#rows.filter(isAnatomy), this.#rows.filter((row) => !isAnatomy(row))];
    this.#rows = [...found, ...structures];
    by("findings").replaceChildren(...found.map((row) => row.item));
    by("structures").replaceChildren(...structures.map((row) => row.item));
    by("anatomy").hidden = !structures.length;
    if (!found.length) by("findings-note").textContent = "Nothing was outlined in this series.";
    // Findings are shown at once; lungs and lobes when somebody asks for them.
    await Promise.all(found.map((row) => this.#turn(row, true)));
  }

  #row(segment) {
    const [red, green, blue] = segment.colour;
    const box = element("input", { type: "checkbox" });
    box.setAttribute("aria-label", `Show ${segment.label}`);
    const go = element("button", { type: "button", textContent: segment.label });
    const swatch = element("i", { className: "swatch" });
    swatch.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
    const item = element("li", { }, box, swatch, go);
    const row = { segment, box, item };
    box.addEventListener("change", () => this.#turn(row, box.checked));
    go.addEventListener("click", () => this.#choose(row));
    return row;
  }

  async #turn(row, on) {
    row.box.checked = on;
    await this.#segments.show(row.segment.number, on);
    this.#redraw();
  }

  #choose(row) {
    this.#at = this.#rows.indexOf(row);
    for (const other of this.#rows) other.item.classList.toggle("chosen", other === row);
    row.item.scrollIntoView({ block: "nearest" });
    if (!row.box.checked) this.#turn(row, true);
    this.#goTo({ centre: null, slice: row.segment.key });
  }

  step(by) {
    const findings = this.#rows.filter((row) => !isAnatomy(row));
    if (!findings.length) return;
    const at = findings.indexOf(this.#rows[this.#at]);
    this.#choose(findings[(at + by + findings.length + (at < 0 && by < 0 ? 1 : 0)) % findings.length]);
  }

  decide() {}
}
