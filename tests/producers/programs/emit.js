// Emits as many events as told, closes, and prints how long that took: beside it, what counting in the process itself takes.
"use strict";

const { Client } = require("lifecycle-events");

async function main(count, compare) {
  const client = new Client({ producer: "emit.js", buffer: count });
  const began = performance.now();
  for (let number = 0; number < count; number++) {
    client.signaling.messageReceived({ type: "offer" });
    // As a server does, it lets others have their turn.
    if (number % 500 === 499) await new Promise(setImmediate);
  }
  const emitted = performance.now();
  const complete = await client.close(2 ** 31 - 1);
  const result = {
    complete,
    stats: client.stats(),
    emit_seconds: (emitted - began) / 1000 / count,
    events_per_second: (count / (performance.now() - began)) * 1000,
  };
  const library = compare && optional("prom-client");
  if (library) {
    const messages = new library.Counter({ name: "signaling_server_messages_total", help: "Messages", labelNames: ["type"] });
    const began = performance.now();
    for (let number = 0; number < count; number++) {
      messages.inc({ type: "offer" });
      if (number % 500 === 499) await new Promise(setImmediate);
    }
    result.inc_seconds = (performance.now() - began) / 1000 / count;
  }
  console.log(JSON.stringify(result));
}

/** A package, if it is there. Else the bench says that there is nothing to compare with. */
function optional(name) {
  try {
    return require(name);
  } catch {
    return null;
  }
}

main(Number(process.argv[2]), process.argv[3] === "compare");
