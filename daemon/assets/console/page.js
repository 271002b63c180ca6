// Connects the parts: what comes from the box, what is shown, what the keys and buttons ask.

import { json } from "./box.js";
import { connect } from "./connection.js";
import { Exam, ask } from "./exam.js";
import { Figures } from "./figures.js";
import { Guide } from "./guide.js";
import { LesionList } from "./lesions.js";
import { offerLogout } from "./logout.js";
import { OverlayLayer } from "./overlay.js";
import { Places, words as placeWords } from "./place.js";
import { Picture } from "./picture.js";
import { Sign } from "./sign.js";
import { Sound } from "./sound.js";
import { language, translate, words } from "./words.js";

translate();

// An overlay that belongs to an older picture than this says nothing about the one that is shown.
const OLDEST_MS = 500;
const LOOK_EVERY_MS = 100;
// Overlays that came before their pictures.
const MOST_WAITING = 64;

const by = (id) => document.getElementById(id);
const state = { status: null, overlay: null, overlayAt: 0, waiting: [], connected: false };
const sign = new Sign();
const picture = new Picture(by("picture"));
const layer = new OverlayLayer(by("overlay"));
const places = new Places(notice);
const list = new LesionList(by("lesions"), by("none"), by("count"), (lesion) => placeWords(places.of(lesion)));
const figures = new Figures();
const sound = new Sound(by("sound"), by("sound-word"));
const exam = new Exam(notice);
const guide = new Guide(notice);

const signState = () => (state.connected ? state.status?.sign.state ?? "off" : "failed");

// How far the overlay is behind: [its age, how much older than the shown picture its own is], ms.
function overlayAge(now) {
  const age = state.overlay.age_ms + now - state.overlayAt;
  return [age, picture.shownAfter(state.overlay.sequence)];
}

// An overlay is not shown before its picture, which is longer on its way.
function nextOverlay() {
  while (state.waiting[0]?.overlay.sequence <= picture.sequence) {
    const { overlay, at } = state.waiting.shift();
    state.overlay = overlay;
    state.overlayAt = at;
  }
}

function refresh() {
  const now = performance.now();
  nextOverlay();
  const paused = signState() === "paused";
  let visible = false;
  let shownAge = null;
  if (state.overlay && (paused || signState() === "ready")) {
    const [age, behind] = overlayAge(now);
    // A picture that stands still on purpose keeps its overlay.
    visible = behind <= OLDEST_MS && (paused || age <= OLDEST_MS);
    shownAge = paused ? behind : age;
  }
  const lesions = visible ? state.overlay.lesions : null;
  if (visible) layer.draw(lesions, picture.size);
  else layer.clear();
  places.see(lesions);
  list.show(lesions);
  figures.overlayAge(visible ? shownAge : null);
}

function showStatus() {
  const status = state.status;
  sign.show(state.connected, status);
  if (!status) return;
  const mark = by("mark");
  mark.hidden = !status.mark;
  mark.textContent = status.mark ? words.pages.mark : "";
  by("simulated").hidden = !status.simulated;
  exam.show(status.exam);
  places.show(status.exam, status.size);
  list.placed();
  guide.exam(status.exam);
  showScreen(status.name_on_screen);
  figures.source(status);
  const frozen = status.sign.state === "paused";
  by("freeze").setAttribute("aria-pressed", String(frozen));
  by("freeze-word").textContent = frozen ? words.live.unfreeze : words.live.freeze;
  refresh();
}

// Whether the scanner's screen shows the patient of the exam. That it does is said in few words; that it does not, plainly.
function showScreen(agreement) {
  const label = by("screen");
  label.hidden = !agreement;
  label.classList.toggle("bad", agreement?.state === "differs");
  label.classList.toggle("good", agreement?.state === "agrees");
  const { same, other, why, unclear } = words.live;
  label.textContent = { agrees: same, differs: other }[agreement?.state] ?? unclear(why[agreement?.reason] ?? why.unclear);
}

// Whether the exam is kept: who relies on it must see at once when it is not.
function showRecording(recording) {
  const label = by("recording");
  const failed = recording.state === "failed";
  label.hidden = recording.state === "off";
  label.classList.toggle("bad", failed);
  label.textContent = failed ? words.live.notRecorded(recording.reason) : words.live.recording;
}

// What the box may not do now, for whoever stands before it: bus and command line say the same.
function showLevel({ level, reason }) {
  const label = by("level");
  label.hidden = level === "full";
  label.textContent = label.hidden ? "" : [words.live.level[level] ?? level, reason].filter(Boolean).join(words.pages.colon);
}

// That the box is hot, where, and what to do: in the language of the browser, for whoever stands before it can help.
function showHeat({ condition, words: told }) {
  const label = by("heat");
  const lang = language();
  const said = told[lang];
  label.dataset.condition = condition;
  // A live region that is written again is read out again.
  if (label.textContent === said && label.lang === lang) return;
  label.hidden = !said;
  label.lang = lang;
  label.textContent = said;
}

// Without a connection nobody knows whose exam runs or whether it is recorded, and nothing can be asked: what was told before must not stand
// there as if it were so now.
function forget() {
  state.connected = false;
  document.querySelector("aside").inert = true;
  for (const id of ["level", "heat", "screen", "side"]) {
    by(id).hidden = true;
    by(id).textContent = "";
  }
  by("guidance").hidden = true;
  guide.exam(null);
  const recording = by("recording");
  if (!recording.hidden) {
    recording.classList.add("bad");
    recording.textContent = words.live.recordingUnknown;
  }
  by("patient").classList.add("past");
  if (state.status?.exam) by("patient-facts").textContent = words.live.beforeLost;
}

// The first word of the box, on a new connection or the old one.
function know() {
  state.connected = true;
  document.querySelector("aside").inert = false;
  by("patient").classList.remove("past");
}

function notice(said, bad = false) {
  by("notice").textContent = said;
  by("notice").classList.toggle("bad", bad);
}

const send = connect({
  connected() {
    by("connection").textContent = words.live.connected;
    by("connection").classList.remove("lost");
  },
  lost(said) {
    by("connection").textContent = said;
    by("connection").classList.add("lost");
    sign.show(false, state.status);
    forget();
    refresh();
  },
  async picture(buffer) {
    const sequence = await picture.show(buffer);
    send({ seen: sequence });
    figures.picture();
    refresh();
  },
  status(status) {
    know();
    // Another exam: its lesions are other ones.
    if (status.exam?.study_uid !== state.status?.exam?.study_uid) sound.forget();
    // A page that was opened in a running exam has no picture of another one.
    const isOther = state.status && status.exam?.started_utc !== state.status.exam?.started_utc;
    if (isOther || ["no_signal", "failed"].includes(status.sign.state)) picture.clear();
    state.status = status;
    showStatus();
  },
  overlay(overlay) {
    // The device began again: what waits belongs to pictures that never come.
    if (overlay.sequence < state.waiting.at(-1)?.overlay.sequence) state.waiting = [];
    state.waiting.push({ overlay, at: performance.now() });
    if (state.waiting.length > MOST_WAITING) state.waiting.shift();
    refresh();
    sound.hear(overlay.lesions);
  },
  stats: (stats) => figures.stats(stats),
  recording: showRecording,
  guide: (told) => guide.told(told),
  level: showLevel,
  heat: showHeat,
});

const freeze = () => ask("/freeze", { on: signState() !== "paused" }).then(notice, (error) => notice(error.message, true));
const mark = () => ask("/mark").then(notice, (error) => notice(error.message, true));

function onClick(id, act) {
  by(id).addEventListener("click", (event) => {
    act();
    // After a tap or click the space bar means freeze again; whoever came by keyboard stays where they are.
    if (event.detail > 0 && !by("exam-dialog").open && !by("place-dialog").open) by("stage").focus();
  });
}
onClick("freeze", freeze);
onClick("keep", mark);
onClick("exam", () => exam.press());
onClick("identify", () => exam.identify());
onClick("sound", () => sound.toggle());

// Keys that move the probe in the map, and those that move a lesion around the nipple.
const STEPS = { arrowright: "next_hour", arrowleft: "previous_hour", arrowup: "outward", arrowdown: "inward", t: "turn" };
const MOVES = { ",": { hours: -1 }, ".": { hours: 1 }, "-": { mm: -5 }, "+": { mm: 5 }, "=": { mm: 5 } };

document.addEventListener("keydown", (event) => {
  // The form, not the focus: that stays in it for a moment after it was closed.
  const typing = by("exam-dialog").open || by("place-dialog").open;
  if (!state.connected || typing || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const onControl = event.target.closest("button, summary");
  const key = event.key.toLowerCase();
  if (key === " " && !onControl) freeze();
  else if (key === "m") mark();
  else if (key === "e") exam.press();
  else if (key === "p") exam.identify();
  else if (key === "c") places.open();
  else if (key === "r") places.scan("right");
  else if (key === "l") places.scan("left");
  else if (key === "n") guide.nipple();
  else if (key === "x") guide.axilla();
  else if (STEPS[key] && state.status?.exam) guide.step(STEPS[key]);
  else if (MOVES[key]) places.move(MOVES[key]);
  else return;
  event.preventDefault();
});

setInterval(refresh, LOOK_EVERY_MS);
json("/pages").then((pages) => offerLogout(pages)).catch(() => {});
