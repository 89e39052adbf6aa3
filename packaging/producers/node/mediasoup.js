// Follows mediasoup by its observer API, and rooms and peers by what the application says, and reports both as edumeet's events.
//
// The exporter wants parents first: a transport is reported once its peer is there and its remote address is known, and its producers and
// consumers after it. What mediasoup closes by itself (a worker that dies takes all it had along) is closed here by the same events.
"use strict";

/** As many statistics are asked for at a time. */
const STATS_AT_ONCE = 50;
const DEFAULT_INTERVAL_MS = 10_000;

/** Begins to follow; has to be called before the first worker is made. */
function observe(mediasoup, client, options = {}) {
  return new Observed(mediasoup, client, options);
}

class Observed {
  #events;
  #peerOf;
  #peers = new Map();
  #rooms = new Map();
  #transports = new Map();
  #asking = false;
  #timer;
  #observer;
  #newWorker = (worker) => this.#followWorker(worker);

  constructor(mediasoup, client, { intervalMs = DEFAULT_INTERVAL_MS, peerOf = (transport) => transport.appData?.peerId }) {
    this.#events = client.edumeet;
    this.#peerOf = peerOf;
    this.#observer = mediasoup.observer;
    this.#observer.on("newworker", this.#newWorker);
    this.#timer = setInterval(() => this.collect(), intervalMs);
    this.#timer.unref?.();
  }

  room(roomId) {
    const room = this.#openRoom(roomId);
    return { close: () => this.#closeRoom(room) };
  }

  peer({ roomId, peerId, displayName, userAgent }) {
    // Whoever joins again has left before, even if nobody noticed.
    if (this.#peers.has(peerId)) this.#leave(this.#peers.get(peerId));
    const room = this.#openRoom(roomId);
    const peer = { id: peerId, room };
    this.#peers.set(peerId, peer);
    room.peers.add(peer);
    this.#events.peerJoined({ room_id: roomId, peer_id: peerId, display_name: displayName, user_agent: userAgent });
    for (const transport of this.#transports.values()) this.#announce(transport);
    return {
      owns: (transport) => this.#give(transport, peerId),
      left: () => this.#leave(peer),
    };
  }

  #openRoom(roomId) {
    if (!this.#rooms.has(roomId)) {
      this.#rooms.set(roomId, { id: roomId, peers: new Set() });
      this.#events.roomOpened({ room_id: roomId });
    }
    return this.#rooms.get(roomId);
  }

  /** Asks for the statistics of all that is open. Resolves when they are reported; at once while the former are still being asked for. */
  async collect() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const streams = [];
      for (const transport of this.#transports.values()) {
        this.#announce(transport);
        if (transport.announced) streams.push(...transport.streams);
      }
      for (let first = 0; first < streams.length; first += STATS_AT_ONCE) {
        await Promise.all(streams.slice(first, first + STATS_AT_ONCE).map((stream) => this.#collectStream(stream)));
      }
    } finally {
      this.#asking = false;
    }
  }

  stop() {
    clearInterval(this.#timer);
    this.#observer.off("newworker", this.#newWorker);
  }

  #followWorker(worker) {
    worker.observer.on("newrouter", (router) => {
      router.observer.on("newtransport", (transport) => this.#followTransport(transport, worker.pid));
    });
  }

  #followTransport(transport, pid) {
    const known = { transport, pid, peerId: undefined, announced: false, streams: new Set() };
    this.#transports.set(transport.id, known);
    const { observer } = transport;
    observer.on("iceselectedtuplechange", () => this.#announce(known));
    observer.on("tuple", () => this.#announce(known));
    observer.on("newproducer", (producer) => this.#followStream(known, producer, "producer"));
    observer.on("newconsumer", (consumer) => this.#followStream(known, consumer, "consumer"));
    observer.on("close", () => {
      this.#transports.delete(transport.id);
      if (known.announced) this.#events.transportClosed({ transport_id: transport.id });
      known.announced = false;
    });
    this.#announce(known);
  }

  #followStream(known, stream, kind) {
    const entry = { stream, kind, known };
    known.streams.add(entry);
    stream.observer.on("close", () => {
      known.streams.delete(entry);
      if (known.announced) this.#events[`${kind}Closed`]({ id: stream.id });
    });
    if (known.announced) this.#announceStream(entry);
  }

  #give(transport, peerId) {
    const known = this.#transports.get(transport.id);
    if (known) {
      known.peerId = peerId;
      this.#announce(known);
    }
  }

  /** Reports a transport as soon as all is known that its event needs. */
  #announce(known) {
    if (known.announced) return;
    const { transport, pid } = known;
    const peerId = known.peerId ?? this.#askWhose(transport);
    const tuple = transport.iceSelectedTuple ?? transport.tuple;
    if (!this.#peers.has(peerId) || tuple?.remoteIp === undefined) return;
    known.peerId = peerId;
    known.announced = true;
    this.#events.transportConnected({
      peer_id: peerId,
      transport_id: transport.id,
      pid,
      proto: tuple.protocol,
      local_addr: address(tuple.localAddress ?? tuple.localIp, tuple.localPort),
      remote_addr: address(tuple.remoteIp, tuple.remotePort),
    });
    for (const entry of known.streams) this.#announceStream(entry);
  }

  /** The application may not know yet, and say so by an error. */
  #askWhose(transport) {
    try {
      return this.#peerOf(transport);
    } catch {
      return undefined;
    }
  }

  #announceStream({ stream, kind, known }) {
    this.#events[`${kind}Created`]({
      transport_id: known.transport.id,
      id: stream.id,
      kind: stream.kind,
      codec: stream.rtpParameters?.codecs?.[0]?.mimeType?.split("/").pop() ?? "unknown",
    });
  }

  async #collectStream({ stream, kind, known }) {
    let stats;
    try {
      stats = await stream.getStats();
    } catch {
      return; // It was closed meanwhile.
    }
    if (!known.announced || stream.closed || !Array.isArray(stats)) return;
    // Simulcast has a stream for each layer: their bytes add up, and the best score counts, since a layer that is switched off is no fault.
    const byType = new Map();
    for (const { type, byteCount = 0, score = 0 } of stats) {
      // What a consumer receives is its producer's, which reports it.
      if (kind === "consumer" && type === "inbound-rtp") continue;
      const sum = byType.get(type);
      if (sum) {
        sum.byte_count += byteCount;
        sum.score = Math.max(sum.score, score);
      } else {
        byType.set(type, { byte_count: byteCount, score });
      }
    }
    for (const [type, sum] of byType) this.#events[`${kind}Stats`]({ id: stream.id, type, ...sum });
  }

  /** A handle of a former room or peer of the same name does nothing. */
  #leave(peer) {
    if (this.#peers.get(peer.id) !== peer) return;
    this.#forgetPeer(peer);
    peer.room.peers.delete(peer);
    this.#events.peerLeft({ peer_id: peer.id });
  }

  #closeRoom(room) {
    if (this.#rooms.get(room.id) !== room) return;
    room.peers.forEach((peer) => this.#forgetPeer(peer));
    this.#rooms.delete(room.id);
    this.#events.roomClosed({ room_id: room.id });
  }

  /** Its transports are closed with it, as far as the exporter is concerned. */
  #forgetPeer(peer) {
    this.#peers.delete(peer.id);
    for (const known of this.#transports.values()) {
      if (known.peerId === peer.id) known.announced = false;
    }
  }
}

/** Address and port in one. */
function address(ip, port) {
  return String(ip).includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

module.exports = { observe };
