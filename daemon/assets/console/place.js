// Which breast is scanned, and where in it a lesion is: said by whoever scans, since no picture shows it.

import { ask } from "./exam.js";
import { words as said } from "./words.js";

const by = (id) => document.getElementById(id);
const SIDES = ["right", "left"];
// Where keys begin for the ring in which the probe is; no lesion lies further from the nipple than that.
const BEGIN_MM = { inner: 15, middle: 45, outer: 75 };
const MOST_MM = 300;

// As it is said: "left, 2 o'clock, 40 mm from the nipple"; empty when nothing is known.
export function words(place) {
  if (!place) return "";
  const clock = place.clock && said.lesion.clock(place.clock);
  const distance = place.distance_mm !== undefined && said.lesion.distance(Math.round(place.distance_mm));
  return [said.lesion[place.side], clock, distance].filter(Boolean).join(said.pages.comma);
}

export class Places {
  #notice;
  #exam = null;
  #size = [0, 0];
  #latest = null;
  // The exam, and the size of its pictures, for which the lesions in the open form have their numbers.
  #seen = null;

  constructor(notice) {
    this.#notice = notice;
    for (const side of SIDES) by(`side-${side}`).addEventListener("click", () => this.scan(side));
    by("place").addEventListener("click", () => this.open());
    by("place-cancel").addEventListener("click", () => by("place-dialog").close());
    by("place-dialog").addEventListener("close", () => by("stage").focus());
    by("place-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(new FormData(event.target));
    });
    by("place-form").elements.lesion.addEventListener("change", () => this.#fill());
  }

  show(exam, size) {
    const isNew = exam?.started_utc !== this.#exam?.started_utc || String(size) !== String(this.#size);
    this.#exam = exam;
    this.#size = size;
    for (const id of ["sides", "place"]) by(id).hidden = !exam;
    for (const side of SIDES) by(`side-${side}`).setAttribute("aria-pressed", String(exam?.side === side));
    const label = by("side");
    label.hidden = !exam?.side;
    label.textContent = exam?.side ? said.live.sideOf[exam.side] : "";
    if (!isNew) return;
    // Lesions are numbered anew: what is in the form is of another one.
    this.#latest = null;
    if (!by("place-dialog").open) return;
    by("place-dialog").close();
    this.#notice(said.live.placeClosed, true);
  }

  // The lesions of the overlay that is shown: the newest number is the one that is most likely meant.
  see(lesions) {
    if (lesions?.length) this.#latest = Math.max(...lesions.map((lesion) => lesion.id));
  }

  of(lesion) {
    return this.#exam?.places?.[lesion];
  }

  // Pressed again, it is not said any more.
  scan(side) {
    if (!this.#exam) return;
    const wanted = this.#exam.side === side ? null : side;
    ask("/exam/side", { side: wanted }).then(this.#notice, (error) => this.#notice(error.message, true));
  }

  open(lesion = this.#latest) {
    if (!this.#exam || by("place-dialog").open) return;
    this.#seen = { started_utc: this.#exam.started_utc, size: this.#size };
    by("place-form").reset();
    by("place-form").elements.lesion.value = lesion ?? "";
    by("place-error").textContent = "";
    this.#fill();
    by("place-dialog").showModal();
    by("place-form").elements.clock.focus();
  }

  // By keys: the newest lesion by hours around the nipple, or by so many millimetres to or from it. Where nothing was said, it begins where
  // the probe is.
  move({ hours, mm }) {
    if (!this.#exam || this.#latest === null) return;
    const known = this.of(this.#latest) ?? {};
    const [hour, ring] = this.#exam.probe?.spot.split("-") ?? [];
    const place = {};
    const side = known.side ?? this.#exam.side;
    if (side) place.side = side;
    if (hours) {
      const from = known.clock ?? (ring ? Number(hour) : null);
      place.clock = from === null ? 12 : ((from + hours + 11) % 12) + 1;
    } else {
      const from = known.distance_mm ?? (BEGIN_MM[ring] ?? 30) - mm;
      place.distance_mm = Math.min(Math.max(from + mm, 0), MOST_MM);
    }
    const seen = { started_utc: this.#exam.started_utc, size: this.#size };
    ask("/exam/place", { lesion: this.#latest, place, seen }).then(this.#notice, (error) => this.#notice(error.message, true));
  }

  // What was said of this lesion before.
  #fill() {
    const form = by("place-form").elements;
    const known = this.of(form.lesion.value) ?? {};
    form.side.value = known.side ?? "";
    form.clock.value = known.clock ?? "";
    form.distance.value = known.distance_mm ?? "";
  }

  async #send(form) {
    const place = {};
    if (form.get("side")) place.side = form.get("side");
    if (form.get("clock")) place.clock = Number(form.get("clock"));
    if (form.get("distance") !== "") place.distance_mm = Number(form.get("distance"));
    try {
      this.#notice(await ask("/exam/place", { lesion: Number(form.get("lesion")), place, seen: this.#seen }));
      by("place-dialog").close();
    } catch (error) {
      by("place-error").textContent = error.message;
    }
  }
}
