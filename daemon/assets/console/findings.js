// What was found in one series: gone to, switched on and off, judged, edited, signed.

import { element, local, post } from "./box.js";
import { EditForm, changes } from "./edit.js";
import { of, words } from "./words.js";

const by = (id) => document.getElementById(id);
const NAME = "scanside-reviewer";
// What a button does, by the decision that it makes.
const BUTTONS = { accepted: "accept", edited: "edit", rejected: "reject" };

// Where a segment has another name than its finding.
const NAMES = { "coronary-calcification": "coronary-artery-calcification" };
const slug = (label) => label.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
// A finding that is one by itself may have several segments; one with a number has its own.
const belongs = ({ label }, id) => {
  const name = NAMES[id] ?? id;
  return slug(label) === name || (!/\d$/.test(name) && slug(label).startsWith(name));
};
// SOP Instance UID of the report with the findings of a series.
const reportOf = (series) => series.findings?.report?.sop_uid ?? "";
// A finding or a segment by its name here: words of the table, then its number.
const title = (id) => {
  const [, kind, number = ""] = /^(.*?)(?:-(\d[\d.]*))?$/.exec(NAMES[id] ?? id);
  const name = [words.findings.names[kind] ?? kind.replaceAll("-", " "), number].filter(Boolean).join(" ");
  return name[0].toUpperCase() + name.slice(1);
};
// A lobe whose fissure was not seen is estimated.
const segmentTitle = (label) => {
  const [, id, isEstimated] = /^(.*?)(-estimated)?$/.exec(slug(label).replace(/-$/, ""));
  return id.replace(/-\d+$/, "") in words.findings.names ? `${title(id)}${isEstimated ? words.findings.estimated : ""}` : label;
};

export class FindingList {
  #goTo;
  #unseen;
  #redraw;
  #signed;
  #lengths;
  #series = null;
  #segments = null;
  // What can be judged, then lungs and lobes.
  #rows = [];
  #at = -1;
  // What is decided was signed; the results are not written again yet.
  #isSigned = false;
  // By Series Instance UID, what is decided and not signed of series of this study that are not shown: the report that it is about, and for each id
  // a decision, a comment and the edited values.
  #kept = new Map();

  // `goTo`: shows a place, or returns why that cannot be; `unseen`: why a row cannot be judged, empty where it can; `signed`: the results are
  // written again; `lengths`: of the lines in the picture that is shown, mm.
  constructor(goTo, unseen, redraw, signed, lengths) {
    this.#lengths = lengths;
    this.#goTo = goTo;
    this.#unseen = unseen;
    this.#redraw = redraw;
    this.#signed = signed;
    by("reviewer").value = sessionStorage.getItem(NAME) ?? "";
    by("accept-rest").addEventListener("click", () => this.#acceptRest());
    by("review").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sign();
    });
  }

  // Of another study, or of another patient: what was decided is lost.
  forget() {
    this.#rows = [];
    this.clear();
    this.#kept.clear();
  }

  // What is decided stays until the series is shown again.
  clear() {
    this.#keep();
    Object.assign(by("review"), { hidden: true });
    this.#series = this.#segments = null;
    this.#rows = [];
    this.#at = -1;
    this.#isSigned = false;
    for (const id of ["findings", "structures"]) by(id).replaceChildren();
    for (const id of ["findings-note", "review-error", "notice"]) by(id).textContent = "";
    by("anatomy").hidden = true;
  }

  async show(series, segments) {
    this.clear();
    this.#series = series;
    this.#segments = segments;
    const all = segments?.all ?? [];
    const { listed = [], review = null } = series.findings ?? {};
    const found = listed.map((one) => this.#finding(one, all.filter((segment) => !segment.isAnatomy && belongs(segment, one.id)), review));
    // Outlines of other tasks, whose findings are not judged one by one.
    const judged = new Set(found.flatMap((row) => row.segments));
    const others = all.filter((segment) => !segment.isAnatomy && !judged.has(segment)).map((segment) => this.#outline(segment));
    const structures = all.filter((segment) => segment.isAnatomy).map((segment) => this.#outline(segment));
    this.#rows = [...found, ...others, ...structures];
    by("findings").replaceChildren(...[...found, ...others].map((row) => row.item));
    by("structures").replaceChildren(...structures.map((row) => row.item));
    by("anatomy").hidden = !structures.length;
    this.#restore(series);
    this.#sayReview(review, found.length + others.length, series);
    // Findings are shown at once; lungs and lobes when somebody asks for them.
    await Promise.all([...found, ...others].map((row) => this.#turn(row, row.segments.every((segment) => segment.starts !== false))));
  }

  #keep() {
    const decided = this.#rows.filter((row) => row.id && row.decision);
    if (this.#isSigned || !decided.length) return;
    const decisions = new Map(decided.map(({ id, decision, comment, edit }) => [id, { decision, comment: comment.value, edit }]));
    this.#kept.set(this.#series.series_uid, { report: reportOf(this.#series), decisions });
  }

  // Only for the findings that were judged: those of a newer version may be others under the same ids.
  #restore(series) {
    const kept = this.#kept.get(series.series_uid);
    this.#kept.delete(series.series_uid);
    if (!kept) return;
    if (kept.report !== reportOf(series)) {
      by("notice").textContent = words.findings.newer;
      return;
    }
    for (const row of this.#rows.filter(({ id }) => kept.decisions.has(id))) {
      const { decision, comment, edit } = kept.decisions.get(row.id);
      row.comment.value = comment;
      row.edit = edit;
      this.#put(row, decision);
    }
  }

  #sayReview(review, count, series) {
    const judged = this.#rows.filter((row) => row.id);
    by("review").hidden = !judged.length;
    by("sign").textContent = review ? words.findings.signAgain : words.findings.sign;
    const signed = review ? words.findings.reviewed(review.by, local(review.utc)) : "";
    const none = !count && series.results.length ? words.findings.nothing : "";
    const refused = series.findings?.refused;
    const lost = refused ? words.findings.lost(refused.by, refused.why) : "";
    by("findings-note").textContent = [signed, lost, none].filter(Boolean).join(" ");
    this.#count();
  }

  #outline(segment) {
    const row = { id: null, label: segmentTitle(segment.label), segments: [segment], place: { centre: null, slice: segment.key } };
    return this.#item(row);
  }

  #finding(listed, segments, review) {
    const decided = review?.decisions.find((one) => one.id === listed.id);
    const picture = listed.sop_instance_uid ? { uid: listed.sop_instance_uid, frame: listed.frame ?? 1 } : null;
    const place = { centre: listed.centre_mm, picture, slice: segments[0]?.key ?? null };
    const number = listed.id.split("-").at(-1);
    // What stands now is among the facts.
    const found = listed.words && of({ en: listed.words, zh: listed.words_zh });
    const label = found ? [number, decided?.edit ? words.findings.asFound(found) : found].join(words.pages.colon) : title(listed.id);
    const values = listed.values ?? {};
    const row = this.#item({ id: listed.id, label, segments, place, decision: null, comment: "", found: values, before: decided?.edit ?? null, edit: null, form: null });
    const can = Object.keys(BUTTONS).filter((decision) => decision !== "edited" || Object.keys(values).length);
    const buttons = can.map((decision) => {
      const button = element("button", { type: "button", textContent: words.findings[BUTTONS[decision]] });
      button.dataset.decision = decision;
      button.setAttribute("aria-label", words.findings.on(button.textContent, row.label));
      button.addEventListener("click", () => {
        this.#mark(row);
        if (decision === "edited") this.#open(row);
        else this.#decide(row, row.decision === decision ? null : decision);
      });
      return button;
    });
    row.comment = element("input", { className: "comment", maxLength: 200, placeholder: words.findings.why, hidden: true });
    row.comment.setAttribute("aria-label", words.findings.comment(row.label));
    row.item.append(element("span", { className: "judge" }, ...buttons));
    // A volume of another size than a person measured does not stand.
    const isResized = decided?.edit?.values.long_mm !== undefined;
    const facts = [listed.volume_ml >= 0.1 && !isResized ? `${listed.volume_ml.toFixed(1)} ml` : "", decided?.edit ? changes(decided.edit, values) : decided ? words.findings[decided.decision](review.by) : "", decided?.comment ?? ""];
    const said = facts.filter(Boolean).join(" · ");
    if (said) row.item.append(element("p", { className: "facts", textContent: said }));
    row.item.append(row.comment);
    row.item.classList.toggle("gone", decided?.decision === "rejected");
    return row;
  }

  #item(row) {
    const [red, green, blue] = row.segments[0]?.colour ?? [128, 128, 128];
    const box = element("input", { type: "checkbox", disabled: !row.segments.length });
    box.setAttribute("aria-label", words.findings.show(row.label));
    const swatch = element("i", { className: "swatch" });
    swatch.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
    const go = element("button", { type: "button", textContent: row.label });
    const whole = Object.assign(row, { box, item: element("li", {}, box, swatch, go) });
    box.addEventListener("change", () => this.#turn(whole, box.checked));
    go.addEventListener("click", () => this.#choose(whole));
    return whole;
  }

  async #turn(row, on) {
    row.box.checked = on && row.segments.length > 0;
    await Promise.all(row.segments.map((segment) => this.#segments.show(segment.number, on)));
    this.#redraw();
  }

  #mark(row) {
    this.#at = this.#rows.indexOf(row);
    by("notice").textContent = "";
    for (const other of this.#rows) other.item.classList.toggle("chosen", other === row);
    row.item.scrollIntoView({ block: "nearest" });
  }

  #choose(row) {
    this.#mark(row);
    if (!row.box.checked) this.#turn(row, true);
    const missing = this.#goTo(row.place);
    if (missing) by("notice").textContent = missing;
  }

  get isUnsigned() {
    return this.#kept.size > 0 || (!this.#isSigned && this.#rows.some((row) => row.decision));
  }

  chooseId(id) {
    const row = this.#rows.find((one) => one.id === id);
    if (row) this.#choose(row);
  }

  isRejected(id) {
    return this.#rows.find((one) => one.id === id)?.decision === "rejected";
  }

  // To the next finding, or the one before.
  step(by) {
    const findings = this.#rows.filter((row) => !row.segments.some((segment) => segment.isAnatomy));
    if (!findings.length) return;
    const at = findings.indexOf(this.#rows[this.#at]);
    const next = at < 0 ? (by > 0 ? 0 : findings.length - 1) : (at + by + findings.length) % findings.length;
    this.#choose(findings[next]);
  }

  // Of the finding that was gone to last; then the next one that is open is gone to.
  decide(decision) {
    const row = this.#rows[this.#at];
    if (!row?.id || !this.#decide(row, decision)) return;
    const open = this.#rows.filter((other) => other.id && !other.decision);
    const next = open.find((other) => this.#rows.indexOf(other) > this.#at) ?? open[0];
    if (next) this.#choose(next);
  }

  // Of the finding that was gone to last.
  edit() {
    const row = this.#rows[this.#at];
    if (row?.id) this.#open(row);
  }

  // The form in which its values are edited.
  #open(row) {
    const unseen = this.#unseen(row);
    if (unseen || !Object.keys(row.found).length) {
      by("notice").textContent = unseen || words.findings.notEditable;
      return;
    }
    if (!row.form) {
      const now = row.edit ?? { ...row.found, ...row.before?.values };
      // Who accepts keeps an earlier edit: only values, be it those that were found, take it back.
      const done = (values, isNew) => {
        this.#close(row);
        row.edit = isNew || row.before ? values : null;
        this.#decide(row, row.edit ? "edited" : "accepted");
      };
      row.form = new EditForm({ label: row.label, found: row.found, now, lengths: this.#lengths, done, leave: () => this.#close(row) });
      row.item.insertBefore(row.form.node, row.comment);
    }
    row.form.focus();
    this.#count();
  }

  #close(row) {
    row.form?.node.remove();
    row.form = null;
    row.item.querySelector('[data-decision="edited"]').focus();
    this.#count();
  }

  // Returns whether it is decided: not about what nobody can see.
  #decide(row, decision) {
    const unseen = this.#unseen(row);
    if (unseen) {
      by("notice").textContent = unseen;
      return false;
    }
    this.#put(row, decision);
    this.#count();
    this.#redraw();
    return true;
  }

  #put(row, decision) {
    row.decision = decision;
    if (decision !== "edited" && row.form) this.#close(row);
    for (const button of row.item.querySelectorAll(".judge button")) {
      button.setAttribute("aria-pressed", String(button.dataset.decision === decision));
    }
    row.item.classList.toggle("rejected", decision === "rejected");
    row.item.classList.toggle("edited", decision === "edited");
    row.comment.hidden = decision !== "rejected" && decision !== "edited";
  }

  // What is being typed is not thrown away.
  #acceptRest() {
    by("notice").textContent = "";
    for (const row of this.#rows) if (row.id && !row.decision && !row.form) this.#decide(row, "accepted");
    const typed = this.#rows.find((row) => row.form);
    if (!typed) return;
    const unseen = by("notice").textContent;
    by("notice").textContent = [unseen, words.findings.typed].filter(Boolean).join(" ");
    typed.form.focus();
  }

  #count() {
    // What is being edited is open, too.
    const open = this.#rows.filter((row) => row.id && (!row.decision || row.form)).length;
    by("review-open").textContent = open ? words.findings.open(open) : words.findings.allJudged;
    by("sign").disabled = open > 0;
    by("accept-rest").disabled = open === 0;
  }

  async #sign() {
    const name = by("reviewer").value.trim();
    // Another series may be shown when the answer comes.
    const series = this.#series;
    const isShown = () => this.#series?.series_uid === series.series_uid && reportOf(this.#series) === reportOf(series);
    const judged = this.#rows.filter((row) => row.id);
    const decisions = judged.map(({ id, decision, comment, edit }) =>
      ({ id, decision, comment: decision === "accepted" ? "" : comment.value.trim(), ...(decision === "edited" ? { edit } : {}) }));
    by("review-error").textContent = "";
    by("sign").disabled = true;
    try {
      await post("/reading/review", { series_uid: series.series_uid, report: reportOf(series), by: name, decisions });
      sessionStorage.setItem(NAME, name);
      this.#kept.delete(series.series_uid);
      if (!isShown()) return;
      this.#isSigned = true;
      by("review").hidden = true;
      const of = (which) => decisions.filter(({ decision }) => decision === which).length;
      by("notice").textContent = words.findings.signed(of("accepted"), of("edited"), of("rejected"));
      await this.#signed();
    } catch (error) {
      if (!isShown()) {
        by("notice").textContent = words.findings.notSigned(error.message);
        return;
      }
      by("review-error").textContent = error.message;
      this.#count();
    }
  }
}
