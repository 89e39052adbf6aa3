// Reports lifecycle events to lifecycle-exporter.
//
// The way of an event: `emit` → the outbox → a Unix socket → the exporter, which acknowledges it. Nothing on this way throws into the
// host or keeps it waiting; what goes wrong is counted, and told to `log`. What is declared in index.d.ts is what may be relied on.
"use strict";

const { randomBytes } = require("node:crypto");
const net = require("node:net");
const { basename } = require("node:path");
const { cut, lineOf } = require("./encoding.js");
const { Outbox } = require("./outbox.js");
const { DEFAULT_SOCKET, findSocket } = require("./socket.js");
const { systems } = require("./systems.js");

/** The exporter takes no longer name of a producer. */
const NAME_BYTES_MAX = 200;
/** A connection that lasted as long was a good one: the next attempt comes soon. */
const GOOD_CONNECTION_MS = 5000;
/** After a batch the sender rests, so that the next one is worth its wake-up. */
const REST_MS = 5;
/** What is left at the end of the program gets as much time. */
const EXIT_MS = 1000;
/** The longest that a timer of Node can be. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Between two lines in the log about the same thing. */
const COMPLAINT_MS = 60_000;
/** A reply is shorter; what is not comes from no exporter. */
const REPLY_CHARACTERS_MAX = 64 * 1024;

/** The name of the program, the same in each of its processes and at each of its starts. */
function programName() {
  return cut(basename(process.argv[1] || "node"), NAME_BYTES_MAX);
}

class Client {
  #options;
  #outbox;
  #hello;
  #complaints = new Map();
  /** The connection, from the attempt to its end. */
  #socket = null;
  #connected = false;
  #incoming = "";
  #resting = null;
  #waiting = null;
  #delay;
  #began = 0;
  #told = false;
  /** Set by `close`: `{ finish, parting }`. */
  #closing = null;
  #done = false;
  #atExit;

  constructor(options = {}) {
    const {
      socketPath = process.env.LIFECYCLE_EVENTS_SOCKET,
      producer = programName(),
      instance = randomBytes(8).toString("hex"),
      owner = true,
      buffer = 10_000,
      overflow = "oldest",
      onRejected,
      log = (message) => console.error(`lifecycle-events: ${message}`),
      reconnectMs = [100, 5000],
      clock = () => Date.now() / 1000,
    } = options;
    if (!(buffer >= 1)) throw new RangeError(`buffer is ${buffer}, and has to be at least 1`);
    if (overflow !== "oldest" && overflow !== "newest") {
      throw new RangeError(`overflow is ${JSON.stringify(overflow)}, and has to be "oldest" or "newest"`);
    }
    this.#options = { socketPath, onRejected, log, reconnectMs, clock };
    this.#hello = { hello: producer, instance, ...(owner ? {} : { owner: false }) };
    this.#outbox = new Outbox(buffer, overflow);
    this.#delay = reconnectMs[0];
    for (const [system, events] of Object.entries(systems)) {
      this[system] = Object.fromEntries(
        Object.entries(events).map(([name, event]) => [name, (fields) => this.emit(event, fields)]),
      );
    }
    this.#atExit = () => this.close(EXIT_MS);
  }

  emit(event, fields) {
    try {
      const line = this.#lineOf(event, fields);
      const kept = this.#outbox.offer(line);
      if (!kept && line !== null && !this.#closing) {
        this.#complain("dropped", (count) => `lost ${count} events for lack of room, since the exporter is away or slow`);
      }
      if (this.#connected) this.#rest();
      else if (this.#socket === null && this.#waiting === null && !this.#closing) this.#connect();
    } catch (error) {
      this.#say(`an event could not be taken: ${error}`);
    }
  }

  stats() {
    const { emitted, acknowledged, dropped, rejected, pending } = this.#outbox;
    return { emitted, acknowledged, pending, in_flight: this.#outbox.sent.length, dropped, rejected, connected: this.#connected };
  }

  close(timeoutMs = 5000) {
    if (this.#closing) return this.#closing.promise;
    this.#outbox.closed = true;
    process.off("beforeExit", this.#atExit);
    let finish;
    const promise = new Promise((resolve) => (finish = resolve));
    const isBounded = timeoutMs !== null && timeoutMs <= TIMER_MS_MAX;
    const timer = isBounded ? setTimeout(() => this.#finish(), timeoutMs) : undefined;
    this.#closing = { promise, finish, parting: false, timer };
    // There is little time left: it is tried without long pauses.
    this.#delay = this.#options.reconnectMs[0];
    this.#socket?.ref();
    if (this.#connected) this.#flush();
    else if (this.#outbox.pending === 0) this.#finish();
    else if (this.#waiting !== null) this.#reconnectNow();
    return promise;
  }

  #lineOf(event, fields) {
    try {
      return lineOf(event, fields, fields?.time ?? this.#options.clock());
    } catch (error) {
      this.#complain("unfit", (count) => `${count} events were no JSON, the latest: ${event}: ${error.message}`);
      return null;
    }
  }

  #connect() {
    this.#waiting = null;
    this.#began = Date.now();
    this.#incoming = "";
    let cause = "the exporter has closed the connection";
    // An exporter may start later than this program.
    const path = this.#options.socketPath || findSocket();
    const socket = net.connect(path);
    this.#socket = socket;
    // What is reported keeps no program alive that has nothing else to do; its end gives what is left some time.
    if (!this.#closing) {
      socket.unref();
      process.off("beforeExit", this.#atExit);
      process.once("beforeExit", this.#atExit);
    }
    socket.setEncoding("utf8");
    socket.write(`${JSON.stringify(this.#hello)}\n`);
    socket.on("error", (error) => (cause = error.message));
    socket.on("data", (text) => {
      try {
        this.#read(text);
      } catch (error) {
        cause = error.message;
        socket.destroy();
      }
    });
    socket.on("close", () => this.#lost(path, cause));
  }

  #lost(path, cause) {
    this.#socket = null;
    this.#connected = false;
    clearTimeout(this.#resting);
    this.#resting = null;
    if (this.#done) return;
    if (this.#closing && this.#outbox.pending === 0) return this.#finish();
    if (Date.now() - this.#began > GOOD_CONNECTION_MS) {
      this.#delay = this.#options.reconnectMs[0];
      this.#told = false;
    }
    if (!this.#told) this.#say(`the exporter at ${path} cannot be reached, will try again: ${cause}`);
    this.#told = true;
    this.#waiting = setTimeout(() => this.#connect(), this.#delay * (0.5 + Math.random() / 2));
    if (!this.#closing) this.#waiting.unref();
    if (!this.#closing) this.#delay = Math.min(this.#delay * 2, this.#options.reconnectMs[1]);
  }

  #reconnectNow() {
    clearTimeout(this.#waiting);
    this.#connect();
  }

  #read(text) {
    const lines = (this.#incoming + text).split("\n");
    this.#incoming = lines.pop();
    if (this.#incoming.length > REPLY_CHARACTERS_MAX) throw new Error("a reply without an end: this is no lifecycle-exporter");
    for (const line of lines) this.#hear(parse(line));
  }

  #hear(reply) {
    if (!this.#connected) {
      if (reply.ack === undefined) throw new Error(`the hello was not taken: ${reply.detail ?? reply.reason}`);
      this.#send(this.#outbox.resume(reply.ack));
      this.#connected = true;
      this.#flush();
    } else if (reply.ack !== undefined) {
      if (!this.#outbox.acknowledge(reply.ack)) throw new Error(`line ${reply.ack} was acknowledged, and never sent`);
      if (this.#closing || this.#outbox.waiting.length > 0) this.#flush();
    } else {
      const line = this.#outbox.reject(reply.rejected);
      if (line === undefined) throw new Error(`line ${reply.rejected} was rejected: ${reply.detail ?? reply.reason}`);
      this.#tellRejection({ event: JSON.parse(line), reason: String(reply.reason), detail: String(reply.detail) });
    }
  }

  #tellRejection(rejection) {
    if (!this.#options.onRejected) {
      const { reason, detail, event } = rejection;
      this.#complain("rejected", (count) => `${count} events were rejected, the latest: ${reason}: ${detail}: ${JSON.stringify(event)}`);
      return;
    }
    try {
      this.#options.onRejected(rejection);
    } catch (error) {
      this.#say(`onRejected failed: ${error}`);
    }
  }

  /** Sends soon, with what else comes until then. */
  #rest() {
    if (this.#resting === null) {
      this.#resting = setTimeout(() => this.#flush(), REST_MS);
      this.#resting.unref();
    }
  }

  #flush() {
    clearTimeout(this.#resting);
    this.#resting = null;
    this.#send(this.#outbox.take());
    if (this.#closing && this.#outbox.pending === 0 && !this.#closing.parting) {
      this.#closing.parting = true;
      this.#send(['{"bye":true}']);
    }
  }

  #send(lines) {
    // The window bounds what may pile up here.
    if (lines.length > 0) this.#socket.write(`${lines.join("\n")}\n`);
  }

  #finish() {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#closing.timer);
    clearTimeout(this.#waiting);
    clearTimeout(this.#resting);
    this.#connected = false;
    this.#socket?.destroy();
    this.#closing.finish(this.#outbox.pending === 0);
  }

  /** The first is told at once, and those of a minute together. */
  #complain(about, text) {
    const now = Date.now();
    const state = this.#complaints.get(about) ?? { count: 0, next: 0 };
    state.count++;
    if (now >= state.next) {
      this.#say(text(state.count));
      state.count = 0;
      state.next = now + COMPLAINT_MS;
    }
    this.#complaints.set(about, state);
  }

  #say(message) {
    try {
      this.#options.log(message);
    } catch {
      // A log that fails is the host's own.
    }
  }
}

/** A reply as its fields. */
function parse(line) {
  let reply;
  try {
    reply = JSON.parse(line);
  } catch {
    reply = null;
  }
  if (!Number.isInteger(reply?.ack ?? reply?.rejected)) {
    throw new Error(`${JSON.stringify(line.slice(0, 80))} is no reply of a lifecycle-exporter`);
  }
  return reply;
}

module.exports = { Client, DEFAULT_SOCKET };
