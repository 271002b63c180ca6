// The part of a study's page that shows its mammography: the views as they hang, their tools and keys.

import { dated, element, json, toolButton, toolGroup } from "./box.js";
import { Hanging, STANDARD } from "./hanging.js";
import { Marks } from "./marks.js";
import { of, words } from "./words.js";

const by = (id) => document.getElementById(id);
const titleOf = (id) => { const [kind, number] = id.split("-"); return `${words.findings.names[kind] ?? kind} ${number}`; };
// One press of a key.
const STEP = { shift: 0.05, stretch: 1.12, zoom: 1.3, pan: 60 };

export class BreastPlace {
  #hanging;
  #buttons = new Map();
  #told = null;
  #prior = null;
  #uid = null;
  #date = "";

  // `chosen`: a mark was pointed at; `back`: out of this study.
  constructor(chosen, decided, back) {
    this.back = back;
    this.#hanging = new Hanging(by("hang"), () => this.#tell());
    this.#hanging.onChosen = chosen;
    this.#hanging.rejected = decided;
    this.#toolbar();
    by("mg-look").addEventListener("change", () => this.#change((h) => { h.look = { ...STANDARD, inverted: h.look.inverted, which: Number(by("mg-look").value) }; }));
    by("mg-frame").addEventListener("input", () => this.#hanging.showFrame(Number(by("mg-frame").value)));
    this.keys = this.#shortcuts();
  }

  get isOpen() {
    return !by("breast").hidden;
  }

  // `told`: of the box. `again`: the same pictures with new results. Returns what the list of findings needs.
  open(uid, date, told, again) {
    this.#uid = uid;
    this.#date = date;
    this.#told = told;
    by("breast").hidden = by("mg-tools").hidden = false;
    by("stages").hidden = by("tools").hidden = true;
    if (!again) {
      this.#prior = null;
      this.#hanging.forget();
      this.#hanging.open(told.hanging.places, { date });
    }
    const marks = told.marked ? new Marks(told.marked) : null;
    this.#hanging.marks = marks;
    this.#hanging.chosen = null;
    by("learnt").hidden = !told.marked;
    by("learnt").replaceChildren(...(told.marked ? [element("strong", { textContent: words.breast.learnt }), ` ${of({ en: told.marked.learnt, zh: told.marked.learnt_zh })}${words.pages.stop}`] : []));
    const notes = told.marked ? of({ en: told.marked.notes, zh: told.marked.notes_zh?.length ? told.marked.notes_zh : null }) : told.outdated ? [] : [words.breast.notLooked];
    by("mark-notes").replaceChildren(...notes.map((said) => element("li", { textContent: said })));
    this.#others(told.hanging.others, again);
    this.#hanging.draw();
    return marks;
  }

  close() {
    by("breast").hidden = by("mg-tools").hidden = true;
    by("stages").hidden = by("tools").hidden = false;
    by("mark-notes").replaceChildren();
    by("study-view").classList.remove("wide");
    this.#hanging.close();
    this.#hanging.forget();
    this.#told = this.#uid = this.#prior = null;
  }

  // Shows a mark: where another image is shown the four views come back, and an image that hangs nowhere is opened. Returns what to say where
  // its image is not here.
  choose(id) {
    const { hung, other } = this.#imageOf(id);
    if (hung && this.#isOther) this.#all();
    else if (other >= 0) this.#showOther(other);
    this.#hanging.choose(id);
    return id !== null && !hung && other < 0 ? words.breast.nowhere(titleOf(id)) : "";
  }

  // Why a mark cannot be judged: nobody can see it. Empty where that is not so.
  unseen(id) {
    const { uid, hung, other } = this.#imageOf(id);
    if (!hung && other < 0) return words.breast.nowhere(titleOf(id));
    return this.#hanging.lacks(uid) ? words.breast.notThere(titleOf(id)) : "";
  }

  // Of a mark: its image, whether that hangs among the four, else which of the others it is (-1: none).
  #imageOf(id) {
    const { places, others } = this.#told.hanging;
    const uid = this.#hanging.marks?.find(id)?.sop_instance_uid;
    const is = (image) => uid !== undefined && image?.sop_instance_uid === uid;
    const hung = places.some(({ image }) => is(image));
    return { uid, hung, other: hung ? -1 : others.findIndex(is) };
  }

  redraw() {
    this.#hanging.draw();
  }

  // What is known of the person now: an earlier mammography that turned out to be another's is closed.
  setPriors(priors) {
    this.#told.priors = priors;
    if (!this.#prior || priors.some((one) => one.study_uid === this.#prior)) return;
    this.#prior = null;
    this.#hanging.closePrior();
    this.#tell();
  }

  // An earlier mammography: "beside", or "flip" for the same places.
  async showPrior(prior, mode) {
    if (!prior) return;
    // An earlier study is compared with the four views.
    if (this.#isOther) this.#all();
    const uid = this.#uid;
    if (this.#prior !== prior.study_uid) {
      const { hanging } = await json(`/reading/study/${encodeURIComponent(prior.study_uid)}/breast`);
      // Another study is shown meanwhile, or this one is known to be no earlier one any more.
      if (uid !== this.#uid || !this.#told.priors.some((one) => one.study_uid === prior.study_uid)) return;
      this.#prior = prior.study_uid;
      this.#hanging.openPrior(hanging.places, { date: prior.study_date }, mode);
    } else {
      this.#hanging.setMode(mode);
    }
    this.#tell();
  }

  #toggle(mode) {
    if (this.#hanging.mode === mode) this.#hanging.setMode("now");
    else this.showPrior(this.#told.priors.find((one) => one.study_uid === this.#prior) ?? this.#told.priors[0], mode).catch((error) => { by("connection").textContent = error.message; });
  }

  // Is an image shown that hangs nowhere?
  get #isOther() {
    return by("mg-others").value !== "";
  }

  // `again`: what is shown stays chosen.
  #others(others, again) {
    const choice = by("mg-others");
    const kept = again ? choice.value : "";
    by("mg-others-label").hidden = !others.length;
    choice.replaceChildren(element("option", { value: "", textContent: words.breast.others }),
      ...others.map((one, index) => element("option", { value: String(index), textContent: one.frames > 1 ? words.breast.frames(one.name, one.frames) : one.name })));
    choice.value = kept;
    choice.onchange = () => {
      if (this.#isOther) this.#hanging.showOther(others[Number(choice.value)], { date: this.#date });
      else this.#four();
      by("hang").focus();
    };
  }

  #showOther(index) {
    const choice = by("mg-others");
    if (choice.value === String(index)) return;
    choice.value = String(index);
    this.#hanging.showOther(this.#told.hanging.others[index], { date: this.#date });
  }

  // All four again, also after another image.
  #all() {
    if (this.#isOther) this.#four();
    else this.#hanging.enlarge(null);
  }

  #four() {
    const { marks } = this.#hanging;
    by("mg-others").value = "";
    this.#prior = null;
    this.#hanging.open(this.#told.hanging.places, { date: this.#date });
    this.#hanging.marks = marks;
  }

  #leave() {
    if (this.#hanging.large !== null) this.#all();
    else if (this.#hanging.mode !== "now") this.#hanging.setMode("now");
    else this.back();
  }

  #tool(name) {
    this.#hanging.tool = this.#hanging.tool === name ? "move" : name;
    this.#tell();
  }

  #change(act) {
    act(this.#hanging);
    this.#hanging.draw();
    this.#tell();
  }

  #standard() {
    this.#change((hanging) => { hanging.look = { ...STANDARD }; });
  }

  #wide() {
    by("study-view").classList.toggle("wide");
    this.#tell();
  }

  #toolbar() {
    const { breast, tools } = words;
    const add = (name, ...told) => {
      const button = toolButton(...told);
      this.#buttons.set(name, button);
      return button;
    };
    by("mg-tools").prepend(
      toolGroup(breast.layout, add("four", breast.four, () => this.#all(), "0"), add("row", breast.row, () => this.#change((h) => h.turnRow()), "L"),
        add("beside", breast.beside, () => this.#toggle("beside"), "B"), add("flip", breast.flip, () => this.#toggle("flip"), "T")),
      toolGroup(tools.window, add("window", tools.window, () => this.#tool("window"), "W"), add("standard", breast.standard, () => this.#standard(), "D"),
        add("invert", breast.invert, () => this.#change((h) => { h.look.inverted = !h.look.inverted; }), "I")),
      toolGroup(tools.larger, add("smaller", "−", () => this.#hanging.zoom(1 / STEP.zoom), "", tools.smaller), add("larger", "+", () => this.#hanging.zoom(STEP.zoom), "", tools.larger),
        add("fit", tools.fit, () => this.#hanging.fit(), "F")),
      toolGroup(tools.marks, add("marks", tools.marks, () => this.#change((h) => { h.showsMarks = !h.showsMarks; }), "O"), add("wide", breast.wide, () => this.#wide(), "S")));
  }

  #tell() {
    const { mode, large, inRow, tool, showsMarks, look, marks } = this.#hanging;
    const press = (name, on, off = false) => {
      const button = this.#buttons.get(name);
      if (!button) return;
      button.setAttribute("aria-pressed", String(on));
      button.disabled = off;
    };
    const noPrior = !this.#told?.priors.length;
    press("four", large === null && mode === "now");
    press("row", inRow, large !== null || mode === "beside");
    press("beside", mode === "beside" && large === null, noPrior);
    press("flip", mode === "flip", noPrior);
    press("window", tool === "window");
    press("invert", look.inverted);
    press("marks", showsMarks && Boolean(marks), !marks);
    press("wide", by("study-view").classList.contains("wide"));
    for (const name of ["larger", "smaller", "fit"]) this.#buttons.get(name).disabled = large === null;
    if (!this.#told) return;
    this.#looks(look.which);
    const [frame, frames] = this.#hanging.frames;
    by("mg-frame").hidden = frames < 2;
    Object.assign(by("mg-frame"), { max: frames, value: frame });
    const [loaded, all] = this.#hanging.loaded;
    by("loaded").textContent = loaded < all ? words.study.loaded(loaded, all) : "";
    by("hang").dataset.complete = String(this.#hanging.isComplete);
    by("hang").dataset.mode = mode;
    by("hang").dataset.large = large ?? "";
  }

  // The windows of the files, where there is a choice.
  #looks(which) {
    const { looks } = this.#hanging;
    const choice = by("mg-look");
    choice.hidden = looks.length < 2;
    const named = looks.map((name, index) => name || words.breast.windowNumber(index + 1));
    if ([...choice.options].map((one) => one.textContent).join("\n") !== named.join("\n")) {
      choice.replaceChildren(...named.map((textContent, value) => element("option", { value, textContent, translate: false })));
    }
    choice.value = String(which);
  }

  #shortcuts() {
    const { keys } = words.breast;
    const hanging = this.#hanging;
    const view = (index) => () => {
      const at = hanging.mode === "flip" ? index + 4 : index;
      if (this.#isOther) this.#all();
      hanging.enlarge(hanging.large === at ? null : at);
    };
    const window = (shift, stretch) => () => hanging.changeWindow(shift, stretch);
    const pan = (dx, dy) => () => hanging.panBy(dx * STEP.pan, dy * STEP.pan);
    return new Map([
      ["1", { run: view(0), name: "1 – 4", words: keys.view }], ["2", { run: view(1) }], ["3", { run: view(2) }], ["4", { run: view(3) }],
      ["0", { run: () => this.#all(), name: "0, Esc", words: keys.all }], ["Escape", { run: () => this.#leave() }],
      ["o", { run: () => this.#change((h) => { h.showsMarks = !h.showsMarks; }), name: "O", words: words.keys.marks }],
      ["ArrowUp", { run: window(-STEP.shift, 1), name: "↑ ↓", words: keys.brighter }], ["ArrowDown", { run: window(STEP.shift, 1) }],
      ["ArrowLeft", { run: window(0, STEP.stretch), name: "← →", words: keys.contrast }], ["ArrowRight", { run: window(0, 1 / STEP.stretch) }],
      ["d", { run: () => this.#standard(), name: "D", words: keys.standard }],
      ["i", { run: () => this.#change((h) => { h.look.inverted = !h.look.inverted; }), name: "I", words: keys.invert }],
      ["w", { run: () => this.#tool("window"), name: "W", words: keys.tool }],
      ["b", { run: () => this.#toggle("beside"), name: "B", words: keys.beside }], ["t", { run: () => this.#toggle("flip"), name: "T", words: keys.flip }],
      ["l", { run: () => this.#change((h) => h.turnRow()), name: "L", words: keys.row }],
      ["+", { run: () => hanging.zoom(STEP.zoom), name: "+ −", words: keys.zoom }], ["=", { run: () => hanging.zoom(STEP.zoom) }], ["-", { run: () => hanging.zoom(1 / STEP.zoom) }],
      ["Shift+ArrowUp", { run: pan(0, 1), name: keys.panName, words: keys.pan }], ["Shift+ArrowDown", { run: pan(0, -1) }],
      ["Shift+ArrowLeft", { run: pan(1, 0) }], ["Shift+ArrowRight", { run: pan(-1, 0) }],
      ["PageUp", { run: () => hanging.showFrame(hanging.frames[0] - 1), name: keys.frameName, words: keys.frame }], ["PageDown", { run: () => hanging.showFrame(hanging.frames[0] + 1) }],
      ["f", { run: () => hanging.fit(), name: "F", words: keys.fit }],
      ["s", { run: () => this.#wide(), name: "S", words: keys.wide }],
    ]);
  }
}

// The earlier mammographies as buttons.
export function priorButtons(priors, show) {
  if (!priors.length) return [element("li", { className: "weak", textContent: words.study.noPriors })];
  return priors.map((prior) => {
    const button = element("button", { type: "button", textContent: [words.breast.beside, `${dated(prior.study_date)} ${prior.description}`].join(words.pages.colon) });
    button.addEventListener("click", () => show(prior));
    return element("li", {}, button);
  });
}
