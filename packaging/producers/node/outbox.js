// The events that are not acknowledged yet: those that wait, and those that are on their way. Knows nothing of sockets. The sender
// numbers lines by their place here, so an event that was sent stays until it is acknowledged, whatever happens to the connection.
"use strict";

/** As many lines may be on their way without an acknowledgement; the exporter acknowledges at least as often. */
const WINDOW_LINES = 1024;

class Outbox {
  /** @param {number} capacity @param {"oldest" | "newest"} overflow */
  constructor(capacity, overflow) {
    this.capacity = capacity;
    this.oldestGivesWay = overflow === "oldest";
    this.waiting = new Queue();
    this.sent = new Queue();
    this.lastAck = 0;
    this.closed = false;
    this.emitted = 0;
    this.acknowledged = 0;
    this.dropped = 0;
    this.rejected = 0;
  }

  /** Takes a line; `null` is one that could not be made. False: a line was lost, this one or the oldest that waits. */
  offer(line) {
    this.emitted++;
    if (line !== null && !this.closed && this.pending < this.capacity) {
      this.waiting.push(line);
      return true;
    }
    this.dropped++;
    if (line !== null && !this.closed && this.oldestGivesWay && this.waiting.length > 0) {
      this.waiting.shift(1);
      this.waiting.push(line);
    }
    return false;
  }

  /** The lines to send next, as many as the window allows. */
  take() {
    const lines = this.waiting.shift(Math.min(WINDOW_LINES - this.sent.length, this.waiting.length));
    for (const line of lines) this.sent.push(line);
    return lines;
  }

  /** A session begins with this acknowledgement. Returns the lines on their way that have to be sent again. */
  resume(ack) {
    // An exporter that has lost its memory acknowledges less than before: what it once had is not sent again.
    this.#forget(Math.max(0, Math.min(ack - this.lastAck, this.sent.length)));
    this.lastAck = ack;
    return this.sent.toArray();
  }

  /** Every line up to this number is done. False: no such line was sent. */
  acknowledge(ack) {
    const count = ack - this.lastAck;
    if (!(count >= 0 && count <= this.sent.length)) return false;
    this.#forget(count);
    this.lastAck = ack;
    return true;
  }

  #forget(count) {
    this.sent.shift(count);
    this.acknowledged += count;
  }

  /** The line of this number was rejected. Returns it; `undefined`: no such line is on its way. */
  reject(number) {
    const line = this.sent.at(number - this.lastAck - 1);
    if (line !== undefined) this.rejected++;
    return line;
  }

  get pending() {
    return this.waiting.length + this.sent.length;
  }
}

/** First in, first out, in constant time. */
class Queue {
  #items = [];
  #first = 0;

  get length() {
    return this.#items.length - this.#first;
  }

  push(item) {
    this.#items.push(item);
  }

  /** Takes as many from the front. */
  shift(count) {
    const taken = this.#items.slice(this.#first, this.#first + count);
    this.#items.fill(undefined, this.#first, this.#first + count);
    this.#first += count;
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }

  at(place) {
    return place >= 0 ? this.#items[this.#first + place] : undefined;
  }

  toArray() {
    return this.#items.slice(this.#first);
  }
}

module.exports = { Outbox, WINDOW_LINES };
