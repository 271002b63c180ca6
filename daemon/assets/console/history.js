// Everything about one lesion, and the form with which a person enters more.

import { dated, element, json, post, sex, today } from "./box.js";
import { course } from "./course.js";
import { readable } from "./name.js";
import { words } from "./words.js";

const by = (id) => document.getElementById(id);

export const mm = (size) => size === 0 ? words.lesion.gone : `${size.toFixed(1)} mm`;

export function where({ side, clock, distance_mm: distance, in_view: view }) {
  const said = words.lesion;
  const parts = [said[side] ?? said.noSide];
  if (clock != null) parts.push(said.clock(clock));
  if (distance != null) parts.push(said.distance(distance.toFixed(0)));
  if (view && clock == null) parts.push(said.view(view.projection.toUpperCase(), view.behind_nipple_mm.toFixed(0)));
  return parts.join(words.pages.comma);
}

// The box names marks and lesions in English: "Mark 2".
export const called = (label) => label.replace(/^\w+/, (kind) => words.lesion.labels[kind] ?? kind);

const text = (value) => document.createTextNode(value);
const item = (...children) => element("li", {}, ...children);

// What can be entered: the fields of each (name, name of its label, type, whether it is needed), and how they become an entry. `lesion`: the one
// that is shown.
const number = (value) => value === "" ? undefined : Number(value);
const KINDS = {
  recall: [[["due", "due", "date", true], ["modality", "modality", "modalities"], ["why", "why", "text"], ["rule", "", "hidden"]],
    (f, lesion) => ({ kind: "recall", lesion: lesion.id, due: f.due, modality: f.modality, why: f.why, rule: f.rule })],
  done: [[["recall", "recall", "recalls", true], ["date", "on", "date", true]],
    (f) => ({ kind: "done", recall: Number(f.recall), date: f.date })],
  cancel: [[["recall", "recall", "recalls", true], ["reason", "why", "text", true]],
    (f) => ({ kind: "cancel", recall: Number(f.recall), reason: f.reason })],
  place: [[["sighting", "sighting", "sightings", true], ["side", "side", "sides"], ["clock", "clock", "number"], ["distance", "distance", "number"]],
    (f) => ({ kind: "place", sighting: Number(f.sighting), place: Object.fromEntries(Object.entries({ side: f.side || undefined, clock: number(f.clock), distance_mm: number(f.distance) }).filter(([, value]) => value !== undefined)) })],
  measure: [[["date", "on", "date", true], ["modality", "modality", "modalities", true], ["size", "size", "text", true]],
    (f, lesion) => ({ kind: "measure", lesion: lesion.id, date: f.date, modality: f.modality, axes_mm: f.size.split(/[x×*\s]+/).filter(Boolean).map(Number), gone: false })],
  gone: [[["date", "looked", "date", true], ["modality", "modality", "modalities", true], ["sure", "sure", "checkbox", true]],
    (f, lesion) => ({ kind: "measure", lesion: lesion.id, date: f.date, modality: f.modality, axes_mm: [], gone: true })],
  biopsy: [[["date", "on", "date", true], ["marker", "marker", "text"]],
    (f, lesion) => ({ kind: "biopsy", lesion: lesion.id, date: f.date, marker: f.marker })],
  result: [[["date", "of", "date", true], ["outcome", "outcome", "outcomes", true], ["text", "text", "text"]],
    (f, lesion) => ({ kind: "result", lesion: lesion.id, date: f.date, outcome: f.outcome, text: f.text })],
  treat: [[["date", "on", "date", true], ["what", "what", "text", true]],
    (f, lesion) => ({ kind: "treat", lesion: lesion.id, date: f.date, what: f.what })],
  split: [[["sighting", "sighting", "sightings", true]], (f) => ({ kind: "split", sighting: Number(f.sighting) })],
  withdraw: [[["line", "entry", "lines", true], ["reason", "why", "text", true]],
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
    by("kind").append(...Object.keys(KINDS).map((kind) => option([kind, words.history.kinds[kind]])));
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
    const { id, person, place, visits, notes, recalls, sightings, change, response, suggestion, undecided, simulated } = this.lesion;
    by("patient-name").textContent = readable(person.name) || words.pages.noName;
    by("patient-facts").textContent = [person.id, person.birth_date && words.pages.born(dated(person.birth_date)), sex(person.sex)].filter(Boolean).join(" · ");
    by("mark").hidden = !simulated;
    by("lesion-title").textContent = words.lesion.title(id, where(place));
    const said = words.history;
    const facts = [];
    if (change) {
      const volume = change.volume_ml ? said.volume(change.volume_ml.map((ml) => ml.toFixed(2)).join(" → ")) : "";
      const percent = change.percent == null ? "" : ` (${change.percent > 0 ? "+" : ""}${change.percent.toFixed(0)} %)`;
      facts.push(element("span", { textContent: said.since(change.from, change.longest_mm.map(mm).join(" → "), percent, volume) }));
    }
    if (response) {
      const at = ({ longest_mm: size, date }) => said.at(mm(size), date);
      const why = response.why ? ` (${said.unjudged[response.why] ?? response.why})` : said.range(at(response.baseline), at(response.nadir));
      facts.push(element("span", { textContent: said.treated(`${response.category}${why}`) }), element("small", { className: "weak", textContent: said.rule }));
    }
    by("lesion-facts").replaceChildren(...facts);
    this.draw(visits, notes);
    by("seen").tBodies[0].replaceChildren(...sightings.map((seen) => this.row(seen)));
    by("open-sightings").replaceChildren(...undecided.map((seen) => this.ask(seen)));
    const note = ({ id: line, date, kind, outcome, text: typed, by: name }) =>
      item(element("strong", { textContent: `${date} ` }), text([words.lesion.notes[kind], words.lesion.outcomes[outcome] ?? outcome, typed].filter(Boolean).join(words.pages.colon)),
        element("small", { className: "weak", textContent: said.line(line, name) }));
    by("notes").replaceChildren(...(notes.length ? notes.map(note) : [item(text(said.noNotes))]));
    const recall = ({ id: line, due, why, modality, by: name, closed, came }) =>
      item(element("strong", { textContent: `${due} ` }), text([modality, why, closed ? [words.recalls.standing[closed.standing] ?? closed.standing, closed.date, closed.reason].filter(Boolean).join(" ") : said.open].filter(Boolean).join(words.pages.comma)),
        element("small", { className: "weak", textContent: [said.recallLine(line, name), closed && !closed.by ? said.closedBy(closed.line) : ""].filter(Boolean).join("; ") }),
        ...(closed ? [] : came.map((one) => this.came(line, one))));
    by("recalls").replaceChildren(...(recalls.length ? recalls.map(recall) : [item(text(said.noRecall))]));
    if (suggestion) {
      const take = element("button", { type: "button", textContent: said.take(suggestion.due) });
      take.addEventListener("click", () => {
        by("kind").value = "recall";
        // What should have been by now is for the next day.
        const due = suggestion.due > today(1) ? suggestion.due : today(1);
        this.fields({ due, modality: suggestion.modality, rule: suggestion.rule });
      });
      by("recalls").append(item(text(said.suggested(suggestion.due, suggestion.modality, suggestion.rule)), take));
    }
    this.fields();
  }

  draw(visits, notes) {
    if (!visits.length) return by("course").replaceChildren(text(words.history.never));
    const marks = notes.filter(({ kind }) => kind !== "result").map(({ date, kind, text: typed }) => ({ date, text: kind === "treat" ? typed : words.lesion.notes.biopsy }));
    const { svg, methods } = course(visits, marks);
    const legend = element("p", { className: "legend" });
    methods.forEach((name, index) => legend.append(element("span", { className: `line-${index % 4}`, textContent: `● ${name}` }), text("  ")));
    return by("course").replaceChildren(svg, legend);
  }

  row({ id, date, method, axes_mm: axes, gone, place, shown, retracted }) {
    const size = gone ? words.lesion.gone : axes.length ? `${axes.map((axis) => axis.toFixed(1)).join(" × ")} mm` : words.lesion.notMeasured;
    const cell = (value) => element("td", { textContent: value });
    const made = element("tr", { className: retracted ? "retracted" : "" });
    made.append(cell(id), cell(date), cell((method.by === "person" ? words.lesion.person : words.lesion.software)(method.modality)), cell(size), cell(where(place)), cell([called(shown.label), retracted ? words.history.lost : ""].filter(Boolean).join(words.pages.comma)));
    return made;
  }

  // A sighting that may be this lesion: a person decides.
  ask(seen) {
    const size = seen.axes_mm.length ? `${seen.axes_mm.map((axis) => axis.toFixed(1)).join(" × ")} mm` : words.lesion.notMeasured;
    const made = element("p", { className: "ask" }, text(words.history.ask(seen.id, seen.date, seen.method.modality, size, where(seen.place))));
    const button = (label, entry) => {
      const one = element("button", { type: "button", textContent: label });
      one.addEventListener("click", () => this.post(entry));
      return one;
    };
    made.append(button(words.history.isThis, { kind: "link", sighting: seen.id, lesion: this.lesion.id }), text(" "), button(words.history.isOther, { kind: "split", sighting: seen.id }));
    return made;
  }

  // An exam that may be the one that was due: a person decides.
  came(recall, { line, date, study_uid }) {
    const yes = element("button", { type: "button", textContent: words.history.was });
    yes.addEventListener("click", () => this.post({ kind: "done", recall, date, study_uid }));
    const no = element("button", { type: "button", textContent: words.history.wasNot });
    no.addEventListener("click", () => this.post({ kind: "withdraw", line, reason: words.history.notTheOne }));
    return element("p", { className: "ask" }, text(words.history.came(date)), yes, text(" "), no);
  }

  choices(type) {
    const { sightings, undecided, recalls, notes } = this.lesion;
    const said = words.history;
    const lists = {
      recalls: recalls.filter(({ closed }) => !closed).map(({ id, due }) => [id, said.recall(id, due)]),
      sightings: [...sightings, ...undecided].map(({ id, date, method }) => [id, `${id}, ${date} ${method.modality}`]),
      sides: [["", said.asIs], ...["left", "right"].map((side) => [side, words.lesion[side]])],
      outcomes: Object.entries(words.lesion.outcomes),
      modalities: [...(by("kind").value === "recall" ? [["", said.any]] : []), ...["US", "MG", "MR", "CT", "PT", "NM", "OT"].map((one) => [one, one])],
      lines: [
        ...notes.map(({ id, date, kind }) => [id, said.noteOf(id, words.lesion.notes[kind] ?? kind, date)]),
        ...sightings.filter(({ method }) => method.by === "person").map(({ id, date }) => [id, said.sizeOf(id, date)]),
        ...recalls.map(({ id, due }) => [id, said.recallFor(id, due)]),
        ...recalls.filter(({ closed }) => closed).map(({ id, closed }) => [closed.line, said.closing(closed.line, id, words.recalls.standing[closed.standing] ?? closed.standing)]),
      ],
    };
    return lists[type];
  }

  fields(values = {}) {
    if (!this.lesion) return;
    const [fields] = KINDS[by("kind").value];
    by("fields").replaceChildren(...fields.map(([name, label, type, required]) => {
      const choices = this.choices(type);
      const input = choices ? element("select", { name }, ...choices.map(option)) : element("input", { name, type });
      if (type === "number") Object.assign(input, { min: 0, step: "any" });
      input.required = Boolean(required);
      input.value = values[name] ?? (type === "date" && name !== "due" ? today() : input.value);
      return type === "hidden" ? input : element("label", { textContent: words.history.fields[label] }, input);
    }));
  }

  enter() {
    if (!this.lesion) return undefined;
    const values = Object.fromEntries(new FormData(by("enter")).entries());
    return this.post(KINDS[by("kind").value][1](values, this.lesion));
  }

  async post(entry) {
    const name = by("by");
    if (!name.reportValidity()) return;
    const { opened, lesion } = this;
    by("enter-error").textContent = "";
    try {
      const said = await post("/reading/lesion", { by: name.value, entry });
      by("notice").textContent = opened === this.opened ? said : words.history.said(lesion.id, said);
    } catch (error) {
      // Another lesion is shown meanwhile: it is said of which one it was not entered.
      if (opened === this.opened) by("enter-error").textContent = error.message;
      else by("notice").textContent = words.history.notEntered(lesion.id, error.message);
      return;
    }
    if (opened === this.opened) await this.open(lesion.id, { focus: false });
  }
}
