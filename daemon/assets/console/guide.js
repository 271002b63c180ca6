// Scan guidance: how the picture is adjusted, where the probe is, and what of each breast was looked at.

import { ask } from "./exam.js";
import { language, words } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);

// Rings from the nipple outwards; the map is drawn as somebody sees it who faces the patient, so the right breast is on the left.
const RINGS = { inner: [11, 26], middle: [26, 40], outer: [40, 53] };
const HOURS = [12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AXILLA = { right: [-44, -49], left: [44, -49] };
const SIDES = ["right", "left"];

function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

const at = (radius, hour) => {
  const angle = ((hour * 30 - 90) * Math.PI) / 180;
  return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
};
const sector = ([from, to], hour) =>
  `M${at(from, hour - 0.5)} L${at(to, hour - 0.5)} A${to} ${to} 0 0 1 ${at(to, hour + 0.5)} L${at(from, hour + 0.5)} A${from} ${from} 0 0 0 ${at(from, hour - 0.5)}Z`;

// A place in words: "3 o'clock, middle ring".
function named(spot) {
  const [hour, ring] = spot.split("-");
  return ring ? words.guide.hour(hour, words.guide[ring]) : words.guide[spot];
}

export class Guide {
  #notice;
  #exam = null;
  #guidance = { items: [], coverage: [], estimate: { en: "", zh: "" } };
  // By side and spot.
  #zones = new Map();

  constructor(notice) {
    this.#notice = notice;
    for (const side of SIDES) this.#draw(side);
    by("turn").addEventListener("click", () => this.step("turn"));
  }

  // The map of one breast, empty.
  #draw(side) {
    const svg = by(`clock-${side}`);
    const zone = (spot, shape, attributes) => {
      const element = make(shape, { ...attributes, class: "zone", "data-spot": spot, "data-side": side, "data-state": "not_swept" }, svg);
      make("title", {}, element);
      element.addEventListener("click", () => this.#say({ side, spot }));
      this.#zones.set(`${side} ${spot}`, element);
    };
    for (const [ring, radii] of Object.entries(RINGS)) {
      for (const hour of HOURS) zone(`${hour}-${ring}`, "path", { d: sector(radii, hour) });
    }
    zone("nipple", "circle", { r: 9 });
    const [x, y] = AXILLA[side];
    zone("axilla", "circle", { cx: x, cy: y, r: 8 });
    for (const hour of [12, 3, 6, 9]) {
      const [left, top] = at(58.5, hour).split(" ");
      make("text", { x: left, y: top, class: "hour" }, svg).textContent = hour;
    }
    make("text", { x, y, class: "hour" }, svg).textContent = "Ax";
  }

  // What the box tells of picture and breasts.
  told(guidance) {
    this.#guidance = guidance;
    const items = guidance.items.map(({ name, state, words: said, figures }) => {
      const item = document.createElement("li");
      item.dataset.item = name;
      item.dataset.state = state;
      item.className = state === "good" ? "good" : state === "not_judged" ? "unjudged" : "wrong";
      item.lang = language();
      item.textContent = said[language()];
      item.title = figures.map(({ name: figure, value, unit }) => `${figure} ${value} ${unit}`).join(", ");
      return item;
    });
    by("guidance").replaceChildren(...items);
    by("guidance").hidden = !items.length;
    this.#map();
  }

  exam(exam) {
    this.#exam = exam;
    by("map").hidden = !exam;
    this.#map();
  }

  #map() {
    const { coverage, estimate } = this.#guidance;
    const said = words.guide;
    const here = this.#exam?.probe && `${this.#exam.side} ${this.#exam.probe.spot}`;
    const states = new Map(coverage.map((one) => [`${one.side} ${one.spot}`, one]));
    for (const [key, element] of this.#zones) {
      const one = states.get(key);
      const state = one?.state ?? "not_swept";
      element.dataset.state = state;
      element.classList.toggle("here", key === here);
      const secs = one ? ` (${one.good_secs.toFixed(0)} s)` : "";
      element.firstChild.textContent = said.zone(said[element.dataset.side], named(element.dataset.spot), `${said.states[state]}${secs}`);
    }
    for (const side of SIDES) {
      const own = coverage.filter((one) => one.side === side);
      const count = (state) => own.filter((one) => one.state === state).length;
      by(`count-${side}`).textContent = said.count(said[side], count("looked_at"), count("too_fast"));
      by(`clock-${side}`).setAttribute("aria-label", by(`count-${side}`).textContent);
    }
    const probe = this.#exam?.probe;
    by("probe").textContent = probe ? said.at(said[this.#exam.side], named(probe.spot)) : said.unsaid;
    by("turn-word").textContent = said[probe?.plane ?? "plane"];
    by("turn").disabled = !probe;
    by("estimate").textContent = estimate[language()];
    for (const id of ["probe", "estimate", "turn-word", "count-right", "count-left"]) by(id).lang = language();
    for (const one of document.querySelectorAll("#legend [data-state]")) one.textContent = said.states[one.dataset.state];
  }

  // By a key or the button: next_hour, previous_hour, outward, inward, turn.
  step(step) {
    if (this.#exam) this.#say({ step });
  }

  nipple() {
    if (this.#exam?.side) this.#say({ spot: "nipple" });
  }

  axilla() {
    if (this.#exam?.side) this.#say({ spot: "axilla" });
  }

  #say(place) {
    if (!this.#exam) return;
    ask("/exam/probe", { ...place, seen: this.#exam.started_utc }).then(this.#notice, (error) => this.#notice(error.message, true));
  }
}
