// The sign: shape, colour and words of each state, and the veil over a picture that is not live.

import { words } from "./words.js";

// In these the picture is not what the scanner shows now.
const STALE = ["off", "no_signal", "failed"];

export class Sign {
  #told = "";

  show(connected, status) {
    const state = connected ? status?.sign.state ?? "off" : "failed";
    const word = connected ? words.live.signs[state] ?? state : words.live.noConnection;
    let reason = connected ? status?.sign.reason ?? "" : words.live.toBox;
    if (connected && state === "off") reason = status ? words.live.noDevice : "";
    // A live region that is written again is read out again.
    const told = `${state} ${word} ${reason}`;
    if (told === this.#told) return;
    this.#told = told;
    const by = (id) => document.getElementById(id);
    by("sign").dataset.state = state;
    by("sign-shape").setAttribute("href", `#shape-${state in words.live.signs ? state : "failed"}`);
    by("sign-word").textContent = word;
    by("sign-reason").textContent = reason;
    const stale = STALE.includes(state);
    by("stage").classList.toggle("stale", stale);
    by("veil").hidden = !stale;
    by("veil").textContent = stale ? [word, reason].filter(Boolean).join(connected ? words.pages.colon : " ") : "";
    document.title = words.pages.title.state(word);
  }
}
