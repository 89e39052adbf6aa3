// Where the exporter is, if nothing says so: the socket of its package, else one of an exporter that this user runs.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

/** Where the package of the exporter has its socket. */
const DEFAULT_SOCKET = "/run/lifecycle-exporter/events.sock";

/** The first socket in a directory of root or of this user: whoever listens there gets all events. */
function findSocket() {
  const user = process.geteuid?.();
  const runtime = process.env.XDG_RUNTIME_DIR ?? "";
  const candidates = [DEFAULT_SOCKET, `/tmp/lifecycle-exporter-${user}/events.sock`];
  if (path.isAbsolute(runtime)) candidates.splice(1, 0, path.join(runtime, "lifecycle-exporter", "events.sock"));
  const isTrusted = (candidate) => {
    const directory = fs.lstatSync(path.dirname(candidate), { throwIfNoEntry: false });
    return [0, user].includes(directory?.uid) && fs.existsSync(candidate);
  };
  return candidates.find(isTrusted) ?? DEFAULT_SOCKET;
}

module.exports = { DEFAULT_SOCKET, findSocket };
