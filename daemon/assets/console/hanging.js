// The views of a mammography as they hang: four places with the chest walls together, all in one scale; one of them large.

import { AGAIN_MS, dated, element, isFinal } from "./box.js";
import { fetched, smallFactor } from "./mammogram.js";
import { words } from "./words.js";

const MOST_ZOOM = 40;
// A shorter way of the pointer is a click, pixels of the screen.
const CLICK = 5;
const SCALES_MM = [100, 50, 20, 10, 5, 2, 1];

// The window of the file: the first of its windows, not moved, not stretched.
export const STANDARD = { shift: 0, stretch: 1, inverted: false, which: 0 };
const IN_ROW = "scanside-mammography-in-row";

const isRight = (name) => name.startsWith("R");
const LEFT = { transposed: false, mirrored: false, upended: false };

// One place: a canvas, what it shows, and words.
class Cell {
  constructor(owner, index) {
    this.canvas = element("canvas");
    this.title = element("p", { className: "cell-title" });
    this.note = element("p", { className: "cell-note" });
    this.warning = element("p", { className: "cell-warning", hidden: true });
    this.empty = element("p", { className: "cell-empty", hidden: true });
    this.node = element("div", { className: "cell" }, this.canvas, element("div", { className: "cell-words" }, this.title, this.note), this.warning, this.empty);
    this.owner = owner;
    this.index = index;
    this.offscreen = new OffscreenCanvas(1, 1);
    this.clear();
    new ResizeObserver(() => owner.draw()).observe(this.node);
  }

  clear() {
    Object.assign(this, { place: null, small: null, full: null, failed: null, study: null, zoom: 1, pan: [0, 0], frame: 1, isGoing: false });
  }

  get picture() {
    return this.full ?? this.small;
  }

  // Which side of the cell the chest wall lies at.
  get wallRight() {
    return isRight(this.place?.name ?? "");
  }
}

export class Hanging {
  #node;
  #cells;
  #told;
  #due = false;
  #opened = 0;
  #stops = new AbortController();
  #pointers = new Map();
  // SOP Instance UIDs of the images of this study whose pixels were on the screen.
  #drawn = new Set();

  // `mode`: "now", "beside", "flip". `large`: index of the cell that is shown alone.
  mode = "now";
  large = null;
  inRow = localStorage.getItem(IN_ROW) === "true";
  tool = "move";
  showsMarks = true;
  look = { ...STANDARD };
  marks = null;
  chosen = null;
  rejected = () => false;

  constructor(node, told) {
    this.#node = node;
    this.#told = told;
    this.#cells = Array.from({ length: 8 }, (_, index) => new Cell(this, index));
    node.append(...this.#cells.map((cell) => cell.node));
    for (const cell of this.#cells) this.#listen(cell);
  }

  // `places` of this study, and how it is called; `others` are images that hang nowhere.
  open(places, study) {
    this.close();
    this.#fill(0, places, study);
    this.#told();
    this.draw();
  }

  openPrior(places, study, mode) {
    this.#fill(4, places, study);
    this.setMode(mode);
  }

  closePrior() {
    for (const cell of this.#cells.slice(4)) cell.clear();
    this.setMode("now");
  }

  close() {
    this.#clear();
    Object.assign(this, { mode: "now", large: null, marks: null, chosen: null, look: { ...STANDARD } });
    this.draw();
  }

  // Of all places; what is still to be fetched for them is not needed any more.
  #clear() {
    this.#opened += 1;
    this.#stops.abort();
    this.#stops = new AbortController();
    for (const cell of this.#cells) cell.clear();
  }

  setMode(mode) {
    this.mode = mode;
    if (this.large !== null) {
      const index = this.large % 4 + (mode === "flip" ? 4 : 0);
      // A view that the other study lacks is an empty place among the four: the picture of this one does not stay under its title.
      this.enlarge(this.#cells[index].place?.image ? index : null);
    }
    this.draw();
  }

  // One view alone, with all its pixels; `null`: all of them.
  enlarge(index) {
    if (index !== null && !this.#cells[index]?.place?.image) return;
    this.large = index;
    for (const cell of this.#cells) Object.assign(cell, { zoom: 1, pan: [0, 0] });
    // What is not looked at needs no more than its small picture.
    for (const cell of this.#cells) if (cell.index !== index) cell.full = null;
    if (index !== null) this.#load(this.#cells[index], 1);
    this.#told();
    this.draw();
  }

  // Another image of the study in the first place.
  showOther(image, study) {
    const cell = this.#cells[0];
    this.#clear();
    Object.assign(cell, { place: { name: image.name, image, candidates: 1 }, study });
    this.mode = "now";
    this.large = 0;
    this.#load(cell, smallFactor(image)).then(() => cell.place?.image === image && this.#load(cell, 1));
    this.draw();
  }

  // What the files of the pictures that are shown call their tables and windows; of those of one place the first name.
  get looks() {
    const all = this.#visible().map((cell) => cell.picture?.told.looks ?? []);
    const most = Math.max(0, ...all.map((looks) => looks.length));
    return Array.from({ length: most }, (_, index) => all.map((looks) => looks[index]?.name).find(Boolean) ?? "");
  }

  // Of the image that is shown alone: which of its frames, of how many.
  get frames() {
    const cell = this.#cells[this.large];
    return cell?.place?.image ? [cell.frame, cell.place.image.frames] : [1, 1];
  }

  // The frame before stays on the screen until this one is here.
  showFrame(frame) {
    const cell = this.#cells[this.large];
    const wanted = Math.max(1, Math.min(this.frames[1], frame));
    if (!cell || wanted === cell.frame) return;
    cell.frame = wanted;
    if (!cell.isGoing) this.#go(cell);
    this.#told();
  }

  // One at a time: small, and with all its pixels once nobody goes on.
  async #go(cell) {
    const { image } = cell.place;
    cell.isGoing = true;
    const isShown = () => cell.place?.image === image && this.large === cell.index;
    let frame = null;
    while (isShown() && cell.frame !== frame) {
      frame = cell.frame;
      await this.#load(cell, smallFactor(image));
      if (isShown() && cell.frame === frame) await this.#load(cell, 1);
    }
    cell.isGoing = false;
  }

  turnRow() {
    this.inRow = !this.inRow;
    localStorage.setItem(IN_ROW, String(this.inRow));
  }

  zoom(factor) {
    if (this.large === null) return;
    this.#zoom(this.#cells[this.large], factor, null);
  }

  panBy(dx, dy) {
    if (this.large === null) return;
    const { pan } = this.#cells[this.large];
    this.#cells[this.large].pan = [pan[0] + dx, pan[1] + dy];
    this.draw();
  }

  fit() {
    for (const cell of this.#cells) Object.assign(cell, { zoom: 1, pan: [0, 0] });
    this.draw();
  }

  // The view of a mark; where one is large, the mark comes to its middle. What is chosen is seen, also after the marks were switched off.
  choose(id) {
    const mark = this.marks?.find(id);
    const cell = mark && this.#holding(mark.sop_instance_uid);
    Object.assign(this, { chosen: id, showsMarks: true });
    if (cell && this.mode === "flip") this.mode = "now";
    if (cell && this.large !== null) {
      if (this.large !== cell.index) this.enlarge(cell.index);
      if (cell.zoom > 1.05) this.#centre(cell, mark);
      else cell.pan = [0, 0];
    }
    this.draw();
  }

  // Were the pixels of an image never on the screen?
  lacks(uid) {
    return !this.#drawn.has(uid);
  }

  // Other pictures come, also under the same UIDs.
  forget() {
    this.#drawn.clear();
  }

  // The place of this study where an image hangs now.
  #holding(uid) {
    return this.#cells.slice(0, 4).find((cell) => cell.place?.image?.sop_instance_uid === uid);
  }

  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#paint();
    });
  }

  get loaded() {
    const due = this.#cells.filter((cell) => cell.place?.image);
    return [due.filter((cell) => cell.picture || cell.failed).length, due.length];
  }

  // Is every picture that is shown here in the sharpness that it needs?
  get isComplete() {
    return this.#visible().every((cell) => !cell.place?.image || cell.failed || (this.large === null ? cell.small : cell.full));
  }

  #fill(from, places, study) {
    const mine = this.#opened;
    places.forEach((place, index) => {
      const cell = this.#cells[from + index];
      cell.clear();
      Object.assign(cell, { place, study });
    });
    const due = this.#cells.slice(from, from + 4).filter((cell) => cell.place?.image);
    const next = async () => {
      const cell = mine === this.#opened ? due.shift() : null;
      if (!cell) return;
      // It may be closed meanwhile.
      if (cell.place?.image) await this.#load(cell, smallFactor(cell.place.image));
      await next();
    };
    // The box decodes two at a time.
    next();
    next();
  }

  async #load(cell, factor) {
    const { image, name } = cell.place;
    const { signal } = this.#stops;
    const { frame } = cell;
    try {
      // Of a header that says nothing: the breast at the side where it is bright.
      const fallback = (wall) => (wall && wall !== (isRight(name) ? "right" : "left") ? { ...LEFT, mirrored: true } : LEFT);
      const other = () => (cell.small?.image === image ? cell.small : cell.full?.image === image ? cell.full : null);
      const got = await fetched(image, frame, factor, fallback, other, signal);
      if (signal.aborted || cell.place?.image !== image) return;
      if (cell.full?.frame !== frame) cell.full = null;
      if (factor > 1 || cell.small?.frame !== frame) cell.small = got;
      if (factor === 1) cell.full = cell.index === this.large ? got : null;
      cell.failed = null;
    } catch (error) {
      const isWanted = () => !signal.aborted && cell.place?.image === image && (factor > 1 || cell.index === this.large);
      if (!signal.aborted && cell.place?.image === image) cell.failed = error.message;
      if (!isFinal(error)) setTimeout(() => isWanted() && this.#load(cell, factor), AGAIN_MS);
    }
    this.#told();
    this.draw();
  }

  #visible() {
    if (this.large !== null) return [this.#cells[this.large]];
    const [now, prior] = [this.#cells.slice(0, 4), this.#cells.slice(4)];
    return this.mode === "beside" ? [...now, ...prior] : this.mode === "flip" ? prior : now;
  }

  #paint() {
    const visible = this.#visible();
    this.#node.dataset.layout = this.large !== null ? "large" : this.mode === "beside" ? "eight" : this.inRow ? "row" : "four";
    for (const cell of this.#cells) cell.node.hidden = !visible.includes(cell);
    const ratio = devicePixelRatio || 1;
    const scales = visible.map((cell) => this.#most(cell)).filter(Boolean);
    const known = visible.every((cell) => !cell.picture || cell.picture.mm);
    // One scale for all: a breast that is smaller looks smaller.
    const shared = known && scales.length ? Math.min(...scales) : null;
    for (const cell of visible) this.#one(cell, shared, ratio);
    this.#told();
  }

  // What is never cut off: the breast, and every mark of the picture. Left, top, right, bottom, in stored pixels as it hangs.
  #extent({ picture, place, index }) {
    const marks = index < 4 ? this.marks?.listedOn(place.image.sop_instance_uid) ?? [] : [];
    const boxes = [picture.extent, ...marks.map(({ bounds }) => picture.hungBox(bounds))];
    return [Math.min, Math.min, Math.max, Math.max].map((of, i) => of(...boxes.map((box) => box[i])));
  }

  // The most pixels of the screen for a millimetre (or for a stored pixel) at which the breast fits its place.
  #most(cell) {
    if (!cell.picture) return null;
    const { clientWidth: width, clientHeight: height } = cell.node;
    const [left, top, right, bottom] = this.#extent(cell);
    return Math.min(width / (right - left), height / (bottom - top)) / (cell.picture.mm ?? 1);
  }

  // Pixels of the screen for a stored pixel, and where the picture's first corner is.
  #placed(cell, shared) {
    const { clientWidth: width, clientHeight: height } = cell.node;
    const { picture } = cell;
    const own = this.#most(cell) * (picture.mm ?? 1);
    const scale = (shared === null ? own : shared * picture.mm) * cell.zoom;
    const [left, top, right, bottom] = this.#extent(cell);
    const middle = (top + bottom) / 2;
    const y = height / 2 - middle * scale + cell.pan[1];
    const alone = this.large !== null;
    const x = alone ? width / 2 - (left + right) / 2 * scale : cell.wallRight ? width - right * scale : -left * scale;
    return { scale, x: x + cell.pan[0], y };
  }

  #one(cell, shared, ratio) {
    const { node, canvas, place } = cell;
    const { clientWidth: width, clientHeight: height } = node;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    const context = canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, w, h);
    node.classList.toggle("right", cell.wallRight);
    node.classList.toggle("prior", cell.index > 3);
    node.classList.toggle("missing", Boolean(place) && !place.image);
    this.#say(cell, shared);
    cell.shown = null;
    if (!place?.image || !cell.picture) return;
    const at = this.#placed(cell, shared);
    cell.shown = at;
    this.#picture(cell, context, at, ratio);
    if (this.showsMarks && this.marks && cell.index < 4) this.#mark(cell, context, at, ratio);
    this.#scaleBar(cell, context, at, ratio);
  }

  #picture(cell, context, { scale, x, y }, ratio) {
    const { picture } = cell;
    const { canvas } = cell;
    const level = picture.level(scale * ratio);
    const per = level.pixel * scale * ratio; // of the canvas for one of the level
    const [ox, oy] = [x * ratio, y * ratio];
    const from = [Math.max(0, Math.floor(-ox / per) - 1), Math.max(0, Math.floor(-oy / per) - 1)];
    const to = [Math.min(level.width, Math.ceil((canvas.width - ox) / per) + 1), Math.min(level.height, Math.ceil((canvas.height - oy) / per) + 1)];
    const [wide, high] = [to[0] - from[0], to[1] - from[1]];
    if (wide <= 0 || high <= 0) return;
    const greys = picture.greys(this.look);
    const data = new ImageData(wide, high);
    const out = new Uint32Array(data.data.buffer);
    for (let row = 0; row < high; row += 1) {
      const base = (from[1] + row) * level.width + from[0];
      for (let column = 0; column < wide; column += 1) out[row * wide + column] = greys[level.values[base + column]];
    }
    Object.assign(cell.offscreen, { width: wide, height: high });
    cell.offscreen.getContext("2d").putImageData(data, 0, 0);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(cell.offscreen, ox + from[0] * per, oy + from[1] * per, wide * per, high * per);
    if (cell.index < 4) this.#drawn.add(cell.place.image.sop_instance_uid);
  }

  #mark(cell, context, { scale, x, y }, ratio) {
    const place = (point) => {
      const [across, down] = cell.picture.hung(point);
      return [(x + across * scale) * ratio, (y + down * scale) * ratio];
    };
    // Words at the edges stay readable.
    const edges = [2 * ratio, 30 * ratio, cell.canvas.width - 2 * ratio, cell.canvas.height - 26 * ratio];
    const all = this.marks.of(cell.place.image.sop_instance_uid);
    // Words do not cover boxes either.
    const tags = all.map(({ bounds: [left, top, right, bottom] }) => {
      const [a, b] = [place([left, top]), place([right, bottom])];
      return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    });
    for (const mark of [...all.filter(({ id }) => id === this.chosen), ...all.filter(({ id }) => id !== this.chosen)]) {
      this.marks.draw(context, mark, place, { chosen: mark.id === this.chosen, rejected: this.rejected(mark.id), ratio, edges, tags });
    }
  }

  #scaleBar(cell, context, { scale }, ratio) {
    const { mm } = cell.picture;
    if (!mm) return;
    const per = scale / mm * ratio;
    const length = SCALES_MM.find((one) => one * per < cell.canvas.width / 4) ?? 1;
    const wide = length * per;
    const x = cell.wallRight ? 12 * ratio : cell.canvas.width - 12 * ratio - wide;
    const y = cell.canvas.height - 12 * ratio;
    context.fillStyle = "#aab4c0";
    context.fillRect(x, y, wide, 2 * ratio);
    for (const end of [x, x + wide - 2 * ratio]) context.fillRect(end, y - 4 * ratio, 2 * ratio, 10 * ratio);
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "alphabetic";
    context.fillText(length >= 10 ? `${length / 10} cm` : `${length} mm`, x, y - 7 * ratio);
  }

  #say(cell, shared) {
    const { place, study, picture } = cell;
    const when = study ? (cell.index > 3 ? words.breast.prior(dated(study.date)) : dated(study.date)) : "";
    cell.title.replaceChildren(element("strong", { textContent: place?.name ?? "" }), ` ${when}`);
    cell.empty.hidden = !place || Boolean(place.image);
    if (place && !place.image) {
      const [what, why] = place.gone ? [words.breast.gone(place.name), words.breast.goneWhy]
        : place.parts ? [words.breast.inParts(place.name), words.breast.inPartsWhy(place.parts)] : [words.breast.missing(place.name), words.breast.missingWhy];
      cell.empty.replaceChildren(element("strong", { textContent: what }), element("span", { textContent: why }));
    }
    const said = [];
    if (place?.image && !picture) said.push(cell.failed ?? words.viewer.loading);
    if (picture) {
      const [centre, width] = picture.window(this.look);
      said.push(words.viewer.level(Math.round(centre), Math.round(width)));
      if (cell.zoom !== 1) said.push(`${Math.round(cell.zoom * 100)} %`);
      if (place.image.frames > 1) said.push(words.breast.frame(picture.frame, place.image.frames));
      if (place.candidates > 1) said.push(words.breast.candidates(place.candidates));
      for (const [is, word] of [[!place.image.for_presentation, words.breast.raw], [picture.told.film, words.breast.film], [picture.told.implant, words.breast.implant],
        [picture.told.partial, words.breast.partial], [shared === null, words.breast.noScale], [!picture.isPlacedByHeader, words.breast.notSaid]]) if (is) said.push(word);
    }
    cell.note.textContent = said.join(" · ");
    cell.warning.hidden = !picture || !liesElsewhere(picture, place.name);
    cell.warning.textContent = cell.warning.hidden ? "" : words.breast.otherSide;
  }

  #centre(cell, mark) {
    if (!cell.shown || !mark) return;
    const { scale, x, y } = cell.shown;
    const [across, down] = cell.picture.hung([(mark.bounds[0] + mark.bounds[2]) / 2, (mark.bounds[1] + mark.bounds[3]) / 2]);
    cell.pan = [cell.pan[0] + cell.node.clientWidth / 2 - (x + across * scale), cell.pan[1] + cell.node.clientHeight / 2 - (y + down * scale)];
  }

  // `about`: the point of the screen that stays where it is; the middle without one.
  #zoom(cell, factor, about) {
    const zoom = Math.max(1, Math.min(MOST_ZOOM, cell.zoom * factor));
    if (!cell.shown || zoom === cell.zoom) return;
    const box = cell.node.getBoundingClientRect();
    const [px, py] = about ? [about[0] - box.left, about[1] - box.top] : [box.width / 2, box.height / 2];
    const { scale, x, y } = cell.shown;
    const point = [(px - x) / scale, (py - y) / scale];
    const kept = cell.pan;
    const by = zoom / cell.zoom;
    // The picture grows about its own middle; what is under the pointer is then moved back.
    Object.assign(cell, { zoom, pan: [0, 0] });
    if (zoom > 1) {
      const origin = [x - kept[0], y - kept[1]];
      const [left, top, right, bottom] = this.#extent(cell);
      const grown = [origin[0] + (left + right) / 2 * scale * (1 - by), origin[1] + (top + bottom) / 2 * scale * (1 - by)];
      cell.pan = [px - grown[0] - point[0] * scale * by, py - grown[1] - point[1] * scale * by];
    }
    this.draw();
  }

  changeWindow(shift, stretch) {
    const { look } = this;
    look.stretch = Math.max(0.05, Math.min(8, look.stretch * stretch));
    look.shift = Math.max(-2, Math.min(2, look.shift + shift * look.stretch));
    this.draw();
  }

  // The mark below a point of the screen.
  #markAt(cell, event) {
    if (!cell.shown || !this.marks || !this.showsMarks || cell.index > 3) return null;
    const box = cell.node.getBoundingClientRect();
    const { scale, x, y } = cell.shown;
    const at = [(event.clientX - box.left - x) / scale, (event.clientY - box.top - y) / scale];
    const holds = ({ bounds: [left, top, right, bottom] }) => {
      const [a, b] = [cell.picture.hung([left, top]), cell.picture.hung([right, bottom])];
      return [0, 1].every((axis) => at[axis] >= Math.min(a[axis], b[axis]) && at[axis] <= Math.max(a[axis], b[axis]));
    };
    return this.marks.of(cell.place.image.sop_instance_uid).find(holds)?.id ?? null;
  }

  #listen(cell) {
    const { node } = cell;
    node.addEventListener("contextmenu", (event) => event.preventDefault());
    node.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.large === null) {
        if (event.deltaY < 0) this.enlarge(cell.index);
      } else {
        this.#zoom(cell, Math.exp(-event.deltaY / 400), [event.clientX, event.clientY]);
      }
    }, { passive: false });
    node.addEventListener("pointerdown", (event) => {
      node.setPointerCapture(event.pointerId);
      this.#node.focus({ preventScroll: true });
      const tool = { 1: "move", 2: "window" }[event.button] ?? this.tool;
      this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, way: 0, tool, button: event.button });
    });
    node.addEventListener("pointermove", (event) => this.#moved(cell, event));
    node.addEventListener("pointerup", (event) => this.#released(cell, event));
    node.addEventListener("pointercancel", (event) => this.#pointers.delete(event.pointerId));
  }

  #moved(cell, event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const [dx, dy] = [event.clientX - pointer.x, event.clientY - pointer.y];
    const before = this.#spread();
    Object.assign(pointer, { x: event.clientX, y: event.clientY, way: pointer.way + Math.hypot(dx, dy) });
    if (pointer.way < CLICK) return;
    if (this.#pointers.size === 2) {
      const after = this.#spread();
      if (before > 0 && after > 0 && this.large !== null) this.#zoom(cell, after / before, null);
    } else if (pointer.tool === "window" || this.large === null) {
      this.changeWindow(dy / 400, Math.exp(dx / 300));
    } else {
      this.panBy(dx, dy);
    }
  }

  #spread() {
    const [a, b] = [...this.#pointers.values()];
    return b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  // A click chooses a mark, else it makes a view large or small again.
  #released(cell, event) {
    const pointer = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    if (!pointer || pointer.button !== 0 || pointer.way >= CLICK || !cell.place?.image) return;
    const mark = this.#markAt(cell, event);
    if (mark && mark !== this.chosen) this.onChosen?.(mark);
    else this.enlarge(this.large === null ? cell.index : null);
  }
}

// By the header the chest wall would lie at the outer side: mirrored or mislabelled.
function liesElsewhere({ wall, turn, isPlacedByHeader }, name) {
  if (!wall || !isPlacedByHeader || turn.transposed || !/^[RL] /.test(name)) return false;
  const hung = (wall === "right") !== turn.mirrored;
  return hung !== isRight(name);
}
