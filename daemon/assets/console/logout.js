// The button that ends the login of this browser. On the box itself nobody logs in.

// `pages`: what `/pages` says. `mayLeave`: false when somebody wants to stay.
export function offerLogout(pages, mayLeave = () => true) {
  const button = document.getElementById("logout");
  button.hidden = !pages.login;
  button.addEventListener("click", async () => {
    if (!mayLeave()) return;
    await fetch("/logout", { method: "POST" }).catch(() => null);
    location.assign("/login");
  });
}
