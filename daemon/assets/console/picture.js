// The video: one JPEG after another on a canvas, and when each was captured.

// Sequence and time of capture, 64 bits each.
const HEADER = 16;
const REMEMBERED = 128;

export class Picture {
  #canvas;
  #context;
  #shown = null;
  #timeline = [];
  // Counts how often nothing was to be shown any more: what is decoded meanwhile is of before.
  #cleared = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  // Of the pictures, pixels.
  get size() {
    return [this.#canvas.width, this.#canvas.height];
  }

  // Of the picture that is shown; before the first, none is as early.
  get sequence() {
    return this.#shown?.sequence ?? -1;
  }

  // Nothing of another exam, or of before the signal was lost, stays.
  clear() {
    this.#cleared += 1;
    this.#shown = null;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    delete this.#canvas.dataset.sequence;
  }

  // Draws it unless a newer one was quicker. Resolves to its sequence, whatever came of it.
  async show(buffer) {
    const head = new DataView(buffer, 0, HEADER);
    const sequence = Number(head.getBigUint64(0, true));
    const captured = Number(head.getBigUint64(8, true)) / 1000;
    this.#remember(sequence, captured);
    if (document.hidden) return sequence;
    const before = this.#cleared;
    try {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(buffer, HEADER)], { type: "image/jpeg" }));
      if (before === this.#cleared && (!this.#shown || captured >= this.#shown.captured)) this.#draw(bitmap, { sequence, captured });
      bitmap.close();
    } catch (error) {
      console.warn("a picture could not be decoded", error);
    }
    return sequence;
  }

  #draw(bitmap, shown) {
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      this.#canvas.width = bitmap.width;
      this.#canvas.height = bitmap.height;
    }
    this.#context.drawImage(bitmap, 0, 0);
    this.#shown = shown;
    this.#canvas.dataset.sequence = shown.sequence;
  }

  #remember(sequence, captured) {
    const last = this.#timeline.at(-1);
    // The device began again: what was before is another story.
    if (last && (sequence <= last.sequence || captured < last.captured)) {
      this.#timeline = [];
      this.#shown = null;
    }
    this.#timeline.push({ sequence, captured });
    if (this.#timeline.length > REMEMBERED) this.#timeline.shift();
  }

  // How long before the shown picture the one with this number was captured, ms; 0 when after.
  shownAfter(sequence) {
    const captured = this.#capturedAt(sequence);
    return this.#shown && captured !== null ? Math.max(0, this.#shown.captured - captured) : Infinity;
  }

  // Pictures are skipped on the way; their time lies between those of their neighbours.
  #capturedAt(sequence) {
    const line = this.#timeline;
    if (line.length === 0) return null;
    const next = line.findIndex((one) => one.sequence >= sequence);
    if (next === -1) return line.at(-1).captured;
    const after = line[next];
    if (after.sequence === sequence) return after.captured;
    if (next === 0) return null;
    const before = line[next - 1];
    const part = (sequence - before.sequence) / (after.sequence - before.sequence);
    return before.captured + part * (after.captured - before.captured);
  }
}
