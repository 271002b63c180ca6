// A short tone when a lesion is found for the first time. Off until someone asks for it.

import { words } from "./words.js";

const KEPT_AS = "scanside-sound";

export class Sound {
  #button;
  #word;
  #on = false;
  #heard = new Set();
  #audio = null;

  constructor(button, word) {
    this.#button = button;
    this.#word = word;
    this.#set(localStorage.getItem(KEPT_AS) === "on");
  }

  toggle() {
    this.#set(!this.#on);
    localStorage.setItem(KEPT_AS, this.#on ? "on" : "off");
    if (this.#on) this.#tone();
  }

  #set(on) {
    this.#on = on;
    this.#button.setAttribute("aria-pressed", String(on));
    this.#word.textContent = on ? words.live.on : words.live.off;
  }

  hear(lesions) {
    const fresh = lesions.filter((lesion) => !this.#heard.has(lesion.id));
    fresh.forEach((lesion) => this.#heard.add(lesion.id));
    if (fresh.length && this.#on) this.#tone();
  }

  forget() {
    this.#heard.clear();
  }

  #tone() {
    this.#audio ??= new AudioContext();
    const { currentTime: now, destination } = this.#audio;
    const [tone, volume] = [this.#audio.createOscillator(), this.#audio.createGain()];
    tone.frequency.value = 660;
    volume.gain.setValueAtTime(0.0001, now);
    volume.gain.exponentialRampToValueAtTime(0.2, now + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, now + 0.25);
    tone.connect(volume).connect(destination);
    tone.start(now);
    tone.stop(now + 0.3);
  }
}
