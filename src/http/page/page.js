"use strict";
// Replaces the changing parts with those of a fresh copy of the page, unless the page is paused or hidden, or text is selected.
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
    // Without the head, whose style has a nonce that the policy of this page does not allow.
    const [, body = ""] = (await response.text()).split("</head>");
    const fresh = new DOMParser().parseFromString(body, "text/html");
    const parts = ["verdict", "status", "about"].map((name) => fresh.getElementById(name));
    if (parts.includes(null)) throw new Error(`status ${response.status}`);
    replace(parts);
  } catch (error) {
    const verdict = document.getElementById("verdict");
    verdict.textContent = `The exporter gives ${/^status/.test(error.message) ? error.message : "no answer"}; the figures below are old`;
    verdict.className = "verdict bad";
    document.getElementById("status").className = "old";
  } finally {
    asking = false;
  }
}
// Tables keep their scroll position, what is folded out stays so, and the focus stays where it is.
function replace(parts) {
  const named = () => [...document.querySelectorAll("[role=region]")];
  const positions = new Map(named().map((region) => [region.ariaLabel, region.scrollLeft]));
  const focused = document.activeElement?.closest("[role=region]")?.ariaLabel;
  const folded = document.activeElement?.closest("summary")?.parentElement.id;
  const unfolded = [...document.querySelectorAll("details[open]")].map((details) => details.id);
  for (const part of parts) document.getElementById(part.id).replaceWith(part);
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  if (folded) document.getElementById(folded)?.querySelector("summary").focus({ preventScroll: true });
  for (const region of named()) {
    region.scrollLeft = positions.get(region.ariaLabel) ?? 0;
    if (region.ariaLabel === focused) region.focus({ preventScroll: true });
  }
}
setInterval(refresh, 5000);
document.addEventListener("visibilitychange", refresh);
