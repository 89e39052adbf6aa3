// What the host may rely on: nothing throws, nothing waits, misspelt events are errors where they are written, and the end of the program
// is one in good order.
"use strict";

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { setImmediate } = require("node:timers/promises");
const { promisify } = require("node:util");
const { Client } = require("..");
const { waitFor } = require("./wait.js");

const run = promisify(execFile);
const HERE = path.resolve(__dirname, "..");

/** An exporter that acknowledges everything and keeps the lines. */
async function listen(context, answer = (number) => [{ ack: number }]) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "events-"));
  const socketPath = path.join(directory, "events.sock");
  const lines = [];
  const server = net.createServer((connection) => {
    let rest = "";
    let number = -1;
    connection.setEncoding("utf8");
    connection.on("error", () => {});
    connection.on("data", (text) => {
      const whole = (rest + text).split("\n");
      rest = whole.pop();
      for (const line of whole.map((each) => JSON.parse(each))) {
        lines.push(line);
        if (line.bye) connection.end();
        else for (const reply of answer(++number)) connection.write(`${JSON.stringify(reply)}\n`);
      }
    });
  });
  await new Promise((resolve) => server.listen(socketPath, resolve));
  context.after(() => {
    server.close();
    fs.rmSync(directory, { recursive: true });
  });
  return { socketPath, lines };
}

test("what is no JSON is dropped and told, and the next event goes on", async (context) => {
  const { socketPath, lines } = await listen(context);
  const said = [];
  const client = new Client({ socketPath, log: (message) => said.push(message) });
  client.emit("a.nan", { value: NaN });
  client.emit("a.big", { value: 1n });
  client.emit("a.time", { time: "yesterday" });
  client.emit("a.thrower", Object.defineProperty({}, "value", { enumerable: true, get: () => { throw new Error("no"); } }));
  client.emit("a.good", { value: 1 });
  assert.equal(await client.close(), true);
  assert.equal(client.stats().dropped, 4);
  assert.deepEqual(lines.slice(1, -1).map((line) => line.event), ["a.good"]);
  assert.deepEqual(said, ["1 events were no JSON, the latest: a.nan: value is NaN"]);
});

test("names are not cut, and what is no character in them is replaced", async (context) => {
  const { socketPath, lines } = await listen(context);
  const name = "n".repeat(5000);
  const texts = Object.fromEntries(Array.from({ length: 16 }, (_, number) => [`f${number}`, "a".repeat(5000)]));
  const client = new Client({ socketPath, clock: () => 1 });
  client.emit("a.\ud800", { [name]: 1, "\udfff": 2 });
  client.emit(name, texts);
  assert.equal(await client.close(), true);
  assert.deepEqual(lines[1], { event: "a.\ufffd", [name]: 1, "\ufffd": 2, time: 1 });
  assert.deepEqual([lines[2].event, lines[2].f0], [name, "a".repeat(1097) + "…"]);
});

test("a line that is too long with short texts is told", async (context) => {
  const { socketPath } = await listen(context);
  const said = [];
  const client = new Client({ socketPath, log: (message) => said.push(message), clock: () => 1 });
  client.emit("a.long", { ["n".repeat(70_000)]: 1 });
  assert.equal(await client.close(), true);
  assert.deepEqual(said, ["1 events were no JSON, the latest: a.long: the line has 70032 bytes, and may have 65000"]);
});

test("a callback and a log that throw harm nobody", async (context) => {
  const fail = () => {
    throw new Error("no");
  };
  const { socketPath } = await listen(context, (number) => (number === 1 ? [{ rejected: 1, reason: "not_open", detail: "" }, { ack: 1 }] : [{ ack: number }]));
  const client = new Client({ socketPath, onRejected: fail, log: fail });
  client.emit("a.one");
  assert.equal(await client.close(), true);
  assert.equal(client.stats().rejected, 1);
});

test("options that make no sense are errors where they are written", () => {
  assert.throws(() => new Client({ buffer: 0 }), /buffer is 0/);
  assert.throws(() => new Client({ overflow: "middle" }), /overflow is "middle"/);
});

test("a misspelt event is an error where it is written", () => {
  const client = new Client();
  assert.throws(() => client.recording.startd({}), TypeError);
});

test("the end of the program is one in good order, and no event keeps it alive", async (context) => {
  const { socketPath, lines } = await listen(context);
  const program = "const { Client } = require('.'); new Client({ producer: 'p' }).emit('a.one');";
  await run(process.execPath, ["-e", program], { cwd: HERE, env: { ...process.env, LIFECYCLE_EVENTS_SOCKET: socketPath }, timeout: 20_000 });
  await waitFor(() => lines.length === 3);
  assert.deepEqual([lines[0].hello, lines[1].event, lines[2]], ["p", "a.one", { bye: true }]);
});

test("no exporter, no trouble", async () => {
  const program = "const { Client } = require('.'); new Client().emit('a.one'); console.log('goes on');";
  const { stdout, stderr } = await run(process.execPath, ["-e", program], {
    cwd: HERE,
    env: { ...process.env, LIFECYCLE_EVENTS_SOCKET: "/nowhere/events.sock" },
    timeout: 20_000,
  });
  assert.equal(stdout, "goes on\n");
  assert.match(stderr, /\/nowhere\/events.sock cannot be reached/);
});

test("pauses grow to 5 seconds by default", async (context) => {
  const pauses = [];
  const { setTimeout } = globalThis;
  context.after(() => Object.assign(globalThis, { setTimeout }));
  const client = new Client({ socketPath: "/nowhere/events.sock", log: () => {} });
  globalThis.setTimeout = (callback, ms) => {
    pauses.push(ms);
    return setTimeout(callback, 0);
  };
  client.emit("a.one");
  while (pauses.length < 50) await setImmediate();
  await client.close(0);
  assert.ok(Math.max(...pauses) <= 5000, `${pauses}`);
  assert.ok(Math.max(...pauses) > 2500, `${pauses}`);
});

test("a producer without a name is the program, and each client a run of it", async (context) => {
  const { socketPath, lines } = await listen(context);
  for (let number = 0; number < 2; number++) {
    const client = new Client({ socketPath });
    client.emit("a.one");
    await client.close(Infinity);
  }
  const hellos = lines.filter((line) => line.hello);
  assert.deepEqual(hellos.map((line) => line.hello), ["client.test.js", "client.test.js"]);
  assert.notEqual(hellos[0].instance, hellos[1].instance);
});

test("the name of a program is no longer than the exporter takes, and that of an expression is Node's", async (context) => {
  const { socketPath, lines } = await listen(context);
  const program = `const { Client } = require(${JSON.stringify(HERE)}); new Client().emit('a.one');`;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "events-"));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  const long = path.join(directory, `${"n".repeat(250)}.js`);
  fs.writeFileSync(long, program);
  for (const [program_arguments, name] of [[["-e", program], "node"], [[long], `${"n".repeat(197)}…`]]) {
    lines.length = 0;
    await run(process.execPath, program_arguments, { env: { ...process.env, LIFECYCLE_EVENTS_SOCKET: socketPath }, timeout: 20_000 });
    await waitFor(() => lines.length === 3);
    assert.equal(lines[0].hello, name);
  }
});

const compiler = path.join(HERE, "node_modules/typescript/bin/tsc");
const missing = ["typescript", "mediasoup", "@types/node"].filter((name) => !fs.existsSync(path.join(HERE, "node_modules", name)));
if (missing.length > 0 && process.env.CI) throw new Error(`${missing} are missing (npm install), and CI is set`);

test("the declarations hold for TypeScript, with mediasoup's own types", { skip: missing.length > 0 && `${missing} are missing` }, async () => {
  try {
    await run(process.execPath, [compiler, "--project", "test/types"], { cwd: HERE });
  } catch (error) {
    assert.fail(error.stdout);
  }
});
