// Objects of mediasoup's shape, as its published types have it, and the events that follow from what happens to them.
"use strict";

const assert = require("node:assert/strict");
const { EventEmitter } = require("node:events");
const { test } = require("node:test");
const { observe } = require("../mediasoup.js");
const { systems } = require("../systems.js");
const { Exporter, needs } = require("./exporter.js");
const { Client } = require("..");
const { waitFor } = require("./wait.js");

/** A client that keeps what is reported. */
function recorder() {
  const events = [];
  const edumeet = Object.fromEntries(
    Object.entries(systems.edumeet).map(([name, event]) => [name, (fields) => events.push({ event, ...fields })]),
  );
  return { events, edumeet, take: () => events.splice(0).map(({ event, ...fields }) => [event.replace("edumeet.", ""), fields]) };
}

class Closable {
  observer = new EventEmitter();
  children = [];
  closed = false;

  close() {
    if (this.closed) return;
    this.closed = true;
    this.children.forEach((child) => child.close());
    this.observer.emit("close");
  }

  adopt(event, child) {
    this.children.push(child);
    this.observer.emit(event, child);
    return child;
  }
}

class Worker extends Closable {
  pid = 4242;
}

class Transport extends Closable {
  constructor(id, appData = {}) {
    super();
    Object.assign(this, { id, appData });
  }

  connect(tuple = {}) {
    this.iceSelectedTuple = {
      localIp: "192.0.2.1", localAddress: "192.0.2.1", localPort: 40000, remoteIp: "198.51.100.7", remotePort: 5000, protocol: "udp", ...tuple,
    };
    this.observer.emit("iceselectedtuplechange", this.iceSelectedTuple);
  }
}

class Stream extends Closable {
  constructor(id, kind, stats) {
    super();
    Object.assign(this, { id, kind, stats, rtpParameters: { codecs: [{ mimeType: `${kind}/x` }] } });
  }

  async getStats() {
    if (this.closed) throw new Error("InvalidStateError");
    return this.stats;
  }
}

function scene(client, options) {
  const mediasoup = { observer: new EventEmitter() };
  const observed = observe(mediasoup, client, options);
  const worker = new Worker();
  mediasoup.observer.emit("newworker", worker);
  const router = worker.adopt("newrouter", new Closable());
  return { mediasoup, observed, worker, router };
}

const inbound = (byteCount, score) => ({ type: "inbound-rtp", byteCount, score });

test("a peer with a transport, a producer, and its statistics", async () => {
  const client = recorder();
  const { observed, router } = scene(client);
  const room = observed.room("r");
  const peer = observed.peer({ roomId: "r", peerId: "p", displayName: "Ann", userAgent: "firefox" });
  const transport = router.adopt("newtransport", new Transport("t", { peerId: "p" }));
  transport.connect();
  transport.adopt("newproducer", new Stream("a", "audio", [inbound(10, 9)]));
  assert.deepEqual(client.take(), [
    ["room.opened", { room_id: "r" }],
    ["peer.joined", { room_id: "r", peer_id: "p", display_name: "Ann", user_agent: "firefox" }],
    ["transport.connected", { peer_id: "p", transport_id: "t", pid: 4242, proto: "udp", local_addr: "192.0.2.1:40000", remote_addr: "198.51.100.7:5000" }],
    ["producer.created", { transport_id: "t", id: "a", kind: "audio", codec: "x" }],
  ]);
  await observed.collect();
  assert.deepEqual(client.take(), [["producer.stats", { id: "a", type: "inbound-rtp", byte_count: 10, score: 9 }]]);
  transport.close();
  peer.left();
  room.close();
  assert.deepEqual(client.take(), [
    ["producer.closed", { id: "a" }],
    ["transport.closed", { transport_id: "t" }],
    ["peer.left", { peer_id: "p" }],
    ["room.closed", { room_id: "r" }],
  ]);
  observed.stop();
});

test("the layers of a simulcast stream add up, with the best score, and a consumer reports what it sends", async () => {
  const client = recorder();
  const { observed, router } = scene(client);
  observed.peer({ roomId: "r", peerId: "p" });
  const transport = router.adopt("newtransport", new Transport("t", { peerId: "p" }));
  transport.connect();
  transport.adopt("newproducer", new Stream("v", "video", [inbound(1, 5), inbound(2, 9), inbound(4, 7)]));
  transport.adopt("newconsumer", new Stream("c", "video", [{ type: "outbound-rtp", byteCount: 8, score: 10 }, inbound(16, 5)]));
  client.take();
  await observed.collect();
  assert.deepEqual(client.take(), [
    ["producer.stats", { id: "v", type: "inbound-rtp", byte_count: 7, score: 9 }],
    ["consumer.stats", { id: "c", type: "outbound-rtp", byte_count: 8, score: 10 }],
  ]);
  observed.stop();
});

test("the codec is what stands behind the slash of the MIME type", () => {
  for (const [codecs, codec] of [
    [[{ mimeType: "video/VP8" }, { mimeType: "video/rtx" }], "VP8"],
    [[{ mimeType: "audio/opus" }], "opus"],
    [[{ mimeType: "x" }], "x"],
    [[], "unknown"],
    [undefined, "unknown"],
  ]) {
    const client = recorder();
    const { observed, router } = scene(client);
    observed.peer({ roomId: "r", peerId: "p" });
    const transport = router.adopt("newtransport", new Transport("t", { peerId: "p" }));
    transport.connect();
    client.take();
    transport.adopt("newproducer", Object.assign(new Stream("v", "video", []), { rtpParameters: codecs && { codecs } }));
    assert.equal(client.take()[0][1].codec, codec);
    observed.stop();
  }
});

test("parents are reported first, in whatever order they appear", () => {
  const client = recorder();
  const { observed, router } = scene(client);
  const transport = router.adopt("newtransport", new Transport("t"));
  transport.adopt("newproducer", new Stream("a", "audio", []));
  transport.connect({ localIp: "2001:db8::1", localAddress: "2001:db8::1", remoteIp: "2001:db8::2" });
  assert.deepEqual(client.take(), []);
  observed.peer({ roomId: "r", peerId: "p" }).owns(transport);
  const events = client.take();
  assert.deepEqual(events.map(([event]) => event), ["room.opened", "peer.joined", "transport.connected", "producer.created"]);
  assert.equal(events[2][1].remote_addr, "[2001:db8::2]:5000");
  observed.stop();
});

test("a plain transport is connected when its tuple is known, at the latest when statistics are asked for", async () => {
  const client = recorder();
  const { observed, router } = scene(client, { peerOf: (transport) => transport.appData.owner });
  observed.peer({ roomId: "r", peerId: "p" });
  const transport = router.adopt("newtransport", new Transport("t", { owner: "p" }));
  transport.tuple = { localIp: "192.0.2.1", localAddress: "192.0.2.1", localPort: 1, protocol: "udp" };
  await observed.collect();
  assert.equal(client.take().length, 2);
  Object.assign(transport.tuple, { remoteIp: "192.0.2.2", remotePort: 2 });
  await observed.collect();
  assert.deepEqual(client.take().map(([event]) => event), ["transport.connected"]);
  observed.stop();
});

test("a peer that leaves, or a room that closes, takes its transports along", () => {
  for (const end of ["peer", "room"]) {
    const client = recorder();
    const { observed, router } = scene(client);
    const peer = observed.peer({ roomId: "r", peerId: "p" });
    const transport = router.adopt("newtransport", new Transport("t", { peerId: "p" }));
    transport.connect();
    transport.adopt("newconsumer", new Stream("c", "audio", []));
    client.take();
    if (end === "peer") peer.left();
    else observed.room("r").close();
    router.close();
    assert.equal(client.take().length, 1, "what is within is closed with it, and not once more");
    peer.left();
    assert.deepEqual(client.take(), []);
    observed.stop();
  }
});

test("a handle of a former peer or room does nothing to the present one", () => {
  const client = recorder();
  const { observed, router } = scene(client);
  const formerRoom = observed.room("r");
  const former = observed.peer({ roomId: "r", peerId: "p" });
  router.adopt("newtransport", new Transport("t1", { peerId: "p" })).connect();
  const events = () => client.take().map(([event]) => event);
  events();
  observed.peer({ roomId: "r", peerId: "p" });
  assert.deepEqual(events(), ["peer.left", "peer.joined", "transport.connected"]);
  former.left();
  assert.deepEqual(events(), []);
  observed.peer({ roomId: "other", peerId: "p" });
  assert.deepEqual(events(), ["peer.left", "room.opened", "peer.joined", "transport.connected"]);
  formerRoom.close();
  observed.room("r");
  formerRoom.close();
  assert.deepEqual(events(), ["room.closed", "room.opened"]);
  observed.stop();
});

test("an application that does not know whose a transport is harms nobody", async () => {
  const client = recorder();
  const { observed, router } = scene(client, { peerOf: (transport) => transport.appData.peer.id });
  const transport = router.adopt("newtransport", new Transport("t"));
  transport.connect();
  observed.peer({ roomId: "r", peerId: "p" });
  await observed.collect();
  transport.appData.peer = { id: "p" };
  await observed.collect();
  assert.deepEqual(client.take().map(([event]) => event), ["room.opened", "peer.joined", "transport.connected"]);
  observed.stop();
});

test("a worker that dies ends all it had", () => {
  const client = recorder();
  const { observed, worker, router } = scene(client);
  observed.peer({ roomId: "r", peerId: "p" });
  router.adopt("newtransport", new Transport("t", { peerId: "p" })).connect();
  client.take();
  worker.close();
  assert.deepEqual(client.take(), [["transport.closed", { transport_id: "t" }]]);
  observed.stop();
});

test("what is closed while its statistics are asked for is not reported", async () => {
  const client = recorder();
  const { observed, router } = scene(client);
  observed.peer({ roomId: "r", peerId: "p" });
  const transport = router.adopt("newtransport", new Transport("t", { peerId: "p" }));
  transport.connect();
  const stream = transport.adopt("newproducer", new Stream("a", "audio", [inbound(1, 1)]));
  client.take();
  const asked = observed.collect();
  stream.close();
  await asked;
  assert.deepEqual(client.take(), [["producer.closed", { id: "a" }]]);
  observed.stop();
});

test("after stop no worker is followed", () => {
  const client = recorder();
  const { mediasoup, observed } = scene(client);
  observed.stop();
  assert.equal(mediasoup.observer.listenerCount("newworker"), 0);
});

test("the exporter takes all of it, and nothing is left", { skip: needs("LIFECYCLE_EXPORTER") }, async (context) => {
  const exporter = await Exporter.start();
  context.after(() => exporter.stop());
  const rejections = [];
  const client = new Client({ socketPath: exporter.socket, producer: "edumeet", onRejected: (rejection) => rejections.push(rejection) });
  const { observed, worker, router } = scene(client);
  for (let room = 0; room < 3; room++) {
    for (let peer = 0; peer < 4; peer++) {
      const peerId = `p${room}-${peer}`;
      observed.peer({ roomId: `r${room}`, peerId, displayName: "x" });
      const transport = router.adopt("newtransport", new Transport(`t-${peerId}`, { peerId }));
      transport.adopt("newproducer", new Stream(`v-${peerId}`, "video", [inbound(100, 9)]));
      transport.connect();
    }
  }
  await observed.collect();
  await observed.collect();
  await waitFor(async () => (await exporter.metrics("edumeet")).includes('edumeet_rooms 3\n'));
  const shown = await exporter.metrics("edumeet");
  assert.equal(shown.match(/^mediasoup_producer_byte_count_bytes\{.*\} 100$/gm).length, 12);
  worker.close();
  for (let room = 0; room < 3; room++) observed.room(`r${room}`).close();
  observed.stop();
  assert.equal(await client.close(), true);
  assert.deepEqual(rejections, []);
  const left = await exporter.metrics("edumeet");
  assert.match(left, /^edumeet_rooms 0$/m);
  assert.doesNotMatch(left, /^(mediasoup_|edumeet_peers\{)/m);
});
