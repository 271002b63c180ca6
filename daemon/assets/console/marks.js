// The marks of a mammography: which are shown, and how each is drawn over its picture.

import { words } from "./words.js";

// Okabe and Ito: told apart by everyone. The kind is said in words, too.
const COLOURS = { mass: [230, 159, 0], calcifications: [86, 180, 233], asymmetry: [0, 200, 150], distortion: [240, 228, 66] };
const CHOSEN = "#ffffff";

// A place for words beside a box: above, below, outside, inside; then further up and down. Never out of the picture, nor over other words.
function free([x, y, width, height], [wide, high], edges, tags, gap) {
  const within = ([left, top]) => [Math.max(edges[0], Math.min(left, edges[2] - wide)), Math.max(edges[1], Math.min(top, edges[3] - high))];
  const tries = [[x, y - high - gap], [x, y + height + gap], [x - wide - gap, y], [x + width + gap, y]];
  for (let away = 1; away < 8; away += 1) {
    for (const side of [x - wide - gap, x + width + gap]) tries.push([side, y - away * (high + gap)], [side, y + away * (high + gap)]);
  }
  const covers = ([left, top]) => tags.some((tag) => left < tag[2] && left + wide > tag[0] && top < tag[3] && top + high > tag[1]);
  return tries.map(within).find((one) => !covers(one)) ?? within(tries[0]);
}

export class Marks {
  #shown = new Set();
  #rejected = new Set();

  // `marked`: of the box. What a review has rejected is listed and not drawn at first.
  constructor(marked) {
    const gone = (marked.review?.decisions ?? []).filter((one) => one.decision === "rejected").map((one) => one.id);
    const edited = new Map((marked.review?.decisions ?? []).filter(({ edit }) => edit).map(({ id, edit }) => [id, edit.values]));
    this.listed = marked.listed.map((mark) => {
      // A score was of the kind that the network saw.
      const kind = edited.get(mark.id)?.kind;
      return { ...mark, kind: kind ?? mark.kind, score: kind ? null : mark.score, number: Number(mark.id.split("-").at(-1)) };
    });
    this.all = this.listed.map(({ id, number, kind, sop_instance_uid: uid }) =>
      ({ number, label: id.replace("-", " "), colour: COLOURS[kind] ?? [255, 255, 255], isAnatomy: false, at: [uid], key: id, starts: !gone.includes(id) }));
    this.#rejected = new Set(gone);
  }

  async show(number, on) {
    if (on) this.#shown.add(number);
    else this.#shown.delete(number);
  }

  // All of a picture, also those that are not drawn.
  listedOn(uid) {
    return this.listed.filter((mark) => mark.sop_instance_uid === uid);
  }

  of(uid) {
    return this.listedOn(uid).filter((mark) => this.#shown.has(mark.number));
  }

  find(id) {
    return this.listed.find((mark) => mark.id === id);
  }

  // `place`: from stored pixels to those of the canvas; `rejected`: by whoever reads now; `tags`: where words are already.
  draw(context, mark, place, { chosen, rejected, ratio, edges, tags }) {
    const [left, top, right, bottom] = mark.bounds;
    const corners = [place([left, top]), place([right, bottom])];
    const [x, y] = [0, 1].map((axis) => Math.min(corners[0][axis], corners[1][axis]));
    const [width, height] = [0, 1].map((axis) => Math.abs(corners[0][axis] - corners[1][axis]));
    const colour = `rgb(${(COLOURS[mark.kind] ?? [255, 255, 255]).join(" ")})`;
    const gone = rejected || this.#rejected.has(mark.id);
    const line = (chosen ? 3 : 1.75) * ratio;
    context.setLineDash(gone ? [6 * ratio, 5 * ratio] : []);
    for (const [style, wide] of [["rgb(0 0 0 / .65)", line + 2.5 * ratio], [chosen ? CHOSEN : colour, line]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: wide });
      context.strokeRect(x, y, width, height);
    }
    context.setLineDash([]);
    const text = [mark.number, words.edit.choices[mark.kind] ?? mark.kind, mark.score === null ? words.breast.edited : mark.score.toFixed(2)].join(" ");
    const size = 13 * ratio;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 8 * ratio;
    const high = size + 5 * ratio;
    const [tagX, tagY] = free([x, y, width, height], [wide, high], edges, tags, 3 * ratio);
    tags.push([tagX, tagY, tagX + wide, tagY + high]);
    context.fillStyle = "rgb(6 8 11 / .8)";
    context.fillRect(tagX, tagY, wide, high);
    context.fillStyle = chosen ? CHOSEN : colour;
    context.textBaseline = "middle";
    context.fillText(text, tagX + 4 * ratio, tagY + high / 2);
    if (gone) context.fillRect(tagX + 2 * ratio, tagY + high / 2, wide - 4 * ratio, 1.5 * ratio);
  }
}
