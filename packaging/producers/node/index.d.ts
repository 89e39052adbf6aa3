// Reports lifecycle events to lifecycle-exporter.
//
// Where the exporter is: `$LIFECYCLE_EVENTS_SOCKET` is the path of its socket; without it the client takes that of the exporter's package,
// `DEFAULT_SOCKET`, else that of an exporter that this user runs.
//
// What a client opens is its own: when the client is closed or its process ends, the exporter abandons what is still open, and a recording
// or a job becomes a failed one. A script that opens something and exits, such as a job of cron, says that it owns nothing:
//
//     const events = new Client({ producer: "nightly-encode", owner: false });
//     events.vlog.jobStarted({ job: "42" });    // a worker reports its end; with `owner: true` it would fail here
//     await events.close();
//
// The client sends what is left when the program has nothing more to do, for up to a second. `process.exit` and a signal are no such end:
// call `close` before, and in the handler of SIGTERM.

import type { Systems } from "./systems";

export type { At, Label, Systems } from "./systems";

/** Where the package of the exporter has its socket. */
export const DEFAULT_SOCKET: string;

/** An event that the exporter did not take. */
export interface Rejection {
  /** The event as it was sent. */
  event: { event: string; [field: string]: unknown };
  /** The exporter's word for it: `not_open`, `unknown_event`, … */
  reason: string;
  /** A sentence for a person. */
  detail: string;
}

/** What became of the events: `emitted === acknowledged + pending + dropped`. */
export interface Stats {
  /** Events that the host has emitted. */
  emitted: number;
  /** Events that the exporter has applied or rejected, for good. */
  acknowledged: number;
  /** Events that wait or are on their way. */
  pending: number;
  /** Events that are on their way: sent, not yet acknowledged. */
  in_flight: number;
  /** Events lost here: the buffer was full, they are no JSON, or came after `close`. */
  dropped: number;
  /** Events that the exporter has rejected; they are acknowledged, too. */
  rejected: number;
  /** Whether a session is established now. */
  connected: boolean;
}

export interface Options {
  /** The exporter's socket. Default: `$LIFECYCLE_EVENTS_SOCKET`, else `DEFAULT_SOCKET`, else that of an exporter that this user runs. */
  socketPath?: string;
  /**
   * The producer's name, stable over restarts. Processes of one program share it (the workers of a cluster, an old and a new process during
   * an update): each is a run of its own, and so is each client. A name belongs to one user of the machine. Default: the name of the
   * program's file.
   */
  producer?: string;
  /** This run of the producer, unique. Default: random. */
  instance?: string;
  /**
   * Whether the exporter abandons what this client has opened, and what is still open, when the client is closed or its process is gone.
   * `false` is for a script that opens something and exits, such as a job of cron. Default: `true`.
   */
  owner?: boolean;
  /** Events kept while the exporter is away, at least 1. Default: 10,000. */
  buffer?: number;
  /** Which event gives way when the buffer is full: the oldest that was not sent yet, or the newest. Default: `"oldest"`. */
  overflow?: "oldest" | "newest";
  /** Called for each event that the exporter did not take. Default: they are logged. */
  onRejected?: (rejection: Rejection) => void;
  /** Takes a line about what goes wrong. Default: standard error. */
  log?: (message: string) => void;
  /**
   * The first and the longest pause between two attempts to connect, in milliseconds. Keep the longest well below the grace time of the
   * exporter (30 s by default), which gives up what a producer has open if it has not come back by then. Default: `[100, 5000]`.
   */
  reconnectMs?: [number, number];
  /** Unix seconds, for the time of an event that says none. */
  clock?: () => number;
}

/**
 * Text, numbers or booleans; `null` and `undefined` are the same as absent. A text of over 4,096 bytes of UTF-8 is cut, as all are to 256
 * bytes in an event of over 65,000, and a lone surrogate becomes U+FFFD.
 */
export type Fields = { [name: string]: string | number | boolean | null | undefined };

/** Brings events to the exporter. */
export class Client {
  /** Throws a RangeError for options that make no sense. Connects with the first event. */
  constructor(options?: Options);

  /** Reports an event, of whichever catalog. Never throws, never waits. */
  emit(event: string, fields?: Fields): void;

  /** What became of the events so far. */
  stats(): Stats;

  /**
   * Takes no more events, waits until all are acknowledged, and says goodbye. Resolves to whether all were acknowledged in time.
   * Default: 5,000; `null` and `Infinity` wait for ever.
   */
  close(timeoutMs?: number | null): Promise<boolean>;
}

export interface Client extends Systems {}
