// Who is expected: a list in the exam's form. What is chosen fills the form in.

import { dated } from "./box.js";
import { readable } from "./name.js";

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
  const list = answered_utc ? `Worklist of ${at.toLocaleString([], { dateStyle: "short", timeStyle: "short" })}` : "No worklist yet";
  return `${list}, ${trouble}.`;
}

export class Worklist {
  #entries = [];
  #filled = "";

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
    list.replaceChildren(new Option("Enter the patient by hand", ""));
    const response = await fetch("/worklist").catch(() => null);
    if (!response?.ok) {
      by("exam-skipped").textContent = response ? await response.text() : "The box does not answer.";
      return;
    }
    const { entries, skipped, server } = await response.json();
    this.#entries = entries;
    const reasons = Object.entries(skipped).map(([reason, count]) => `${count}: ${reason}`);
    const said = [server ? served(server) : "", reasons.length ? `Left out of the worklist: ${reasons.join("; ")}` : ""];
    by("exam-skipped").textContent = said.filter(Boolean).join(" ");
    if (!entries.length) return;
    list.append(...entries.map((entry, index) => new Option(label(entry), String(index))));
    by("exam-expected").hidden = false;
    // Whoever types already is left alone.
    if (!this.#values(form)) list.focus();
  }

  // What is posted for a form that is as it was filled in: the worklist's own words. Null when something else was typed.
  chosen() {
    const entry = this.#entries[Number(by("exam-worklist").value || -1)];
    if (!entry || this.#values(by("exam-form")) !== this.#filled) return null;
    return entry.patient;
  }

  #fill() {
    const form = by("exam-form");
    const { patient } = this.#entries[Number(by("exam-worklist").value || -1)] ?? { patient: null };
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
