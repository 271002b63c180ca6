// The words of all pages, in the language of the browser: Chinese where it is Chinese, else English. All of them are in `table.js`.

import { TABLE } from "./table.js";

const LANGUAGES = ["en", "zh"];

export const language = () => (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
// For dates and times; of other browsers as they are set.
export const locale = () => (language() === "zh" ? "zh-CN" : []);

// Each entry as a property that gives the word of the language.
function reading(part) {
  const one = ([key, value]) =>
    [key, Array.isArray(value) ? { enumerable: true, get: () => value[LANGUAGES.indexOf(language())] } : { enumerable: true, value: reading(value) }];
  return Object.defineProperties({}, Object.fromEntries(Object.entries(part).map(one)));
}

export const words = reading(TABLE);

const named = (path) => path.split(".").reduce((part, key) => part[key], words);

// Puts the words into a page that was just loaded: `data-word` before what an element holds, `data-label` and `data-hint` as attributes.
export function translate() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  for (const one of document.querySelectorAll("[data-word]")) one.prepend(named(one.dataset.word), one.childElementCount ? " " : "");
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", named(one.dataset.label));
  for (const one of document.querySelectorAll("[data-hint]")) one.placeholder = named(one.dataset.hint);
}

// Of what the box says in both languages: an object with `en` and `zh`, of which the second may be missing in what is older.
export const of = (said) => said[language()] || said.en;
