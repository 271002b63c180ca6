// Who is expected: a list in the exam's form. What is chosen fills the form in.

import { dated } from "./box.js";
import { readable } from "./name.js";
import { locale, words } from "./words.js";

const by = (id) => document.getElementById(id);

// Family and given name of the first way of writing it, as the form has them.
const parts = (name) => {
  const [family = "", ...rest] = name.split("=")[0].split("^");
  return [family, rest.filter(Boolean).join(" ")];
};

function label({ patient, date, time, modality, description }) {
  const clock = time.length >= 4 ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : time;
  const when = [dated(date), clock].filter(Boolean).join(" ");
  const who = `${readable(patient.name)} [${patient.id}]`;
  return [when, who, patient.accession_number, modality, description].filter(Boolean).join(" · ");
}

// How current the server's list is, in local time; empty when nothing is wrong.
function served({ answered_utc, trouble }) {
  if (!trouble) return "";
  const at = new Date(answered_utc);
  const list = answered_utc ? words.live.list(at.toLocaleString(locale(), { dateStyle: "short", timeStyle: "short" })) : words.live.noList;
  return [list, `${trouble}.`].join(words.pages.comma);
}

export class Worklist {
  #entries = [];
  // The entry with which the form was filled in, and how the form was then.
  #chosen = null;
  #filled = "";
  // Counts the lists that were asked for.
  #asked = 0;

  constructor() {
    by("exam-worklist").addEventListener("change", () => this.#fill());
  }

  // Asks who is expected; the form is there meanwhile.
  async load() {
    const list = by("exam-worklist");
    const form = by("exam-form");
    by("exam-expected").hidden = true;
    by("exam-skipped").textContent = "";
    this.#entries = [];
    this.#chosen = null;
    this.#asked += 1;
    const mine = this.#asked;
    list.replaceChildren(new Option(words.live.byHand, ""));
    const response = await fetch("/worklist").catch(() => null);
    const refused = response?.ok ? null : await response?.text() ?? words.pages.noAnswer;
    const told = refused === null ? await response.json() : null;
    // The form was opened again meanwhile: that has a list of its own.
    if (mine !== this.#asked) return;
    if (refused !== null) {
      by("exam-skipped").textContent = refused;
      return;
    }
    const { entries, skipped, server } = told;
    this.#entries = entries;
    const reasons = Object.entries(skipped).map(([reason, count]) => `${count}: ${reason}`);
    const said = [server ? served(server) : "", reasons.length ? words.live.skipped(reasons.join("; ")) : ""];
    by("exam-skipped").textContent = said.filter(Boolean).join(" ");
    if (!entries.length) return;
    list.append(...entries.map((entry, index) => new Option(label(entry), String(index))));
    by("exam-expected").hidden = false;
    // Whoever types already is left alone.
    if (!this.#values(form)) list.focus();
  }

  // What is posted for a form that is as it was filled in: the worklist's own words, and which of a patient's orders was chosen. Null when
  // something else was typed.
  chosen() {
    if (!this.#chosen || this.#values(by("exam-form")) !== this.#filled) return null;
    return { ...this.#chosen.patient, study_uid: this.#chosen.study_uid };
  }

  #fill() {
    const form = by("exam-form");
    this.#chosen = this.#entries[Number(by("exam-worklist").value || -1)] ?? null;
    const patient = this.#chosen?.patient;
    const [family, given] = parts(patient?.name ?? "");
    form.elements.id.value = patient?.id ?? "";
    form.elements.family.value = family;
    form.elements.given.value = given;
    form.elements.birth.value = dated(patient?.birth_date ?? "");
    form.elements.accession.value = patient?.accession_number ?? "";
    this.#filled = this.#values(form);
  }

  #values({ elements }) {
    return ["id", "family", "given", "birth", "accession"].map((name) => elements[name].value).join("\n").trim();
  }
}
