"use strict";
// Takes what has changed from a fresh copy of the page, unless it is paused or nobody looks.
const button = document.getElementById("pause");
let paused = false;
button.hidden = false;
button.addEventListener("click", () => {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  refresh();
});
async function refresh() {
  if (paused || document.hidden) return;
  let fault = "no answer";
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    // Without the head: its style carries another nonce than this page allows.
    const [, body] = (await response.text()).split("</head>");
    const fresh = new DOMParser().parseFromString(body, "text/html");
    const parts = ["verdict", "status", "about"].map((name) => fresh.getElementById(name));
    if (parts.every((part) => part !== null)) {
      for (const part of parts) document.getElementById(part.id).replaceWith(part);
      return;
    }
    fault = `status ${response.status}`;
  } catch {
    // Told below, and tried again.
  }
  const place = document.getElementById("verdict");
  place.textContent = `The exporter gives ${fault}`;
  place.className = "verdict bad";
}
setInterval(refresh, 5000);
document.addEventListener("visibilitychange", refresh);
