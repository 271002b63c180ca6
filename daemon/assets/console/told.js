// What the box tells of a study, in the form in which its page needs it. Pure.

import { words } from "./words.js";

// The statements of a verdict: what is in brackets belongs to its statement.
export function statements(verdict) {
  const found = [""];
  let depth = 0;
  for (const part of verdict.split(/(; |[()])/)) {
    if (part === "; " && depth === 0) found.push("");
    else found[found.length - 1] += part;
    depth = Math.max(0, depth + (part === "(" ? 1 : part === ")" ? -1 : 0));
  }
  return found;
}

// Whose study it is: another value when that was corrected.
export const whose = ({ patient_id: id, patient_name: name, birth_date: born, patients }) => JSON.stringify([id, name, born, patients]);

// Nothing of the old content is shown under the new one.
export function outdated({ work }) {
  const { study } = words;
  const now = { queued: study.again, running: study.again, parked: study.notAgain(work?.reason ?? study.seeList) };
  return `${study.outdated} ${now[work?.state] ?? ""}`.trim();
}

// The pictures of a mammography: one that was sent again with other bytes has another number.
const pictures = ({ hanging: { places, others } }) => [...places.map(({ image }) => image), ...others].map((image) => image?.instance ?? "").join();

// The series of a mammography as one, with what was made of them.
export const together = (views, breast) => ({
  ...views[0],
  id: `breast ${views[0].id}`,
  breast,
  series_uid: breast.series_uid,
  description: words.study.mammography,
  instance_count: views.reduce((sum, one) => sum + one.instance_count, 0),
  pictures: pictures(breast),
  version: views.map((one) => one.version).join(),
  finished_utc: breast.marked?.report?.sop_uid ?? null,
  verdict: breast.verdict,
  outdated: breast.outdated,
  findings: breast.marked,
  results: breast.results,
});
