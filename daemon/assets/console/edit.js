// The form in which a person gives a finding other values than the box found: closed lists, and lengths from lines in the picture or typed.

import { element } from "./box.js";
import { words } from "./words.js";

// Fields as the box names them, in the order of the form.
const FIELDS = {
  type: { choices: ["solid", "part_solid", "ground_glass", "calcified"] },
  kind: { choices: ["mass", "calcifications", "asymmetry", "distortion"] },
  side: { choices: ["right", "left"] },
  lobe: { choices: ["right_upper", "right_middle", "right_lower", "left_upper", "left_lower"] },
  rib: { least: 1, most: 12, step: 1 },
  long_mm: { least: 0.1, most: 500, step: "any" },
  short_mm: { least: 0.1, most: 500, step: "any" },
  clock: { least: 1, most: 12, step: 1 },
  distance_mm: { least: 0, most: 500, step: "any" },
  shape: { choices: ["oval", "round", "irregular"] },
  orientation: { choices: ["parallel", "not parallel"] },
  margin: { choices: ["circumscribed", "not circumscribed"] },
  echo: { choices: ["anechoic", "hypoechoic", "heterogeneous"] },
  posterior: { choices: ["no posterior features", "posterior enhancement", "posterior shadowing"] },
};

const said = (field, value) => (value === "" ? words.edit.notKnown : (FIELDS[field]?.choices && words.edit.choices[value]) ?? value);
const named = (field) => (words.edit.fields[field] ?? field).replace(/[,，] ?mm$/, "").toLowerCase();
const unit = (field, value) => (field.endsWith("_mm") && value !== "" ? " mm" : "");

// What was edited, in one line: now, and as it was found.
export function changes(edit, found) {
  const one = ([field, value]) => {
    const was = found[field] ?? "";
    return words.edit.now(named(field), `${said(field, value)}${unit(field, value)}`, `${said(field, was)}${unit(field, was)}`);
  };
  return words.edit.by(edit.by, Object.entries(edit.values).map(one).join(words.pages.comma));
}

// Of a mark in a mammogram the distance is the depth along the axis to the chest wall, not the way to the nipple.
const labelOf = (field, found) => (field === "distance_mm" && "kind" in found ? words.edit.depth : words.edit.fields[field]);

export class EditForm {
  #inputs = new Map();
  #found;
  #error = element("p", { className: "edit-error" });

  // `found`: values as the box found them; `now`: as they are shown; `lengths`: of the lines in the picture, mm, the longest first
  // (null: no lines can be drawn in it);
  // `done`: with the values, and whether any is another one than was found.
  constructor({ label, found, now, lengths, done, leave }) {
    this.#found = found;
    this.#error.setAttribute("role", "alert");
    const rows = Object.keys(FIELDS).filter((field) => field in found).map((field) => this.#row(field, now[field] ?? ""));
    this.#together("side");
    const take = element("button", { type: "button", textContent: words.edit.take });
    take.addEventListener("click", () => this.#take(lengths()));
    const reset = element("button", { type: "button", textContent: words.edit.reset });
    reset.addEventListener("click", () => this.#fill(found));
    const end = element("button", { type: "submit", className: "main", textContent: words.edit.done });
    const tools = "long_mm" in found && lengths() ? [take, reset, end] : [reset, end];
    this.node = element("form", { className: "edit", noValidate: true }, ...rows, this.#error, element("div", { className: "buttons" }, ...tools));
    this.node.setAttribute("aria-label", words.edit.label(label));
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.#finish(done);
    });
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      leave();
    });
  }

  focus() {
    this.#inputs.values().next().value?.focus();
  }

  #row(field, value) {
    const { choices, least, most, step } = FIELDS[field];
    const label = labelOf(field, this.#found);
    // What was found does not become unknown, except the lobe when the finding lies on the other side.
    const isFound = this.#found[field] !== "";
    const choice = [...(isFound && field !== "lobe" ? [] : [""]), ...(choices ?? [])];
    const input = choices
      ? element("select", {}, ...choice.map((key) => element("option", { value: key, textContent: said(field, key) })))
      : element("input", { type: "number", min: least, max: most, step, inputMode: "decimal" });
    input.value = value;
    input.name = field;
    input.required = isFound;
    input.addEventListener("change", () => this.#together(field));
    this.#inputs.set(field, input);
    return element("label", {}, element("span", {}, label, element("small", { textContent: ` ${words.edit.found(said(field, this.#found[field]))}` })), input);
  }

  #fill(values) {
    for (const [field, input] of this.#inputs) input.value = values[field] ?? "";
    this.#error.textContent = "";
  }

  // A lobe has its side, and no lobe lies on the other one.
  #together(field) {
    const [side, lobe] = [this.#inputs.get("side"), this.#inputs.get("lobe")];
    if (!side || !lobe || !lobe.value) return;
    if (field === "lobe") side.value = lobe.value.split("_")[0];
    if (field === "side" && !lobe.value.startsWith(side.value)) lobe.value = "";
  }

  #take(lengths) {
    if (!lengths.length) {
      this.#error.textContent = words.edit.noLine;
      return;
    }
    this.#error.textContent = "";
    this.#inputs.get("long_mm").value = lengths[0].toFixed(1);
    if (lengths[1] !== undefined) this.#inputs.get("short_mm").value = lengths[1].toFixed(1);
  }

  #finish(done) {
    const lobe = this.#inputs.get("lobe");
    if (lobe) lobe.required = this.#found.lobe !== "" && this.#found.lobe.startsWith(this.#inputs.get("side")?.value ?? "");
    const wrong = [...this.#inputs.values()].find((input) => !input.checkValidity());
    const values = Object.fromEntries([...this.#inputs].map(([field, input]) => [field, input.value]).filter(([, value]) => value !== ""));
    const [long, short] = [values.long_mm, values.short_mm];
    const one = (long === undefined) !== (short === undefined);
    if (wrong) this.#error.textContent = [labelOf(wrong.name, this.#found), wrong.validationMessage].join(words.pages.colon);
    else if (one || Number(short) > Number(long)) this.#error.textContent = words.edit.axes;
    else return this.#end(values, done);
    wrong?.focus();
    return undefined;
  }

  #end(values, done) {
    this.#error.textContent = "";
    const isNew = ([field, value]) => (FIELDS[field].choices ? value !== this.#found[field] : Number(value) !== Number(this.#found[field] || NaN));
    done(values, Object.entries(values).some(isNew));
  }
}
