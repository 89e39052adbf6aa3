"use strict";
// Takes what has changed from a fresh copy of the page, unless it is paused, nobody looks, or somebody is selecting text.
const button = document.getElementById("pause");
let paused = false;
let asking = false;
button.hidden = false;
button.addEventListener("click", () => {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  refresh();
});
async function refresh() {
  const selection = document.getSelection();
  if (paused || asking || document.hidden || (selection && !selection.isCollapsed)) return;
  asking = true;
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(4000) });
    // Without the head: its style carries another nonce than this page allows.
    const [, body = ""] = (await response.text()).split("</head>");
    const fresh = new DOMParser().parseFromString(body, "text/html");
    const parts = ["verdict", "status", "about"].map((name) => fresh.getElementById(name));
    if (parts.includes(null)) throw new Error(`status ${response.status}`);
    replace(parts);
  } catch (error) {
    const place = document.getElementById("verdict");
    place.textContent = `The exporter gives ${/^status/.test(error.message) ? error.message : "no answer"}; what is below is old`;
    place.className = "verdict bad";
    document.getElementById("status").className = "old";
  } finally {
    asking = false;
  }
}
// Tables stay where they were scrolled to, and the keyboard where it was.
function replace(parts) {
  const named = () => [...document.querySelectorAll("[role=region]")];
  const places = new Map(named().map((region) => [region.ariaLabel, region.scrollLeft]));
  const focused = document.activeElement?.closest("[role=region]")?.ariaLabel;
  for (const part of parts) document.getElementById(part.id).replaceWith(part);
  for (const region of named()) {
    region.scrollLeft = places.get(region.ariaLabel) ?? 0;
    if (region.ariaLabel === focused) region.focus({ preventScroll: true });
  }
}
setInterval(refresh, 5000);
document.addEventListener("visibilitychange", refresh);
