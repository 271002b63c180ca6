// One stage: shows a stack plane by plane, with what was outlined, and measures.

import { element } from "./box.js";
import { PLANES, cut, edges } from "./planes.js";
import { Stack } from "./stack.js";
import { words } from "./words.js";

// Centre and width, Hounsfield units.
export const WINDOWS = { lung: [-600, 1500], soft: [40, 400], bone: [400, 1800], wide: [0, 3000] };
const FILL = 0.22;
const LEAST_ZOOM = 0.5;
const MOST_ZOOM = 12;
// Movement of the pointer for one slice, pixels.
const PER_SLICE = 6;

export class Viewer {
  #stage;
  #canvas = element("canvas");
  #words = element("p", { className: "over top" });
  // Where the edges of the picture are in the patient: left, right, top, bottom.
  #edges = ["left", "right", "above", "below"].map((edge) => element("b", { className: `edge-letter ${edge}` }));
  #below = element("p", { className: "over bottom" });
  #slider = element("input", { type: "range", className: "slider", min: 0, max: 0, value: 0 });
  #image = new OffscreenCanvas(1, 1);
  #marks = new OffscreenCanvas(1, 1);
  #drawn = "";
  #values = { of: "", values: null };
  #due = false;
  // Counts what was opened and closed.
  #opened = 0;
  #pointers = new Map();
  #wheel = 0;
  #told;

  stack = null;
  segments = null;
  plane = "slices";
  index = 0;
  window = [...WINDOWS.lung];
  zoom = 1;
  pan = [0, 0];
  tool = "scroll";
  showsMarks = true;
  // Lines: plane, index, two points in pixels of the plane.
  lines = [];
  shown = 0;

  constructor(stage, name, told) {
    this.#stage = stage;
    this.#told = told;
    this.#slider.setAttribute("aria-label", words.viewer.slider(name));
    stage.setAttribute("aria-label", name);
    stage.replaceChildren(this.#canvas, this.#words, this.#below, this.#slider, ...this.#edges);
    this.#slider.addEventListener("input", () => this.go(Number(this.#slider.value)));
    stage.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#pressed(event));
    stage.addEventListener("pointermove", (event) => this.#moved(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.#released(event));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => this.draw()).observe(stage);
  }

  // Resolves to whether it is shown: not when something else was opened or closed meanwhile.
  async open(series, title) {
    this.close();
    const mine = this.#opened;
    this.#words.textContent = words.viewer.loading;
    const stack = await Stack.open(series, (index) => {
      if (this.stack !== stack) return;
      if (index === this.index || this.plane !== "slices") this.draw(true);
      this.#told(this);
    });
    if (mine !== this.#opened) {
      stack.close();
      return false;
    }
    this.stack = stack;
    this.title = title;
    if (!stack.isVolume) this.plane = "slices";
    const middle = stack.pixels === "hounsfield" ? Math.floor(stack.length / 2) : 0;
    this.go(middle, true);
    return true;
  }

  close() {
    this.#opened += 1;
    this.stack?.close();
    Object.assign(this, { stack: null, segments: null, lines: [], zoom: 1, pan: [0, 0], plane: "slices", index: 0 });
    this.#values = { of: "", values: null };
    this.#below.textContent = "";
    this.draw(true);
  }

  go(index, force = false) {
    if (!this.stack?.length) return this.draw(true);
    const { count } = this.#geometry();
    const next = Math.max(0, Math.min(count - 1, index));
    if (next === this.index && !force) return undefined;
    this.index = next;
    if (this.plane === "slices") this.stack.look(next);
    return this.draw();
  }

  step(by) {
    this.go(this.index + by);
  }

  // A place: see `Stack.indexOf`.
  show(place) {
    if (!this.stack) return;
    this.plane = "slices";
    this.go(this.stack.indexOf(place) ?? this.index, true);
  }

  // Why what is at a place cannot be judged: nobody can have seen its picture. Empty where that is not so.
  unseen(place) {
    if (!this.stack) return words.viewer.notShown;
    const index = this.stack.indexOf(place);
    // Of the whole series: some picture of it is enough.
    if (index === null) return !place.picture && this.stack.loaded ? "" : words.viewer.notHere;
    if (this.stack.had(index)) return "";
    const why = this.stack.failure(index);
    return why ? words.viewer.cannot(why) : words.viewer.notLoaded;
  }

  cutAlong(plane) {
    if (plane !== "slices" && !this.stack?.isVolume) return false;
    this.plane = plane;
    this.pan = [0, 0];
    this.go(plane === "slices" ? Math.floor(this.stack.length / 2) : Math.floor(this.#geometry().count / 2), true);
    return true;
  }

  turnOn(name) {
    this.window = [...WINDOWS[name]];
    this.draw(true);
  }

  magnify(factor) {
    this.zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, this.zoom * factor));
    this.draw();
  }

  fit() {
    Object.assign(this, { zoom: 1, pan: [0, 0] });
    this.draw();
  }

  // Of the lines on the picture that is shown, mm, the longest first; none where the size of a pixel is not known.
  get lengths() {
    if (!this.stack?.spacing) return [];
    const here = this.lines.filter(({ plane, index }) => plane === this.plane && index === this.index);
    return here.map((line) => this.#length(line)).sort((a, b) => b - a);
  }

  #length({ from, to }) {
    const { spacing } = this.#geometry();
    return Math.hypot((to[0] - from[0]) * spacing[0], (to[1] - from[1]) * spacing[1]);
  }

  clearLines() {
    this.lines = [];
    this.draw();
  }

  // Draws with the next picture of the screen.
  draw(anew = false) {
    if (anew) this.#drawn = "";
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#paint();
    });
  }

  #geometry() {
    return PLANES[this.plane](this.stack, this.index);
  }

  // The values of the plane that is looked at.
  #cut() {
    const of = [this.plane, this.index, this.plane === "slices" ? Boolean(this.stack.pixelsOf(this.index)) : this.stack.loaded].join();
    if (this.#values.of !== of) this.#values = { of, values: cut(this.stack, this.plane, this.index) };
    return this.#values.values;
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.#stage;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    this.#slider.hidden = !this.stack || this.stack.length < 2;
    const letters = this.stack?.length ? edges(this.stack, this.plane) : ["", "", "", ""];
    this.#edges.forEach((edge, index) => { edge.textContent = letters[index]; });
    if (!this.stack?.length) {
      this.#words.textContent = this.stack ? words.viewer.none : "";
      return;
    }
    const { count, size } = this.#geometry();
    Object.assign(this.#slider, { max: count - 1, value: this.index });
    const values = this.#cut();
    this.#say(count, values);
    if (!values) return;
    const state = [this.plane, this.index, this.window, this.showsMarks].join();
    if (state !== this.#drawn) {
      this.#develop(values, size);
      this.#drawn = state;
      this.shown += 1;
    }
    const [scaleX, scaleY, left, top] = this.#place();
    context.setTransform(scaleX, 0, 0, scaleY, left, top);
    context.drawImage(this.#image, 0, 0);
    if (this.showsMarks && this.segments) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#marks, 0, 0);
      context.imageSmoothingEnabled = true;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    this.#drawLines(context);
    this.#told(this);
  }

  // Pixels of the screen per pixel of the plane, and where its first corner is.
  #place() {
    const { size, spacing } = this.#geometry();
    const { width, height } = this.#canvas;
    const millimetre = Math.min(width / (size[0] * spacing[0]), height / (size[1] * spacing[1])) * this.zoom;
    const [scaleX, scaleY] = [millimetre * spacing[0], millimetre * spacing[1]];
    return [scaleX, scaleY, (width - size[0] * scaleX) / 2 + this.pan[0], (height - size[1] * scaleY) / 2 + this.pan[1]];
  }

  #develop(values, [width, height]) {
    Object.assign(this.#image, { width, height });
    const data = new ImageData(width, height);
    const out = new Uint32Array(data.data.buffer);
    if (this.stack.pixels === "colour") {
      for (let i = 0; i < out.length; i += 1) {
        out[i] = 0xff000000 | (values[3 * i + 2] << 16) | (values[3 * i + 1] << 8) | values[3 * i];
      }
    } else {
      const table = this.stack.pixels === "hounsfield" ? greys(this.window) : GREY;
      const zero = this.stack.pixels === "hounsfield" ? 32768 : 0;
      for (let i = 0; i < out.length; i += 1) out[i] = table[values[i] + zero];
    }
    this.#image.getContext("2d").putImageData(data, 0, 0);
    if (this.segments) this.#mark(width, height);
  }

  // A segment is a faint fill with a clear rim, so that what is below can be judged.
  #mark(width, height) {
    Object.assign(this.#marks, { width, height });
    const data = new ImageData(width, height);
    const out = new Uint32Array(data.data.buffer);
    for (const { colour, mask, from, to } of this.segments.masks(this.stack, this.plane, this.index)) {
      const [red, green, blue] = colour;
      const paint = (blue << 16) | (green << 8) | red;
      const [faint, clear] = [(Math.round(FILL * 255) << 24) | paint, (255 << 24) | paint];
      for (let i = from; i < to; i += 1) {
        if (!mask[i]) continue;
        const x = i % width;
        const inside = x > 0 && x < width - 1 && mask[i - 1] && mask[i + 1] && mask[i - width] && mask[i + width];
        if (!inside) out[i] = clear;
        else if (!out[i]) out[i] = faint;
      }
    }
    this.#marks.getContext("2d").putImageData(data, 0, 0);
  }

  #say(count, values) {
    const picture = this.stack.pictures[this.index];
    const why = this.plane === "slices" ? this.stack.failure(this.index) : null;
    this.#words.textContent = [this.title, why ?? (values ? "" : words.viewer.loading)].filter(Boolean).join(" · ");
    const number = this.plane === "slices" && picture.number !== null ? ` · ${words.viewer.image(picture.number)}` : "";
    const level = this.stack.pixels === "hounsfield" ? ` · ${words.viewer.level(Math.round(this.window[0]), Math.round(this.window[1]))}` : "";
    const name = this.plane === "slices" ? "" : words.tools[this.plane];
    this.#below.textContent = `${words.viewer.at(name, this.index + 1, count)}${number}${level}`;
  }

  #drawLines(context) {
    const [scaleX, scaleY, left, top] = this.#place();
    context.strokeStyle = context.fillStyle = "#ffd54a";
    context.lineWidth = 2;
    context.font = "600 14px system-ui, sans-serif";
    for (const line of this.lines) {
      if (line.plane !== this.plane || line.index !== this.index) continue;
      const [[ax, ay], [bx, by]] = [line.from, line.to].map(([x, y]) => [left + x * scaleX, top + y * scaleY]);
      context.beginPath();
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
      context.stroke();
      const unit = this.stack.spacing ? "mm" : words.viewer.pixels;
      context.fillText(`${this.#length(line).toFixed(1)} ${unit}`, bx + 8, by - 8);
    }
  }

  // Column and row of the plane below a point of the screen.
  #under(event) {
    const box = this.#canvas.getBoundingClientRect();
    const [scaleX, scaleY, left, top] = this.#place();
    return [(event.clientX - box.left - left) / scaleX, (event.clientY - box.top - top) / scaleY];
  }

  // Hounsfield units below the pointer; null elsewhere.
  valueAt(event) {
    if (this.stack?.pixels !== "hounsfield") return null;
    const [x, y] = this.#under(event).map(Math.floor);
    const { size } = this.#geometry();
    if (x < 0 || y < 0 || x >= size[0] || y >= size[1]) return null;
    return this.#cut()?.[y * size[0] + x] ?? null;
  }

  #wheeled(event) {
    if (!this.stack?.length) return;
    event.preventDefault();
    if (event.ctrlKey) {
      this.magnify(Math.exp(-event.deltaY / 300));
      return;
    }
    // A wheel turns by 100, a touch pad by a few pixels at a time.
    this.#wheel += event.deltaMode === 0 ? event.deltaY / 100 : event.deltaY / 3;
    const whole = Math.abs(event.deltaY) >= 100 ? Math.sign(event.deltaY) : Math.trunc(this.#wheel * 4);
    if (whole) {
      this.#wheel = 0;
      this.step(whole);
    }
  }

  #pressed(event) {
    if (event.target === this.#slider || !this.stack?.length) return;
    this.#stage.focus({ preventScroll: true });
    this.#stage.setPointerCapture(event.pointerId);
    // The right button changes the window, the middle one moves, whatever the tool.
    const tool = { 1: "move", 2: "window" }[event.button] ?? this.tool;
    const pointer = { x: event.clientX, y: event.clientY, rest: 0, tool, line: null };
    if (tool === "measure" && this.#pointers.size === 0) {
      const at = this.#under(event);
      pointer.line = { plane: this.plane, index: this.index, from: at, to: at };
      this.lines.push(pointer.line);
    }
    this.#pointers.set(event.pointerId, pointer);
  }

  #moved(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer || !this.stack?.length) return;
    const [dx, dy] = [event.clientX - pointer.x, event.clientY - pointer.y];
    const before = this.#spread();
    Object.assign(pointer, { x: event.clientX, y: event.clientY });
    if (this.#pointers.size === 2) {
      const after = this.#spread();
      if (before > 0 && after > 0) this.magnify(after / before);
      this.pan = [this.pan[0] + dx / 2, this.pan[1] + dy / 2];
    } else if (pointer.line) {
      pointer.line.to = this.#under(event);
    } else if (pointer.tool === "window") {
      this.window = [this.window[0] + 2 * dy, Math.max(1, this.window[1] + 4 * dx)];
    } else if (pointer.tool === "move") {
      this.pan = [this.pan[0] + dx, this.pan[1] + dy];
    } else {
      pointer.rest += dy;
      const steps = Math.trunc(pointer.rest / PER_SLICE);
      pointer.rest -= steps * PER_SLICE;
      if (steps) this.step(steps);
    }
    this.draw();
  }

  #spread() {
    const [a, b] = [...this.#pointers.values()];
    return b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  #released(event) {
    const line = this.#pointers.get(event.pointerId)?.line;
    this.#pointers.delete(event.pointerId);
    // A tap is no line.
    if (line && Math.hypot(line.to[0] - line.from[0], line.to[1] - line.from[1]) < 1) {
      this.lines = this.lines.filter((other) => other !== line);
      this.draw();
    }
  }
}

const grey = (value) => 0xff000000 | (value << 16) | (value << 8) | value;
const GREY = Uint32Array.from({ length: 256 }, (_, value) => grey(value));

let lastGreys = { of: "", table: null };
// From values of 16 bits to greys: PS3.3 section C.11.2.1.2, linear.
function greys([centre, width]) {
  const of = `${centre} ${width}`;
  if (lastGreys.of !== of) {
    const table = new Uint32Array(65536);
    const [low, span] = [centre - 0.5 - (width - 1) / 2, Math.max(1, width - 1)];
    for (let i = 0; i < table.length; i += 1) {
      const part = (i - 32768 - low) / span;
      table[i] = GREY[Math.max(0, Math.min(255, Math.round(part * 255)))];
    }
    lastGreys = { of, table };
  }
  return lastGreys.table;
}
