// The list of studies, and the page of one study.

import { dated, element, json, local, sex } from "./box.js";
import * as list from "./list.js";
import { offerLogout } from "./logout.js";
import { readable } from "./name.js";
import { translate, words } from "./words.js";
import { Workplace } from "./workplace.js";

const REFRESH_MS = 5000;

translate();

const by = (id) => document.getElementById(id);
const workplace = new Workplace();
let all = [];

const priorities = () => [words.list.urgent, "", words.list.background];

// What is going on with a study, in a few words.
function state({ state: word, work }) {
  const { list: said, pages } = words;
  if (!work || word !== "analyzing") return said.states[word] ?? word;
  const waiting = work.state === "queued" ? said.waits : work.state === "parked" ? said.help : said.inWork;
  return [waiting, priorities()[work.priority]].filter(Boolean).join(pages.comma);
}

function since({ last_utc: last, work }) {
  if (work?.state !== "queued") return local(last);
  const minutes = Math.round((Date.now() - Date.parse(work.since_utc)) / 60000);
  return words.list.waiting(local(last), minutes);
}

// The date that the scanner gave, without the hyphens of people.
const searched = (study) => [study.patient_name, study.patient_id, study.accession_number, study.description, study.study_date,
  dated(study.study_date), study.modalities.join(" "), study.verdicts.join(" ")].join(" ").toLowerCase();

function row(study) {
  const facts = [study.patient_id, study.birth_date && words.pages.born(dated(study.birth_date)), sex(study.sex), study.patients > 1 && words.list.others(study.patients - 1)].filter(Boolean).join(" · ");
  const open = element("a", { href: `#study=${encodeURIComponent(study.study_uid)}`, textContent: readable(study.patient_name) || words.pages.noName });
  const what = [dated(study.study_date), study.modalities.join(", "), study.description].filter(Boolean).join(" · ");
  const small = (text) => element("small", { textContent: text });
  const cell = (...children) => element("td", {}, ...children);
  const verdicts = element("td", { className: "verdicts", lang: "en" });
  verdicts.append(...study.verdicts.slice(0, 3).map((verdict) => element("p", { textContent: verdict })));
  if (study.verdicts.length > 3) verdicts.append(small(words.list.more(study.verdicts.length - 3)));
  if (study.work?.reason && study.work.state !== "running") verdicts.append(element("p", { className: "bad", textContent: study.work.reason }));
  const shown = element("tr", {},
    cell(element("span", { className: `state ${study.state}`, textContent: state(study) })),
    cell(open, small(facts)),
    cell(element("span", { textContent: what }), small([words.list.objects(study.instance_count), study.accession_number].filter(Boolean).join(" · "))),
    verdicts,
    cell(element("span", { textContent: since(study) })));
  shown.addEventListener("click", (event) => {
    if (!event.target.closest("a") && !String(getSelection())) location.hash = open.hash;
  });
  return shown;
}

function show() {
  const typed = by("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = by("state").value;
  const found = all.filter((study) => (!wanted || study.state === wanted) && typed.every((word) => searched(study).includes(word)));
  list.fill(found.map(row));
  by("list-count").textContent = words.list.count(found.length, all.length);
  by("no-rows").hidden = found.length > 0;
  by("no-rows").textContent = all.length ? words.list.none : words.list.empty;
}

async function refresh() {
  try {
    all = await json("/reading/studies");
    list.tell();
    show();
  } catch (error) {
    list.tell(error);
  }
}

// What was decided and not signed is lost with the page of its study: first it is asked. Returns whether it is.
function asks(study) {
  if (!workplace.isUnsigned || study === workplace.uid) return false;
  const dialog = by("leave");
  const to = location.hash;
  history.replaceState(null, "", `#study=${encodeURIComponent(workplace.uid)}`);
  dialog.returnValue = "stay";
  dialog.onclose = () => {
    if (dialog.returnValue !== "leave") return;
    workplace.close();
    location.hash = to;
  };
  if (!dialog.open) dialog.showModal();
  return true;
}

async function route() {
  const study = new URLSearchParams(location.hash.slice(1)).get("study");
  if (asks(study)) return undefined;
  by("list-view").hidden = Boolean(study);
  by("study-view").hidden = !study;
  by("keys").hidden = !study;
  if (study) return workplace.open(study);
  workplace.close();
  await refresh();
  return list.focusFirst();
}

for (const event of ["input", "change"]) {
  by("find").addEventListener(event, show);
  by("state").addEventListener(event, show);
}
addEventListener("hashchange", route);
// To another page, or the browser is closed.
addEventListener("beforeunload", (event) => {
  if (workplace.isUnsigned) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  // Keys of somebody who puts a Chinese character together are theirs.
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (list.isShown()) return list.key(event);
  // A dialog closes itself with Escape.
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea");
  if (!typing) workplace.key(event);
  // Out of the field, not out of the study.
  else if (event.key === "Escape") typing.blur();
});

list.refreshEvery(REFRESH_MS, refresh);

// What is decided and not signed is lost with the login, too.
function mayLeave() {
  if (workplace.isUnsigned && !confirm(words.leave.logout)) return false;
  workplace.close();
  return true;
}

json("/pages").then((pages) => {
  by("to-live").hidden = !pages.live;
  offerLogout(pages, mayLeave);
}).catch(() => {});
route();
