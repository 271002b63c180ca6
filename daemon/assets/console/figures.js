// The bottom line: how fast, how late, how many were lost.

import { words } from "./words.js";

const by = (id) => document.getElementById(id);
const ms = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const RATE_OVER_MS = 2000;

export class Figures {
  #times = [];
  #stats = null;
  #age = null;
  #line = "";

  // A picture was shown now.
  picture() {
    this.#times.push(performance.now());
  }

  overlayAge(age) {
    this.#age = age;
    this.#write();
  }

  stats(stats) {
    this.#stats = stats;
    const rows = stats.stages.map(([stage, one]) => {
      const row = document.createElement("tr");
      const cells = [words.live.names[stage] ?? stage, one.count, ms(one.p50), ms(one.p99), ms(one.p999), ms(one.max)];
      cells.forEach((text, column) => {
        const cell = document.createElement(column ? "td" : "th");
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    });
    by("stages").replaceChildren(...rows);
    this.#write();
  }

  source(status) {
    const facts = [status.source, status.profile, status.model || words.live.noModel];
    by("source").textContent = facts.filter(Boolean).join(" · ");
  }

  // From the oldest that counts until now, so that a stream that stops counts down.
  #rate(now) {
    const first = this.#times[0];
    return first === undefined ? 0 : ((this.#times.length - 1) * 1000) / Math.max(now - first, 1);
  }

  #write() {
    const now = performance.now();
    this.#times = this.#times.filter((time) => now - time < RATE_OVER_MS);
    const parts = [words.live.rate(this.#rate(now).toFixed(0))];
    parts.push(this.#age === null ? words.live.noAge : words.live.age(this.#age.toFixed(0)));
    for (const stage of ["present", "overlay"]) {
      const one = this.#stats?.stages.find(([name]) => name === stage)?.[1];
      if (one?.count) parts.push(words.live.within(words.live.stages[stage], ms(one.p50), ms(one.p99)));
    }
    if (this.#stats) parts.push(words.live.dropped(this.#stats.lost, this.#stats.pictures));
    const line = parts.join(" · ");
    if (line !== this.#line) by("latency").textContent = line;
    this.#line = line;
  }
}
