// The sizes of a lesion over the years as a line: one for each way of measuring, since others cannot be compared.

import { words } from "./words.js";

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 640, HEIGHT = 200, LEFT = 60, RIGHT = 16, TOP = 16, BOTTOM = 28;

function node(name, attributes, text) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

const day = (date) => Date.parse(`${date}T00:00:00Z`) / 86400000;
const method = ({ modality, by }) => (by === "person" ? words.lesion.byPerson : words.lesion.bySoftware)(modality);

// `marks`: days with something to show as an upright line, such as the begin of a treatment.
export function course(visits, marks) {
  const days = [...visits.map((visit) => day(visit.date)), ...marks.map((mark) => day(mark.date))];
  const [first, last] = [Math.min(...days), Math.max(...days)];
  const highest = Math.max(5, ...visits.map((visit) => visit.longest_mm));
  const step = [1, 2, 5, 10, 20, 50, 100].find((size) => highest / size <= 4) ?? 100;
  const top = Math.ceil(highest / step) * step;
  const x = (value) => first === last ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT);
  const y = (size) => HEIGHT - BOTTOM - size / top * (HEIGHT - TOP - BOTTOM);
  const said = visits.map((visit) => `${visit.date} ${visit.gone ? words.lesion.gone : `${visit.longest_mm.toFixed(1)} mm`} (${method(visit.method)})`);
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "course" });
  svg.append(node("title", {}, words.lesion.longest(said.join(words.pages.comma))));
  for (let size = 0; size <= top; size += step) {
    svg.append(node("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(size), y2: y(size), class: "grid" }));
    svg.append(node("text", { x: LEFT - 8, y: y(size) + 4, class: "axis end" }, size === top ? `${size} mm` : `${size}`));
  }
  for (const mark of marks) {
    svg.append(node("line", { x1: x(day(mark.date)), x2: x(day(mark.date)), y1: TOP, y2: HEIGHT - BOTTOM, class: "mark" }));
    // At the right there is no room beside the line.
    const [shift, side] = x(day(mark.date)) > WIDTH / 2 ? [-4, "axis end"] : [4, "axis"];
    svg.append(node("text", { x: x(day(mark.date)) + shift, y: TOP + 8, class: side }, mark.text.slice(0, 24)));
  }
  const methods = [...new Set(visits.map((visit) => method(visit.method)))];
  methods.forEach((name, number) => {
    const own = visits.filter((visit) => method(visit.method) === name);
    const points = own.map((visit) => `${x(day(visit.date))},${y(visit.longest_mm)}`);
    svg.append(node("polyline", { points: points.join(" "), class: `line line-${number % 4}` }));
    for (const visit of own) svg.append(node("circle", { cx: x(day(visit.date)), cy: y(visit.longest_mm), r: 4.5, class: `dot line-${number % 4}` }));
  });
  const ends = [...new Set([Math.min(...visits.map((visit) => day(visit.date))), Math.max(...visits.map((visit) => day(visit.date)))])];
  ends.forEach((end, index) => {
    const side = ends.length === 1 ? "middle" : index === 0 ? "start" : "end";
    svg.append(node("text", { x: x(end), y: HEIGHT - 8, class: `axis ${side}` }, new Date(end * 86400000).toISOString().slice(0, 10)));
  });
  return { svg, methods };
}
