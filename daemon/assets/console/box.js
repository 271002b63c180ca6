// Asks the box. Who is not logged in is sent to the login.

import { locale, words } from "./words.js";

// Status of what is there and cannot be shown.
export const CANNOT_BE_SHOWN = 422;

// What cannot come even if it is asked for again; all else may pass: a network that was away, a box that is busy.
const FINAL = [404, CANNOT_BE_SHOWN];
export const isFinal = ({ status, isFinal: said }) => Boolean(said) || FINAL.includes(status);
// When it is asked for again.
export const AGAIN_MS = 2000;

// The day of the box, which judges what lies in the future: this device may be in another zone. Empty before its first answer.
let boxDay = "";

export function today(ahead = 0) {
  if (!boxDay) return "";
  const day = new Date(`${boxDay}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + ahead);
  return day.toISOString().slice(0, 10);
}

async function answer(path, options) {
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error(words.pages.noAnswer);
  if (response.status === 401) {
    location.assign("/login");
    throw new Error(words.pages.loginFirst);
  }
  if (!response.ok) throw Object.assign(new Error((await response.text()) || words.pages.refused(response.status)), { status: response.status });
  boxDay = response.headers.get("scanside-today") ?? boxDay;
  return response;
}

export const json = async (path) => (await answer(path)).json();
export const bytes = async (path, signal) => (await answer(path, { signal })).arrayBuffer();

export async function post(path, value) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  return (await answer(path, options)).text();
}

export const dated = (date) => (date.length === 8 ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date);

export const sex = (letter) => words.pages.sexes[letter] ?? letter;

export const local = (utc) => new Date(utc).toLocaleString(locale(), { dateStyle: "short", timeStyle: "short", hourCycle: "h23" });

// A button of a toolbar with its key, and a group of them.
export function toolButton(text, act, key, label) {
  const button = element("button", { type: "button" }, text, ...(key ? [" ", element("kbd", { textContent: key })] : []));
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}

export function toolGroup(label, ...buttons) {
  const made = element("span", { className: "group" }, ...buttons);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  return made;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
