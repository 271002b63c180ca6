// The list of a page (studies, recalls): rows, keys, and of when it is.

import { locale, words } from "./words.js";

const by = (id) => document.getElementById(id);
const links = () => [...by("rows").querySelectorAll("a")];

export const isShown = () => !by("list-view").hidden;

export const focusFirst = () => links()[0]?.focus();

// Whoever steps through the list with the keyboard stays where they are.
export function fill(rows) {
  const focused = document.activeElement?.closest?.("#rows a")?.hash;
  by("rows").replaceChildren(...rows);
  if (focused) links().find((link) => link.hash === focused)?.focus();
}

// `error`: why it is an old list; absent: it is of now.
export function tell(error) {
  const now = () => new Date().toLocaleTimeString(locale(), { timeStyle: "medium", hourCycle: "h23" });
  by("connection").textContent = error ? error.message : words.pages.asOf(now());
  by("connection").classList.toggle("lost", Boolean(error));
}

// Arrows from row to row, and from the first to the search; / searches. A choice keeps its own arrows.
export function key(event) {
  if (event.target.closest("select")) return;
  const typing = event.target.closest("input, textarea");
  const all = links();
  const at = all.indexOf(document.activeElement);
  if (event.key === "/" && !typing) by("find").focus();
  else if (event.key === "ArrowDown") all[Math.min(all.length - 1, at + 1)]?.focus();
  else if (event.key === "ArrowUp") (at > 0 ? all[at - 1] : by("find")).focus();
  else return;
  event.preventDefault();
}

export function refreshEvery(ms, refresh) {
  setInterval(() => {
    if (isShown() && !document.hidden) refresh();
  }, ms);
}
