// Sends the token; the box answers with a cookie that scripts cannot read.

import { translate, words } from "./words.js";

translate();
const error = document.getElementById("error");

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  const body = JSON.stringify({ token: new FormData(event.target).get("token") });
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  const answer = await fetch("/login", options).catch(() => null);
  if (answer?.ok) location.assign("/");
  else error.textContent = answer ? await answer.text() : words.pages.noAnswer;
});
