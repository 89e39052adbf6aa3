// Plays the transcripts that all clients share; what their steps mean is told beside them.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { Client } = require("..");
const { waitFor } = require("./wait.js");

const VECTORS = path.resolve(__dirname, "../../../../tests/producers/vectors");

/** The value with its repeated texts in full. */
function writtenOut(value) {
  if (value === null || typeof value !== "object") return value;
  if (value.repeat === undefined) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, writtenOut(each)]));
  const text = value.broken ? value.repeat.replaceAll("?", "\ud800") : value.repeat;
  return text.repeat(value.times) + (value.end ?? "");
}

/** Both sides of one scene. */
class Player {
  rejections = [];
  connections = [];
  incoming = "";

  constructor(socketPath, { away, ...options }) {
    this.path = socketPath;
    this.away = away;
    this.client = new Client({
      socketPath,
      producer: "p",
      instance: "i",
      clock: () => 1000.5,
      reconnectMs: [10, 50],
      onRejected: (rejection) => this.rejections.push(rejection),
      log: () => {},
      ...options,
    });
  }

  async prepare() {
    if (!this.away) await this.listen(true);
  }

  async listen(wanted) {
    if (!wanted) return new Promise((resolve) => this.server.close(resolve));
    this.server = net.createServer((connection) => {
      connection.setEncoding("utf8");
      connection.pause();
      connection.on("error", () => {});
      this.connections.push(connection);
    });
    return new Promise((resolve) => this.server.listen(this.path, resolve));
  }

  emit(value, { times = 1 }) {
    const { event, ...fields } = writtenOut(value);
    for (let i = 0; i < times; i++) this.client.emit(event, fields);
  }

  async accept() {
    await waitFor(() => this.connections.length > 0);
    this.connection = this.connections.shift();
    this.incoming = "";
    this.ended = false;
    this.connection.on("data", (text) => (this.incoming += text));
    this.connection.on("close", () => (this.ended = true));
    this.connection.resume();
  }

  async line() {
    await waitFor(() => this.incoming.includes("\n"), () => `no line after ${this.incoming}`);
    const [line] = this.incoming.split("\n", 1);
    this.incoming = this.incoming.slice(line.length + 1);
    return line;
  }

  async read(expected) {
    assert.deepEqual(JSON.parse(await this.line()), writtenOut(expected));
  }

  async read_lines(count) {
    for (let i = 0; i < count; i++) await this.line();
  }

  write(reply) {
    this.write_text(`${JSON.stringify(reply)}\n`);
  }

  write_text(text) {
    this.connection.write(text);
  }

  cut() {
    this.connection.end();
    this.connection.destroySoon();
  }

  async end() {
    await waitFor(() => this.ended);
    assert.equal(this.incoming, "");
  }

  async until(expected) {
    const now = () => {
      const stats = this.client.stats();
      return Object.fromEntries(Object.keys(expected).map((key) => [key, stats[key]]));
    };
    const matches = () => JSON.stringify(now()) === JSON.stringify(expected);
    await waitFor(matches, () => `${JSON.stringify(now())} instead of ${JSON.stringify(expected)}`);
  }

  async rejection(expected) {
    await waitFor(() => this.rejections.length > 0);
    assert.deepEqual(this.rejections.shift(), writtenOut(expected));
  }

  close(seconds) {
    this.closing = this.client.close(seconds * 1000);
  }

  async closed(expected) {
    assert.equal(await this.closing, expected);
  }

  async finish() {
    await this.client.close(0);
    this.connection?.destroy();
    for (const connection of this.connections) connection.destroy();
    if (this.server) await this.listen(false);
    const { emitted, acknowledged, pending, dropped } = this.client.stats();
    assert.equal(emitted, acknowledged + pending + dropped);
  }
}

for (const file of fs.readdirSync(VECTORS).filter((name) => name.endsWith(".ndjson"))) {
  const lines = fs.readFileSync(path.join(VECTORS, file), "utf8").trimEnd().split("\n");
  const [scene, ...steps] = lines.map((line) => JSON.parse(line));
  test(`${file}: ${scene.about}`, async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "events-"));
    const player = new Player(path.join(directory, "events.sock"), scene.client);
    try {
      await player.prepare();
      for (const [number, step] of steps.entries()) {
        const [verb, value] = Object.entries(step)[0];
        try {
          await player[verb](value, step);
        } catch (error) {
          error.message = `${file}:${number + 2} ${lines[number + 1]}: ${error.message}`;
          throw error;
        }
      }
    } finally {
      await player.finish();
      fs.rmSync(directory, { recursive: true });
    }
  });
}
