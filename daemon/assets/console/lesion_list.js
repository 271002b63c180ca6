// The lesions of a patient over the years, beside the pictures: sizes, change, recall, and the way to each exam.

import { element, today } from "./box.js";
import { course } from "./course.js";
import { called, mm, where } from "./history.js";
import { words } from "./words.js";

const text = (value) => document.createTextNode(value);

// The name of a mark in the list of its series, which counts from 1 in each of them; so the picture must be the same, too.
export const idOf = ({ label }) => label.toLowerCase().replace(" ", "-");
// A sighting in an exam that was recorded here names the recording, in which lesions have their numbers.
export const isMark = (series, mark, shown) =>
  mark.id === idOf(shown) && [mark.sop_instance_uid, series.series_uid].includes(shown.object_uid) && (mark.frame ?? null) === (shown.frame ?? null);

// `uid`: the study that is shown; `has`: is this mark of it listed; `choose`: goes to it.
export function lesionItems({ lesions, undecided }, uid, has, choose) {
  const items = lesions.map((lesion) => item(lesion, uid, has, choose));
  if (undecided.length) items.push(element("li", {}, element("a", { href: "/recalls", textContent: words.breast.undecided(undecided.length) })));
  return items.length ? items : [element("li", { className: "weak", textContent: words.breast.noLesions })];
}

function item({ id, place, visits, notes, recalls, sightings, change, simulated }, uid, has, choose) {
  const made = element("li", { className: "lesion" }, element("a", { href: `/recalls#lesion=${id}`, textContent: words.lesion.title(id, where(place)) }));
  if (simulated) made.append(element("small", { className: "bad", textContent: ` ${words.breast.simulated}` }));
  if (change) {
    const percent = change.percent == null ? "" : ` (${change.percent > 0 ? "+" : ""}${change.percent.toFixed(0)} %)`;
    made.append(element("p", { className: "facts", textContent: `${change.from} → ${change.to}: ${change.longest_mm.map(mm).join(" → ")}${percent}` }));
  }
  if (visits.length > 1) made.append(course(visits, []).svg);
  for (const { due } of recalls.filter(({ closed }) => !closed)) {
    const overdue = due < today();
    made.append(element("p", { className: overdue ? "recall bad" : "recall", textContent: words.breast.due(due, overdue) }));
  }
  const last = notes.at(-1);
  if (last) made.append(element("p", { className: "facts", textContent: [last.date, words.lesion.notes[last.kind] ?? last.kind, words.lesion.outcomes[last.outcome] ?? last.outcome, last.text].filter(Boolean).join(" ") }));
  made.append(exams(sightings.filter(({ retracted }) => !retracted), uid, has, choose));
  return made;
}

// Each exam once, newest first; marks of the study that is shown are buttons.
function exams(sightings, uid, has, choose) {
  const list = element("ul", { className: "exams" });
  const known = new Set();
  for (const { date, method, axes_mm: axes, gone, shown } of [...sightings].reverse()) {
    if (shown.study_uid === uid) {
      const button = element("button", { type: "button", textContent: words.breast.marked(called(shown.label)), disabled: !has(shown) });
      button.addEventListener("click", () => choose(shown));
      list.append(element("li", {}, button));
    } else if (!known.has(`${shown.study_uid} ${date}`)) {
      known.add(`${shown.study_uid} ${date}`);
      const size = gone ? words.lesion.gone : axes.length ? mm(axes[0]) : "";
      const said = [`${date} ${method.modality}`, size].filter(Boolean).join(words.pages.comma);
      list.append(element("li", {}, shown.study_uid ? element("a", { href: `#study=${encodeURIComponent(shown.study_uid)}`, textContent: said }) : text(said)));
    }
  }
  return list;
}
