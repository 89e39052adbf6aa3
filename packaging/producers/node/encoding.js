// An event as its line of JSON.
//
// Users choose some of the texts (names, paths), so a text may be of any length and may hold what is no character. The line is one that the
// exporter takes all the same: long texts are cut, and a lone surrogate becomes U+FFFD. All clients do so by the same rules.
"use strict";

/** Of a text in UTF-8. The exporter cuts labels to 1,024 bytes and rejects longer parts of keys: a cut here hides neither. */
const TEXT_BYTES_MAX = 4096;
/** Of a text in a line that is too long otherwise: still more than a part of a key may have, so that none becomes another one. */
const SHORT_TEXT_BYTES_MAX = 1100;
/** Of a line, without its end. The exporter takes 65,536. */
const LINE_BYTES_MAX = 65_000;
/** Of the UTF-8 of a unit of UTF-16; a pair of them has four. */
const UNIT_BYTES_MAX = 3;

const CUT_MARK = "…";
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** The line, without its end. `now` is the time of an event that says none. Throws for what is no event or too long. */
function lineOf(event, fields, now) {
  let line = JSON.stringify(recordOf(event, fields, now, TEXT_BYTES_MAX));
  if (isTooLong(line)) line = JSON.stringify(recordOf(event, fields, now, SHORT_TEXT_BYTES_MAX));
  if (isTooLong(line)) throw new RangeError(`the line has ${Buffer.byteLength(line)} bytes, and may have ${LINE_BYTES_MAX}`);
  return line;
}

/** The event's fields; `null` and `undefined` are left out. */
function recordOf(event, fields, now, textBytesMax) {
  const record = { event: wellFormed(event) };
  for (const name in fields) {
    const value = fields[name];
    if (value === null || value === undefined) continue;
    if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`${name} is ${value}`);
    record[wellFormed(name)] = typeof value === "string" ? wellFormed(cut(value, textBytesMax)) : value;
  }
  if (record.time === undefined) record.time = Math.round(now * 1000) / 1000;
  else if (typeof record.time !== "number") throw new TypeError(`time is ${record.time}`);
  return record;
}

function isTooLong(line) {
  return line.length * UNIT_BYTES_MAX > LINE_BYTES_MAX && Buffer.byteLength(line) > LINE_BYTES_MAX;
}

/** The text, if it has at most as many bytes of UTF-8; else its beginning, and `…` as the last character. */
function cut(text, bytesMax) {
  if (text.length * UNIT_BYTES_MAX <= bytesMax) return text;
  // What is behind the first units cannot change the result.
  const bytes = Buffer.from(text.slice(0, bytesMax + 1));
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax - Buffer.byteLength(CUT_MARK);
  while ((bytes[end] & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end) + CUT_MARK;
}

function wellFormed(text) {
  return text.replace(LONE_SURROGATES, "\ufffd");
}

module.exports = { cut, lineOf };
