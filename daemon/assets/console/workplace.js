// The page of one study: pictures, findings, documents, the study before.

import { CANNOT_BE_SHOWN, dated, element, json, local, sex, toolButton, toolGroup } from "./box.js";
import { readable } from "./name.js";
import { BreastPlace, priorButtons } from "./breast.js";
import { FindingList } from "./findings.js";
import { idOf, isMark, lesionItems } from "./lesion_list.js";
import { Together } from "./segments.js";
import { outdated, statements, together, whose } from "./told.js";
import { Viewer, WINDOWS } from "./viewer.js";
import { of, words } from "./words.js";

const by = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const IDLE_MS = 30000;

const complain = (error) => {
  by("connection").textContent = error.message;
};

const TOOLS = ["scroll", "window", "move", "measure"];
const JUDGES = ["a", "e", "r"];
const PLANES = ["slices", "coronal", "sagittal"];

export class Workplace {
  #uid = null;
  #study = null;
  #series = null;
  #viewer;
  #then;
  #findings;
  #buttons = new Map();
  #keys;
  #breast;
  // The findings of the series could not be loaded.
  #failed = false;
  #waited = 0;
  // Counts the earlier studies that were asked for, and closed.
  #beside = 0;
  // Study Instance UID of the earlier study that is shown beside.
  #earlier = null;

  constructor() {
    const told = () => this.#tell();
    this.#viewer = new Viewer(by("now"), words.study.ofNow, told);
    this.#then = new Viewer(by("then"), words.study.ofThen, () => {});
    this.#breast = new BreastPlace((mark) => this.#findings.chooseId(mark), (mark) => this.#findings.isRejected(mark), () => { location.hash = ""; });
    const unseen = (row) => (this.#breast.isOpen ? this.#breast.unseen(row.id) : this.#viewer.unseen(row.place));
    this.#findings = new FindingList((finding) => this.#goTo(finding), unseen, () => this.#redraw(), () => this.#load(), () => (this.#breast.isOpen ? null : this.#viewer.lengths));
    by("keys").addEventListener("click", () => this.#help());
    this.#keys = this.#shortcuts();
    this.#toolbar();
    by("now").addEventListener("pointermove", (event) => {
      const value = this.#viewer.valueAt(event);
      by("value").textContent = value === null ? "" : `${value} HU`;
    });
    setInterval(() => {
      this.#waited += REFRESH_MS;
      // What is done changes, too: late slices, a review that somebody else signs.
      const due = this.#study?.study.work || this.#failed || this.#waited >= IDLE_MS;
      if (!this.#uid || document.hidden || !due) return;
      this.#waited = 0;
      this.#load().catch(complain);
    }, REFRESH_MS);
  }

  get uid() {
    return this.#uid;
  }

  // Would decisions be lost with this page?
  get isUnsigned() {
    return this.#findings.isUnsigned;
  }

  async open(uid) {
    if (uid === this.#uid) return;
    this.close();
    this.#uid = uid;
    await this.#load().catch(complain);
    by(this.#breast.isOpen ? "hang" : "now").focus();
  }

  close() {
    this.#viewer.close();
    this.#breast.close();
    by("lesions-part").hidden = true;
    this.#closePrior();
    this.#uid = this.#study = this.#series = null;
    this.#failed = false;
    this.#findings.forget();
    by("patient-name").textContent = by("patient-facts").textContent = "";
    for (const id of ["value", "loaded", "verdict", "series", "priors", "documents", "mark-notes"]) by(id).textContent = "";
    by("mark").hidden = true;
    document.title = words.pages.title.studies;
  }

  key(event) {
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // A key that is held judges one finding; arrows go on.
    if (event.repeat && JUDGES.includes(name)) return;
    const act = this.#actions().get(event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${name}` : name);
    if (!act || (event.key === " " && event.target.closest("button, summary, a, input"))) return;
    if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
    act.run();
    event.preventDefault();
  }

  async #load() {
    const uid = this.#uid;
    const study = await json(`/reading/study/${encodeURIComponent(uid)}`);
    const views = study.series.filter((one) => one.kind === "mammography");
    let refused = "";
    const breast = views.length ? await json(`/reading/study/${encodeURIComponent(uid)}/breast`).catch((error) => {
      if (error.status !== CANNOT_BE_SHOWN) throw error;
      refused = [words.study.mammography, error.message].join(words.pages.colon);
      return null;
    }) : null;
    if (uid !== this.#uid) return;
    // Of another patient than it was: nothing of what is shown stays.
    const isCorrected = this.#study !== null && whose(this.#study.study) !== whose(study.study);
    if (isCorrected) {
      this.close();
      this.#uid = uid;
    }
    // All series of a mammography are read as one.
    if (breast) study.series = [together(views, breast), ...study.series.filter((one) => one.kind !== "mammography")];
    this.#study = study;
    const { study: row, series, priors } = study;
    this.#lesions(study);
    // No name: a browser keeps the titles of its pages.
    document.title = words.pages.title.study;
    by("mark").hidden = false;
    const said = [isCorrected && words.study.corrected, row.work && words.study.work(local(row.work.since_utc)), refused];
    by("connection").textContent = said.filter(Boolean).join(" · ");
    this.#listSeries(series);
    if (row.patients > 1) by("priors").replaceChildren(element("li", { className: "weak", textContent: words.study.shared }));
    else if (breast) by("priors").replaceChildren(...priorButtons(breast.priors, (prior) => this.#breast.showPrior(prior, "beside").catch(complain)));
    else this.#listPriors(priors);
    if (breast && this.#breast.isOpen) this.#breast.setPriors(breast.priors);
    if (this.#earlier && !priors.some((prior) => prior.study_uid === this.#earlier)) this.#closePrior();
    const open = this.#series && series.find((one) => one.id === this.#series.id);
    const first = series.find((one) => one.findings) ?? series.find((one) => one.instance_count > 1) ?? series[0];
    const keeps = Boolean(open) && !this.#failed && open.instance_count === this.#series.instance_count && open.pictures === this.#series.pictures;
    const isSame = keeps && open.version === this.#series.version && open.finished_utc === this.#series.finished_utc && open.verdict === this.#series.verdict;
    if (!isSame && (open ?? first)) await this.#show(open ?? first, keeps);
    else this.#sayWho();
  }

  // The patient of the study; of one that several patients share, that of the series that is shown.
  #sayWho() {
    const { study: row } = this.#study;
    const several = row.patients > 1;
    const who = several && this.#series ? this.#series.patient : row;
    by("patient-name").textContent = readable(who.patient_name) || words.pages.noName;
    const facts = [who.patient_id && words.pages.id(who.patient_id), who.birth_date && words.pages.born(dated(who.birth_date)), sex(who.sex), dated(row.study_date)];
    if (several) facts.push(words.study.sharing(row.patients));
    else facts.push(row.description, row.accession_number);
    by("patient-facts").textContent = facts.filter(Boolean).join(" · ");
  }

  #listSeries(series) {
    by("series").replaceChildren(...series.map((one) => {
      const whom = this.#study.study.patients > 1 ? readable(one.patient.patient_name) || words.pages.noName : "";
      const said = [whom, one.modality, one.description || (words.study.kinds[one.kind] ?? one.kind), words.study.images(one.kind === "exam" ? one.results.filter(({ kind }) => kind === "us-key").length : one.instance_count)].filter(Boolean).join(" · ");
      const button = element("button", { type: "button", textContent: said });
      button.setAttribute("aria-pressed", String(one.id === this.#series?.id));
      button.addEventListener("click", () => this.#show(one));
      return element("li", {}, button);
    }));
  }

  #listPriors(priors) {
    by("priors").replaceChildren(...priors.map((prior) => {
      const button = element("button", { type: "button", textContent: words.study.beside(`${dated(prior.study_date)} ${prior.description}`) });
      button.addEventListener("click", () => this.#putBeside(prior).catch(complain));
      return element("li", {}, button);
    }));
    if (!priors.length) by("priors").append(element("li", { className: "weak", textContent: words.study.noPriors }));
  }

  // `again`: the same series has a new result; the pictures stay.
  async #show(series, again = false) {
    this.#series = series;
    this.#failed = false;
    this.#sayWho();
    // Nothing of an older version stays beside the new verdict, not even for a moment.
    this.#viewer.segments = null;
    this.#viewer.draw(true);
    this.#findings.clear();
    [...by("series").querySelectorAll("button")].forEach((button, index) =>
      button.setAttribute("aria-pressed", String(this.#study.series[index]?.id === series.id)));
    // One statement a line.
    const own = [...(series.outdated ? [outdated(this.#study.study)] : []), ...(series.verdict ? [] : [words.study.noVerdict])];
    const told = series.verdict ? statements(series.verdict) : [];
    by("verdict").replaceChildren(...own.map((said) => element("li", { textContent: said })), ...told.map((said) => element("li", { textContent: said, lang: "en" })));
    this.#documents(series);
    if (series.breast) return this.#hang(series, again);
    if (this.#breast.isOpen) this.#breast.close();
    this.#listKeys();
    const { learnt, learnt_zh: zh } = series.findings ?? {};
    by("mark-notes").replaceChildren(...(learnt ? [element("li", { textContent: words.study.learnt(of({ en: learnt, zh })) })] : []));
    try {
      if (!again && !(await this.#viewer.open(series.id, series.description || series.modality))) return;
      if (series !== this.#series) return;
      const segs = series.results.filter((result) => result.kind === "seg").map((result) => result.id);
      const segments = await Together.open(segs, this.#viewer.stack);
      if (series !== this.#series) return;
      this.#viewer.segments = segments;
      await this.#findings.show(series, segments);
      this.#viewer.draw(true);
    } catch (error) {
      if (series !== this.#series) return;
      this.#failed = true;
      by("findings-note").textContent = words.pages.again(error.message);
    }
    this.#tell();
  }

  // The mammography of the study.
  async #hang(series, again) {
    this.#viewer.close();
    this.#closePrior();
    const marks = this.#breast.open(this.#uid, this.#study.study.study_date, series.breast, again && this.#breast.isOpen);
    this.#listKeys();
    await this.#findings.show(series, marks);
    this.#redraw();
    this.#tell();
  }

  #redraw() {
    if (this.#breast.isOpen) this.#breast.redraw();
    else this.#viewer.draw(true);
  }

  // Of a patient with pictures of the breast; of several patients in one study nobody's.
  async #lesions(study) {
    const { study: { study_uid: uid, patients }, series } = study;
    const shows = patients < 2 && series.some((one) => ["mammography", "ultrasound", "exam"].includes(one.kind));
    by("lesions-part").hidden ||= !shows;
    if (!shows) return;
    try {
      const told = await json(`/reading/study/${encodeURIComponent(uid)}/lesions`);
      if (uid !== this.#uid || whose(study.study) !== whose(this.#study.study)) return;
      by("lesion-list").replaceChildren(...lesionItems(told, uid, (shown) => this.#seriesOf(shown), (shown) => this.#goToMark(shown)));
      by("lesions-part").hidden = false;
    } catch (error) {
      complain(error);
    }
  }

  // The series in which the mark of a sighting is listed.
  #seriesOf(shown) {
    return this.#study?.series.find((one) => (one.findings?.listed ?? []).some((mark) => isMark(one, mark, shown)));
  }

  async #goToMark(shown) {
    const series = this.#seriesOf(shown);
    if (!series) return;
    if (series.id !== this.#series?.id) await this.#show(series);
    if (series.id === this.#series?.id) this.#findings.chooseId(idOf(shown));
  }

  #documents(series) {
    const pdfs = series.results.filter((result) => result.kind === "pdf");
    by("documents").replaceChildren(...pdfs.map((result, index) => {
      const { report, reportIn, english, chinese, document: other } = words.study;
      const said = pdfs.length > 1 ? reportIn([english, chinese][index] ?? other(index + 1)) : report;
      return element("li", {}, element("a", { href: `/reading/result/${result.id}/document`, target: "_blank", rel: "noopener", textContent: said }));
    }));
    if (!pdfs.length) by("documents").append(element("li", { className: "weak", textContent: words.study.none }));
  }

  #goTo(finding) {
    if (this.#breast.isOpen) return this.#breast.choose(finding.slice);
    this.#viewer.show(finding);
    this.#tell();
    return "";
  }

  async #putBeside(prior) {
    this.#beside += 1;
    const mine = this.#beside;
    const { study, series } = await json(`/reading/study/${encodeURIComponent(prior.study_uid)}`);
    // Another patient, or another study, was opened meanwhile.
    if (mine !== this.#beside) return;
    if (study.patients > 1) throw new Error(words.study.several(dated(prior.study_date), study.patients));
    const first = series.find((one) => one.findings) ?? series[0];
    if (!first) return;
    this.#earlier = prior.study_uid;
    by("then").hidden = false;
    this.#then.window = [...this.#viewer.window];
    await this.#then.open(first.id, `${words.study.earlier(dated(prior.study_date))} · ${first.description || first.modality}`);
  }

  #closePrior() {
    this.#beside += 1;
    this.#earlier = null;
    by("then").hidden = true;
    this.#then.close();
  }

  #tell() {
    if (this.#breast.isOpen) return;
    const { stack } = this.#viewer;
    by("loaded").textContent = stack && !stack.isComplete ? words.study.loaded(stack.loaded, stack.length) : "";
    for (const [name, button] of this.#buttons) {
      const [group, value] = name.split(" ");
      if (group === "tool") button.setAttribute("aria-pressed", String(this.#viewer.tool === value));
      if (group === "plane") {
        button.setAttribute("aria-pressed", String(this.#viewer.plane === value));
        button.disabled = value !== "slices" && !stack?.isVolume;
      }
      if (group === "marks") button.setAttribute("aria-pressed", String(this.#viewer.showsMarks));
    }
  }

  #both(act) {
    act(this.#viewer);
    if (!by("then").hidden) act(this.#then);
    this.#tell();
  }

  #toolbar() {
    const add = (name, ...told) => {
      const button = toolButton(...told);
      this.#buttons.set(name, button);
      return button;
    };
    const windows = Object.keys(WINDOWS).map((name, i) => add(`window ${i}`, words.tools.windows[name], () => this.#both((v) => v.turnOn(name)), String(i + 1)));
    const tools = TOOLS.map((tool) => add(`tool ${tool}`, words.tools[tool], () => this.#both((v) => { v.tool = tool; })));
    const planes = PLANES.map((plane) => add(`plane ${plane}`, words.tools[plane], () => this.#both((v) => v.cutAlong(plane))));
    by("tools").replaceChildren(
      toolGroup(words.tools.window, ...windows), toolGroup(words.tools.pointer, ...tools), toolGroup(words.tools.plane, ...planes),
      toolGroup(words.tools.picture,
        add("marks on", words.tools.marks, () => this.#marks(), "O"),
        add("zoom in", "+", () => this.#both((v) => v.magnify(1.25)), ""),
        add("zoom out", "−", () => this.#both((v) => v.magnify(0.8)), ""),
        add("fit", words.tools.fit, () => this.#both((v) => v.fit()), "F")));
    this.#buttons.get("zoom in").setAttribute("aria-label", words.tools.larger);
    this.#buttons.get("zoom out").setAttribute("aria-label", words.tools.smaller);
    this.#listKeys();
  }

  // What the keys do now: those of the findings are the same for all pictures.
  #actions() {
    if (!this.#breast.isOpen) return this.#keys;
    const shared = ["n", "p", "a", "e", "r", "?"].map((key) => [key, this.#keys.get(key)]);
    return new Map([...this.#breast.keys, ...shared]);
  }

  #help() {
    const help = by("help");
    if (help.open) help.close();
    else help.showModal();
  }

  #listKeys() {
    by("key-list").replaceChildren(...[...this.#actions()].filter(([, act]) => act.words).flatMap(([key, act]) =>
      [element("dt", {}, element("kbd", { textContent: act.name ?? key })), element("dd", { textContent: act.words })]));
  }

  #marks() {
    this.#both((viewer) => {
      viewer.showsMarks = !viewer.showsMarks;
      viewer.draw(true);
    });
  }

  #shortcuts() {
    const { keys } = words;
    const scroll = (by) => () => this.#both((viewer) => viewer.step(by));
    const names = Object.keys(WINDOWS);
    const tool = (name) => () => this.#both((viewer) => { viewer.tool = viewer.tool === name ? "scroll" : name; });
    const turn = () => {
      const next = PLANES[(PLANES.indexOf(this.#viewer.plane) + 1) % PLANES.length];
      this.#both((viewer) => viewer.cutAlong(next));
    };
    return new Map([
      ["ArrowUp", { run: scroll(-1), name: "↑ ↓", words: keys.slice }],
      ["ArrowDown", { run: scroll(1) }],
      ["PageUp", { run: scroll(-10), name: keys.tenName, words: keys.ten }],
      ["PageDown", { run: scroll(10) }],
      ["Home", { run: scroll(-1e6), name: keys.endsName, words: keys.ends }],
      ["End", { run: scroll(1e6) }],
      ...names.map((name, i) => [String(i + 1), { run: () => this.#both((v) => v.turnOn(name)), words: keys.window(words.tools.windows[name]) }]),
      ["n", { run: () => this.#findings.step(1), name: "N", words: keys.next }],
      ["p", { run: () => this.#findings.step(-1), name: "P", words: keys.before }],
      ["a", { run: () => this.#findings.decide("accepted"), name: "A", words: keys.accept }],
      ["e", { run: () => this.#findings.edit(), name: "E", words: keys.edit }],
      ["r", { run: () => this.#findings.decide("rejected"), name: "R", words: keys.reject }],
      ["o", { run: () => this.#marks(), words: keys.marks }],
      ["v", { run: turn, words: keys.planes }],
      ["m", { run: tool("measure"), words: keys.measure }],
      ["w", { run: tool("window"), words: keys.drag }],
      ["x", { run: () => this.#both((v) => v.clearLines()), words: keys.remove }],
      ["f", { run: () => this.#both((v) => v.fit()), words: keys.whole }],
      ["?", { run: () => this.#help(), words: keys.list }],
      ["Escape", { run: () => (by("then").hidden ? (location.hash = "") : this.#closePrior()), words: keys.back }],
    ]);
  }
}
