// Everything about one lesion, and the form with which a person enters more.

import { dated, element, json, post } from "./box.js";
import { course } from "./course.js";
import { readable } from "./name.js";

const by = (id) => document.getElementById(id);

export const mm = (size) => size === 0 ? "gone" : `${size.toFixed(1)} mm`;

export function where({ side, clock, distance_mm: distance, in_view: view }) {
  const parts = [side ?? "side not known"];
  if (clock != null) parts.push(`${clock} o'clock`);
  if (distance != null) parts.push(`${distance.toFixed(0)} mm from the nipple`);
  if (view && clock == null) parts.push(`${view.projection.toUpperCase()} view, ${view.behind_nipple_mm.toFixed(0)} mm behind the nipple`);
  return parts.join(", ");
}

const text = (value) => document.createTextNode(value);
const item = (...children) => element("li", {}, ...children);
export const today = () => {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
};

// What can be entered: the fields of each, and how they become an entry. `lesion`: the one that is shown.
const number = (value) => value === "" ? undefined : Number(value);
const KINDS = {
  recall: ["Recall", [["due", "Due on", "date", true], ["modality", "Modality", "modalities"], ["why", "Why", "text"], ["rule", "", "hidden"]],
    (f, lesion) => ({ kind: "recall", lesion: lesion.id, due: f.due, modality: f.modality, why: f.why, rule: f.rule })],
  done: ["Recall done", [["recall", "Recall", "recalls", true], ["date", "On", "date", true]],
    (f) => ({ kind: "done", recall: Number(f.recall), date: f.date })],
  cancel: ["Recall cancelled", [["recall", "Recall", "recalls", true], ["reason", "Why", "text", true]],
    (f) => ({ kind: "cancel", recall: Number(f.recall), reason: f.reason })],
  place: ["Where it is", [["sighting", "Sighting", "sightings", true], ["side", "Side", "sides"], ["clock", "Hour on the clock", "number"], ["distance", "From the nipple, mm", "number"]],
    (f) => ({ kind: "place", sighting: Number(f.sighting), place: Object.fromEntries(Object.entries({ side: f.side || undefined, clock: number(f.clock), distance_mm: number(f.distance) }).filter(([, value]) => value !== undefined)) })],
  measure: ["A size", [["date", "On", "date", true], ["modality", "Modality", "modalities", true], ["size", "Axes, mm, such as 12x9x8", "text", true]],
    (f, lesion) => ({ kind: "measure", lesion: lesion.id, date: f.date, modality: f.modality, axes_mm: f.size.split(/[x×*\s]+/).filter(Boolean).map(Number), gone: false })],
  gone: ["It is not there any more", [["date", "Looked for on", "date", true], ["modality", "Modality", "modalities", true], ["sure", "It was looked for and is gone", "checkbox", true]],
    (f, lesion) => ({ kind: "measure", lesion: lesion.id, date: f.date, modality: f.modality, axes_mm: [], gone: true })],
  biopsy: ["Biopsy", [["date", "On", "date", true], ["marker", "Marker that was left", "text"]],
    (f, lesion) => ({ kind: "biopsy", lesion: lesion.id, date: f.date, marker: f.marker })],
  result: ["Result of a biopsy", [["date", "Of", "date", true], ["outcome", "Result", "outcomes", true], ["text", "In words", "text"]],
    (f, lesion) => ({ kind: "result", lesion: lesion.id, date: f.date, outcome: f.outcome, text: f.text })],
  treat: ["Treatment begins", [["date", "On", "date", true], ["what", "What", "text", true]],
    (f, lesion) => ({ kind: "treat", lesion: lesion.id, date: f.date, what: f.what })],
  split: ["Sighting is another lesion", [["sighting", "Sighting", "sightings", true]], (f) => ({ kind: "split", sighting: Number(f.sighting) })],
  withdraw: ["Withdraw an entry", [["line", "Entry", "lines", true], ["reason", "Why", "text", true]],
    (f) => ({ kind: "withdraw", line: Number(f.line), reason: f.reason })],
};

const option = ([value, label]) => element("option", { value, textContent: label });

// Parts of the page that show something of a lesion.
const TEXTS = ["patient-name", "patient-facts", "lesion-title", "enter-error"];
const LISTS = ["lesion-facts", "course", "open-sightings", "notes", "recalls", "fields"];

export class History {
  constructor() {
    this.lesion = null;
    // Counts what was opened and closed.
    this.opened = 0;
    by("kind").append(...Object.entries(KINDS).map(([kind, [label]]) => option([kind, label])));
    by("kind").addEventListener("change", () => this.fields());
    by("enter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.enter();
    });
  }

  // Nothing of the lesion stays, and nothing can be entered about it.
  close() {
    this.opened += 1;
    this.lesion = null;
    for (const id of TEXTS) by(id).textContent = "";
    for (const id of LISTS) by(id).replaceChildren();
    by("seen").tBodies[0].replaceChildren();
    by("mark").hidden = by("enter").hidden = true;
  }

  async open(number, { focus = true } = {}) {
    this.close();
    if (focus) by("notice").textContent = "";
    const mine = this.opened;
    let lesion = null;
    try {
      lesion = await json(`/reading/lesion/${encodeURIComponent(number)}`);
    } catch (error) {
      if (mine === this.opened) by("lesion-title").textContent = error.message;
      return;
    }
    // Another lesion was opened meanwhile, or none.
    if (mine !== this.opened) return;
    this.lesion = lesion;
    this.show();
    by("enter").hidden = false;
    if (focus) by("lesion-title").focus();
  }

  show() {
    const { id, person, place, visits, notes, recalls, sightings, change, response, suggestion, undecided, rule, simulated } = this.lesion;
    by("patient-name").textContent = readable(person.name) || "(no name)";
    by("patient-facts").textContent = [person.id, person.birth_date && `born ${dated(person.birth_date)}`, person.sex].filter(Boolean).join(" · ");
    by("mark").hidden = !simulated;
    by("lesion-title").textContent = `Lesion ${id}: ${where(place)}`;
    const facts = [];
    if (change) {
      const volume = change.volume_ml ? `, volume ${change.volume_ml.map((ml) => ml.toFixed(2)).join(" → ")} ml` : "";
      const percent = change.percent == null ? "" : ` (${change.percent > 0 ? "+" : ""}${change.percent.toFixed(0)} %)`;
      facts.push(element("span", { textContent: `Since ${change.from}: ${change.longest_mm.map(mm).join(" → ")}${percent}${volume}.` }));
    }
    if (response) {
      const at = ({ longest_mm: size, date }) => `${mm(size)} on ${date}`;
      const why = response.why ? ` (${response.why.replaceAll("_", " ")})` : ` (baseline ${at(response.baseline)}, smallest ${at(response.nadir)})`;
      facts.push(element("span", { textContent: ` Under treatment: ${response.category}${why}.` }), element("small", { className: "weak", textContent: rule }));
    }
    by("lesion-facts").replaceChildren(...facts);
    this.draw(visits, notes);
    by("seen").tBodies[0].replaceChildren(...sightings.map((seen) => this.row(seen)));
    by("open-sightings").replaceChildren(...undecided.map((seen) => this.ask(seen)));
    const note = ({ id: line, date, kind, outcome, text: words, by: name }) =>
      item(element("strong", { textContent: `${date} ` }), text([{ biopsy: "biopsy", result: "result", treat: "treatment begins" }[kind], outcome, words].filter(Boolean).join(": ")),
        element("small", { className: "weak", textContent: ` entry ${line}, by ${name}` }));
    by("notes").replaceChildren(...(notes.length ? notes.map(note) : [item(text("Nothing is entered."))]));
    const recall = ({ id: line, due, why, modality, by: name, closed, came }) =>
      item(element("strong", { textContent: `${due} ` }), text([modality, why, closed ? [closed.standing, closed.date, closed.reason].filter(Boolean).join(" ") : "open"].filter(Boolean).join(", ")),
        element("small", { className: "weak", textContent: [` recall ${line}, by ${name}`, closed && !closed.by ? `closed because an exam came (entry ${closed.line}: withdraw it if that was another)` : ""].filter(Boolean).join("; ") }),
        ...(closed ? [] : came.map((one) => this.came(line, one))));
    by("recalls").replaceChildren(...(recalls.length ? recalls.map(recall) : [item(text("No recall is entered."))]));
    if (suggestion) {
      const take = element("button", { type: "button", textContent: `Take ${suggestion.due}` });
      take.addEventListener("click", () => {
        by("kind").value = "recall";
        this.fields({ due: suggestion.due, modality: suggestion.modality, rule: suggestion.rule });
      });
      by("recalls").append(item(text(`Suggested: ${suggestion.due}, ${suggestion.modality}. ${suggestion.rule}. `), take));
    }
    this.fields();
  }

  draw(visits, notes) {
    if (!visits.length) return by("course").replaceChildren(text("It was never measured."));
    const marks = notes.filter(({ kind }) => kind !== "result").map(({ date, kind, text: words }) => ({ date, text: kind === "treat" ? words : "biopsy" }));
    const { svg, methods } = course(visits, marks);
    const legend = element("p", { className: "legend" });
    methods.forEach((name, index) => legend.append(element("span", { className: `line-${index % 4}`, textContent: `● ${name}` }), text("  ")));
    return by("course").replaceChildren(svg, legend);
  }

  row({ id, date, method, axes_mm: axes, gone, place, shown, retracted }) {
    const size = gone ? "gone" : axes.length ? `${axes.map((axis) => axis.toFixed(1)).join(" × ")} mm` : "not measured";
    const cell = (value) => element("td", { textContent: value });
    const made = element("tr", { className: retracted ? "retracted" : "" });
    made.append(cell(id), cell(date), cell(`${method.modality}, ${method.by === "person" ? "person" : "software"}`), cell(size), cell(where(place)), cell([shown.label, retracted ? "not found any more" : ""].filter(Boolean).join(", ")));
    return made;
  }

  // A sighting that may be this lesion: a person decides.
  ask(seen) {
    const size = seen.axes_mm.length ? `${seen.axes_mm.map((axis) => axis.toFixed(1)).join(" × ")} mm` : "not measured";
    const made = element("p", { className: "ask" }, text(`Sighting ${seen.id} of ${seen.date} (${seen.method.modality}, ${size}, ${where(seen.place)}) may be this lesion. `));
    const button = (label, entry) => {
      const one = element("button", { type: "button", textContent: label });
      one.addEventListener("click", () => this.post(entry));
      return one;
    };
    made.append(button("It is this one", { kind: "link", sighting: seen.id, lesion: this.lesion.id }), text(" "), button("It is another", { kind: "split", sighting: seen.id }));
    return made;
  }

  // An exam that may be the one that was due: a person decides.
  came(recall, { line, date, study_uid }) {
    const yes = element("button", { type: "button", textContent: "It was" });
    yes.addEventListener("click", () => this.post({ kind: "done", recall, date, study_uid }));
    const no = element("button", { type: "button", textContent: "It was not" });
    no.addEventListener("click", () => this.post({ kind: "withdraw", line, reason: "not the exam that was due" }));
    return element("p", { className: "ask" }, text(`An exam of ${date} may be the one. `), yes, text(" "), no);
  }

  choices(type) {
    const { sightings, undecided, recalls, notes } = this.lesion;
    const lists = {
      recalls: recalls.filter(({ closed }) => !closed).map(({ id, due }) => [id, `${id}, due ${due}`]),
      sightings: [...sightings, ...undecided].map(({ id, date, method }) => [id, `${id}, ${date} ${method.modality}`]),
      sides: [["", "as it is"], ["left", "left"], ["right", "right"]],
      outcomes: [["benign", "benign"], ["malignant", "malignant"], ["uncertain", "uncertain"]],
      modalities: [...(by("kind").value === "recall" ? [["", "any"]] : []), ...["US", "MG", "MR", "CT", "PT", "NM", "OT"].map((one) => [one, one])],
      lines: [
        ...notes.map(({ id, date, kind }) => [id, `${id}, ${kind} of ${date}`]),
        ...sightings.filter(({ method }) => method.by === "person").map(({ id, date }) => [id, `${id}, size of ${date}`]),
        ...recalls.map(({ id, due }) => [id, `${id}, recall for ${due}`]),
        ...recalls.filter(({ closed }) => closed).map(({ id, closed }) => [closed.line, `${closed.line}, recall ${id} ${closed.standing}`]),
      ],
    };
    return lists[type];
  }

  fields(values = {}) {
    if (!this.lesion) return;
    const [, fields] = KINDS[by("kind").value];
    by("fields").replaceChildren(...fields.map(([name, label, type, required]) => {
      const choices = this.choices(type);
      const input = choices ? element("select", { name }, ...choices.map(option)) : element("input", { name, type });
      if (type === "number") Object.assign(input, { min: 0, step: "any" });
      input.required = Boolean(required);
      input.value = values[name] ?? (type === "date" && name !== "due" ? today() : input.value);
      return type === "hidden" ? input : element("label", { textContent: label }, input);
    }));
  }

  enter() {
    if (!this.lesion) return undefined;
    const values = Object.fromEntries(new FormData(by("enter")).entries());
    return this.post(KINDS[by("kind").value][2](values, this.lesion));
  }

  async post(entry) {
    const name = by("by");
    if (!name.reportValidity()) return;
    const { opened, lesion } = this;
    by("enter-error").textContent = "";
    try {
      const said = await post("/reading/lesion", { by: name.value, entry });
      by("notice").textContent = opened === this.opened ? said : `Lesion ${lesion.id}: ${said}`;
    } catch (error) {
      // Another lesion is shown meanwhile: it is said of which one it was not entered.
      if (opened === this.opened) by("enter-error").textContent = error.message;
      else by("notice").textContent = `Lesion ${lesion.id}, not entered: ${error.message}`;
      return;
    }
    if (opened === this.opened) await this.open(lesion.id, { focus: false });
  }
}
