// The exporter itself, for the tests that need it: `LIFECYCLE_EXPORTER` names its binary.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { waitFor } = require("./wait.js");

/** Why a test is skipped for lack of a variable; where `CI` is set, its lack is an error. */
function needs(variable) {
  if (process.env[variable]) return false;
  if (process.env.CI) throw new Error(`$${variable} is missing, and CI is set`);
  return `$${variable} is missing`;
}

class Exporter {
  static async start() {
    const exporter = new Exporter();
    exporter.directory = fs.mkdtempSync(path.join(os.tmpdir(), "exporter-"));
    exporter.socket = path.join(exporter.directory, "events.sock");
    exporter.process = spawn(
      process.env.LIFECYCLE_EXPORTER,
      ["--config", "/dev/null", "--listen", "127.0.0.1:0", "--socket", exporter.socket],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    exporter.process.stderr.on("data", (text) => (said += text));
    await waitFor(() => /metrics on \S+/.test(said), () => said);
    exporter.address = said.match(/metrics on (\S+)/)[1];
    return exporter;
  }

  async metrics(system) {
    return (await fetch(`http://${this.address}/metrics?system=${system}`)).text();
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill();
    await ended;
    fs.rmSync(this.directory, { recursive: true });
  }
}

module.exports = { Exporter, needs };
