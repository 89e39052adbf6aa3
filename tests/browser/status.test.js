// The status page in Chromium: it renders, refreshes, shows what was fed, escapes what is hostile, has no error on its console, and passes an
// accessibility check, light and dark, wide and narrow. `LIFECYCLE_EXPORTER` names the binary; `SCREENSHOTS` a directory for pictures.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { after, before, test } = require("node:test");
const { chromium } = require("playwright-core");

const PATIENCE_MS = 20_000;
const HOSTILE = "</code><script>window.hurt = 1</script><img src=x onerror='window.hurt = 2'>\"'&";
const EVENTS = [
  { event: "recording.started", backend: HOSTILE, recording: "r1" },
  { event: "recording.started", backend: "https://cloud.example.com/", recording: "r2" },
  { event: "signaling.session.joined", session: "s1", backend: "b", clienttype: "client" },
  { event: "recording.failed", backend: HOSTILE, recording: HOSTILE },
  { event: "nothing.known" },
];

let directory, exporter, address, browser;

before(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
  fs.mkdirSync(path.join(directory, "leftovers"));
  fs.writeFileSync(path.join(directory, "leftovers", "a.webm"), "x".repeat(2048));
  const config = path.join(directory, "exporter.conf");
  fs.writeFileSync(
    config,
    `[state]\ndirectory = ${directory}/state\n[scan recordings]\ndirectory = ${directory}/leftovers\n[stats]\nallowed_ips = 127.0.0.1, 10.0.0.0/8\n`,
  );
  const socket = path.join(directory, "events.sock");
  exporter = spawn(process.env.LIFECYCLE_EXPORTER, ["--config", config, "--listen", "127.0.0.1:0", "--socket", socket], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  await new Promise((resolve, reject) => {
    exporter.stderr.on("data", (text) => {
      said += text;
      if (/look at /.test(said)) resolve();
    });
    exporter.on("exit", () => reject(new Error(said)));
  });
  address = `http://${said.match(/metrics on (\S+)/)[1]}/`;
  const producer = net.connect(socket);
  producer.write('{"hello":"talk-recording","instance":"1"}\n');
  for (const event of EVENTS) producer.write(`${JSON.stringify(event)}\n`);
  await new Promise((resolve) => {
    let replies = "";
    producer.on("data", (text) => {
      replies += text;
      if (replies.includes(`{"ack":${EVENTS.length}}`)) resolve();
    });
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  if (exporter.exitCode === null && exporter.signalCode === null) {
    const ended = new Promise((resolve) => exporter.once("exit", resolve));
    exporter.kill();
    await ended;
  }
  fs.rmSync(directory, { recursive: true });
});

/** Opens the page; what is said on its console is an error here. */
async function open(context, options = {}) {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const errors = [];
  page.on("console", (message) => errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("requestfailed", (request) => page.mayFail || errors.push(request.url()));
  context.after(async () => {
    await page.context().close();
    assert.deepEqual(errors, []);
  });
  await page.goto(address);
  // The scan ends in its own time.
  await page.waitForFunction(() => document.body.innerText.includes("1 file, 2.0 KiB"), null, { polling: 100 });
  return page;
}

test("it shows what was fed, in the words of the operator", async (context) => {
  const page = await open(context);
  const text = await page.innerText("body");
  for (const expected of [
    "Attention: lines were rejected",
    "Nextcloud Talk recording server",
    "unknown_event 1 line",
    "not_open 1 line",
    "talk-recording connected 5".replaceAll(" ", "\t"),
    "The journal takes what is written.",
    "127.0.0.1/32, 10.0.0.0/8",
  ]) {
    assert.ok(text.includes(expected), `${expected} in ${text}`);
  }
  const recording = page.locator("#open-recording-recording");
  assert.match(await recording.innerText(), /recording\s+2 open\s+oldest \d+ s\s+backend=/);
  await recording.locator("summary").click();
  const rows = await recording.locator("tbody tr").allInnerTexts();
  assert.equal(rows.length, 2);
  assert.match(rows[1], /^\d+ s\stalk-recording\sbackend=https:\/\/cloud.example.com\/ recording=r2$/);
});

test("rejections can be looked at by reason", async (context) => {
  const page = await open(context);
  const hidden = page.getByText('{"event":"nothing.known"}');
  assert.ok(!(await hidden.isVisible()));
  await page.click("#rejected-unknown_event summary");
  assert.ok(await hidden.isVisible());
});

test("links are relative", async (context) => {
  const page = await open(context);
  const links = await page.locator("a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.ok(links.includes("./api/v1/open") && links.every((link) => !link.startsWith("/")), links.join());
});

test("what is hostile is text", async (context) => {
  const page = await open(context);
  assert.equal(await page.evaluate("window.hurt"), undefined);
  assert.equal(await page.locator("img").count(), 0);
  assert.ok((await page.textContent("main")).includes("<script>window.hurt = 1</script>"));
});

test("it refreshes itself, and a pause holds it", async (context) => {
  const page = await open(context);
  await page.clock.install();
  await page.reload();
  const applied = () => page.locator("dd").nth(1).innerText();
  assert.equal(await applied(), "3");
  await emit("vlog.video.viewed");
  await page.clock.fastForward(6000);
  await page.waitForFunction(() => document.querySelectorAll("dd")[1].textContent === "4", null, { polling: 100 });
  await page.click("#pause");
  assert.equal(await page.innerText("#pause"), "Go on");
  await emit("vlog.video.viewed");
  let asked = false;
  page.on("request", () => (asked = true));
  await page.clock.fastForward(60_000);
  assert.equal(asked, false);
  await page.click("#pause");
  await page.waitForFunction(() => document.querySelectorAll("dd")[1].textContent === "5", null, { polling: 100 });
});

test("it says so when the exporter does not answer, and recovers", async (context) => {
  const page = await open(context);
  await page.clock.install();
  await page.reload();
  page.mayFail = true;
  exporter.kill("SIGSTOP");
  context.after(() => exporter.kill("SIGCONT"));
  await page.clock.fastForward(5000);
  await page.waitForFunction(() => document.getElementById("verdict").textContent.includes("gives no answer"), null, { polling: 100 });
  assert.equal(await page.getAttribute("main", "class"), "old");
  exporter.kill("SIGCONT");
  await page.clock.fastForward(5000);
  await page.waitForFunction(() => document.getElementById("verdict").textContent.includes("rejected"), null, { polling: 100 });
  assert.equal(await page.getAttribute("main", "class"), null);
});

test("a refresh leaves tables and the keyboard where they are", async (context) => {
  const page = await open(context, { viewport: { width: 390, height: 844 } });
  await page.clock.install();
  await page.reload();
  await page.click("#open-recording-recording summary");
  const region = page.locator("[role=region]").first();
  await region.focus();
  await region.evaluate((element) => (element.scrollLeft = 50));
  await page.evaluate(() => (document.getElementById("status").dataset.former = "yes"));
  await page.clock.fastForward(6000);
  await page.waitForFunction(() => document.getElementById("status").dataset.former === undefined, null, { polling: 100 });
  assert.equal(await region.evaluate((element) => element.scrollLeft), 50);
  assert.ok(await region.evaluate((element) => element === document.activeElement));
});

/** Sends an event that counts as soon as this resolves. */
async function emit(event) {
  const child = spawn(process.env.LIFECYCLE_EXPORTER, ["--socket", path.join(directory, "events.sock"), "send", event]);
  assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 0);
}

for (const colorScheme of ["light", "dark"]) {
  for (const [name, width, height] of [["wide", 1200, 900], ["phone", 390, 844]]) {
    test(`it is accessible and fits: ${colorScheme}, ${name}`, async (context) => {
      const page = await open(context, { colorScheme, viewport: { width, height }, bypassCSP: true });
      for (const summary of await page.locator("summary").all()) await summary.click();
      assert.ok((await page.evaluate("document.documentElement.scrollWidth")) <= width, "nothing is cut off to the right");
      await page.addScriptTag({ path: require.resolve("axe-core/axe.min.js") });
      const { violations } = await page.evaluate("axe.run()");
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`), []);
      if (process.env.SCREENSHOTS) {
        await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${colorScheme}-${name}.png`), fullPage: true });
      }
    });
  }
}
