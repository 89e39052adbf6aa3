// Waiting for a condition.
"use strict";

const PATIENCE_MS = 20_000;

/** Waits until the condition holds. */
async function waitFor(condition, why = () => "in vain") {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(why());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

module.exports = { waitFor };
