// Patient and exam: the form that starts one, and what the box is asked.

import { readable } from "./name.js";
import { locale, words } from "./words.js";
import { Worklist } from "./worklist.js";

const by = (id) => document.getElementById(id);
// An exam that began of itself, and of which nobody has said yet whose it is.
const isNobody = (exam) => exam.patient.id.startsWith("UNIDENTIFIED-");

// Resolves to the box's words; rejects with them when it refuses.
export async function ask(path, value = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error(words.pages.noAnswer);
  const said = await response.text();
  if (!response.ok) throw new Error(said || words.pages.refused(response.status));
  return said;
}

export class Exam {
  #notice;
  #running = false;
  #nobody = false;
  // When the running exam began; empty: none runs. And the one that the form is for.
  #began = "";
  #seen = "";
  #asking = false;
  #worklist = new Worklist();

  constructor(notice) {
    this.#notice = notice;
    by("exam-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start(new FormData(event.target));
    });
    // Who insisted did so for what was typed then.
    for (const kind of ["input", "change"]) {
      by("exam-form").addEventListener(kind, (event) => event.target.name !== "insist" && this.#ask(false));
    }
    by("exam-cancel").addEventListener("click", () => by("exam-dialog").close());
    // Not to the button: the space bar would end the exam then, and not freeze.
    by("exam-dialog").addEventListener("close", () => by("stage").focus());
  }

  show(exam) {
    this.#running = Boolean(exam);
    this.#began = exam?.started_utc ?? "";
    // What is in the form is of the patient of that exam; this one may be another's.
    if (by("exam-dialog").open && !this.#asking && this.#began !== this.#seen) {
      by("exam-dialog").close();
      this.#notice(words.live.closed, true);
    }
    by("exam-word").textContent = exam ? words.live.stop : words.live.start;
    this.#nobody = Boolean(exam) && isNobody(exam);
    by("identify").hidden = !this.#nobody;
    by("patient").classList.toggle("nobody", this.#nobody);
    by("patient-name").textContent = this.#nobody ? words.live.nobody : exam ? readable(exam.patient.name) : words.live.noExam;
    by("patient-facts").textContent = exam ? this.#facts(exam).join(" · ") : "";
  }

  #facts({ patient, marks, started_utc }) {
    const date = patient.birth_date;
    const facts = [words.pages.id(patient.id)];
    if (date) facts.push(words.pages.born(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`));
    if (patient.accession_number) facts.push(patient.accession_number);
    facts.push(words.live.since(new Date(started_utc).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })));
    if (marks) facts.push(words.live.marks(marks));
    return facts;
  }

  // The button, or its key: opens the form, or ends the exam.
  press() {
    if (this.#running) {
      ask("/exam/stop").then(this.#notice, (error) => this.#notice(error.message, true));
      return;
    }
    this.#open(words.live.start, words.live.begin);
  }

  // Whose exam is it that began of itself?
  identify() {
    if (this.#nobody) this.#open(words.live.whose, words.live.name);
  }

  #open(title, act) {
    by("exam-title").textContent = title;
    by("exam-submit").textContent = act;
    this.#seen = this.#began;
    by("exam-form").reset();
    by("exam-error").textContent = "";
    this.#ask(false);
    by("exam-dialog").showModal();
    this.#worklist.load();
  }

  // Whether it is the right patient; unticked each time.
  #ask(shown) {
    by("exam-insist").hidden = !shown;
    by("exam-form").elements.insist.checked = false;
  }

  async #start(form) {
    const of = (name) => form.get(name).trim();
    const typed = () => ({
      id: of("id"),
      name: of("given") ? `${of("family")}^${of("given")}` : of("family"),
      birth_date: of("birth").replaceAll("-", ""),
      accession_number: of("accession"),
    });
    this.#asking = true;
    try {
      const despite_screen = form.get("insist") !== null;
      this.#notice(await ask("/exam/start", { ...(this.#worklist.chosen() ?? typed()), despite_screen, seen: this.#seen }));
      by("exam-dialog").close();
    } catch (error) {
      by("exam-error").textContent = error.message;
      // Only whoever was told may insist.
      this.#ask(error.message.includes("on the page: tick the box"));
    } finally {
      this.#asking = false;
    }
  }
}
