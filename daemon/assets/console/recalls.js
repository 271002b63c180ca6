// Who is due, which lesions there are, and what nobody has decided yet.

import { dated, element, json, sex } from "./box.js";
import * as list from "./list.js";
import { offerLogout } from "./logout.js";
import { readable } from "./name.js";
import { History, called, mm, where } from "./history.js";
import { translate, words } from "./words.js";

translate();

const REFRESH_MS = 30000;

const by = (id) => document.getElementById(id);
const history = new History();
let all = [];

const link = (number, text) => element("a", { href: `#lesion=${number}`, textContent: text });
const small = (text) => element("small", { textContent: text });
const cell = (...children) => element("td", {}, ...children);
const facts = ({ id, birth_date: born, sex: letter }) => [id, born && words.pages.born(dated(born)), sex(letter)].filter(Boolean).join(" · ");
const patient = (number, person) => cell(link(number, readable(person.name) || words.pages.noName), small(facts(person)));

function when({ standing, days: count, done, reason }) {
  if (standing === "done") return words.recalls.on(done);
  if (standing === "cancelled") return reason;
  return words.recalls.days(count);
}

function changed({ change, response }) {
  const parts = [];
  if (change) {
    const [then, now] = change.longest_mm;
    const percent = change.percent == null ? "" : ` (${change.percent > 0 ? "+" : ""}${Math.round(change.percent)} %)`;
    parts.push(`${mm(then)} → ${mm(now)}${percent}`);
  }
  if (response) parts.push(response.category);
  return parts.join(words.pages.comma);
}

const LISTS = {
  recalls: {
    head: ["state", "patient", "due", "lesion", "why"],
    row: (recall) => [
      cell(element("span", { className: `state ${recall.standing}`, textContent: words.recalls.standing[recall.standing] ?? recall.standing })),
      patient(recall.lesion, recall.person),
      cell(element("span", { textContent: recall.due }), small([when(recall), recall.came ? words.recalls.came(recall.came.date) : ""].filter(Boolean).join(" · "))),
      cell(element("span", { textContent: [recall.lesion, where(recall)].join(words.pages.colon) }),
        small([recall.last_longest_mm == null ? "" : mm(recall.last_longest_mm), recall.last_modality, recall.last_date].filter(Boolean).join(" · "))),
      cell(element("span", { textContent: recall.why }), small([recall.modality, recall.rule, words.recalls.entered(recall.by, recall.entered)].filter(Boolean).join(" · "))),
    ],
  },
  lesions: {
    head: ["patient", "lesion", "last", "change", "biopsy", "due"],
    row: (lesion) => [
      patient(lesion.id, lesion.person),
      cell(element("span", { textContent: [lesion.id, where(lesion.place)].join(words.pages.colon) }), small(words.recalls.seen(lesion.visits))),
      cell(element("span", { textContent: lesion.last ? mm(lesion.last.longest_mm) : words.lesion.notMeasured }), small(lesion.last ? `${lesion.last.method.modality} · ${lesion.last.date}` : "")),
      cell(element("span", { textContent: changed(lesion) })),
      cell(element("span", { textContent: words.lesion.outcomes[lesion.outcome] ?? lesion.outcome ?? "" })),
      cell(element("span", { textContent: lesion.due ?? "" })),
    ],
  },
  undecided: {
    head: ["patient", "seen", "size", "where", "may"],
    row: (seen) => [
      patient(seen.proposed[0], seen.person),
      cell(element("span", { textContent: `${seen.date} · ${seen.method.modality}` }), small(words.recalls.sighting(seen.id, called(seen.shown.label)))),
      cell(element("span", { textContent: seen.axes_mm.length ? seen.axes_mm.map((axis) => axis.toFixed(1)).join(" × ") + " mm" : words.lesion.notMeasured })),
      cell(element("span", { textContent: where(seen.place) })),
      cell(...seen.proposed.map((number) => link(number, ` ${number} `))),
    ],
  },
};
LISTS.all = LISTS.recalls;

function show() {
  const kind = LISTS[by("which").value];
  const typed = by("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const searched = (row) => `${JSON.stringify(row)} ${readable(row.person.name)} ${dated(row.person.birth_date)}`.toLowerCase();
  const found = all.filter((row) => typed.every((word) => searched(row).includes(word)));
  by("head").replaceChildren(...kind.head.map((title) => element("th", { scope: "col", textContent: words.recalls.head[title] })));
  list.fill(found.map((row) => {
    const shown = element("tr", {}, ...kind.row(row));
    shown.addEventListener("click", (event) => {
      if (!event.target.closest("a") && !String(getSelection())) location.hash = shown.querySelector("a").hash;
    });
    return shown;
  }));
  by("list-count").textContent = found.length === all.length ? `${all.length}` : words.pages.of(found.length, all.length);
  by("no-rows").hidden = found.length > 0;
  by("no-rows").textContent = all.length ? words.recalls.none.found : words.recalls.none[by("which").value];
}

async function fetched(which) {
  if (which === "recalls") return json("/reading/recalls");
  if (which === "all") return json("/reading/recalls?all=true");
  const { lesions, undecided, more } = await json("/reading/lesions");
  by("more").hidden = !more;
  return which === "lesions" ? lesions : undecided;
}

async function refresh() {
  const which = by("which").value;
  const query = which === "all" ? "?all=true" : "";
  by("csv").href = `/reading/recalls.csv${query}`;
  by("fhir").href = `/reading/recalls.fhir${query}`;
  by("more").hidden = true;
  try {
    const rows = await fetched(which);
    if (which !== by("which").value) return;
    all = rows;
    list.tell();
    show();
  } catch (error) {
    list.tell(error);
  }
}

async function route() {
  const number = new URLSearchParams(location.hash.slice(1)).get("lesion");
  by("list-view").hidden = Boolean(number);
  by("lesion-view").hidden = !number;
  if (number) return history.open(number);
  history.close();
  await refresh();
  return list.focusFirst();
}

by("which").addEventListener("change", refresh);
by("find").addEventListener("input", show);
addEventListener("hashchange", route);

document.addEventListener("keydown", (event) => {
  // Keys of somebody who puts a Chinese character together are theirs.
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (list.isShown()) return list.key(event);
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  // Out of the field, not away from what is half written in it.
  const typing = event.target.closest("input, select, textarea");
  if (typing) typing.blur();
  else location.hash = "";
});

list.refreshEvery(REFRESH_MS, refresh);

json("/pages").then((pages) => {
  by("to-live").hidden = !pages.live;
  offerLogout(pages);
}).catch(() => {});
route();
