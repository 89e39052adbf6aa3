// Follows mediasoup by its observer API, and rooms and peers by what the application says.

import type { Client } from "./index";

/** As much of mediasoup's events as is followed. */
export interface Emitter {
  on(event: any, listener: (...args: any[]) => void): unknown;
  off(event: any, listener: (...args: any[]) => void): unknown;
}

/** The module `mediasoup`, version 3. */
export interface Mediasoup {
  observer: Emitter;
}

/** A transport of mediasoup. */
export interface Transport {
  readonly id: string;
  readonly appData: { [name: string]: unknown };
}

export interface ObserveOptions {
  /** Between two questions for the statistics of producers and consumers. Default: 10,000. */
  intervalMs?: number;
  /** Whose a transport is, where `peer.owns` does not say so. Default: `transport.appData.peerId`. */
  peerOf?: (transport: any) => string | undefined;
}

export interface Room {
  /** The room is closed, and so is all that is in it. */
  close(): void;
}

export interface Peer {
  /** This transport is the peer's. */
  owns(transport: Transport): void;
  /** The peer has left, and its transports with it. */
  left(): void;
}

export interface Observed {
  /** A room is open; once more is the same room. */
  room(roomId: string): Room;
  /** A peer is in a room, which is opened if it was not. Whoever joins again has left before. */
  peer(peer: { roomId: string; peerId: string; displayName?: string; userAgent?: string }): Peer;
  /** Asks for all statistics now. Resolves when they are reported. */
  collect(): Promise<void>;
  /** Follows no further workers, and asks for no more statistics. */
  stop(): void;
}

/** Begins to follow; has to be called before the first worker is made. */
export function observe(mediasoup: Mediasoup, client: Pick<Client, "edumeet">, options?: ObserveOptions): Observed;
