// Compiles: what the declarations promise, with mediasoup's own types.

import * as mediasoup from "mediasoup";
import { Client, Rejection, Stats } from "lifecycle-events";
import { observe } from "lifecycle-events/mediasoup";

const client = new Client({ producer: "edumeet", overflow: "newest", onRejected: (rejection: Rejection) => void rejection.reason });
new Client({ producer: "nightly-encode", owner: false }).vlog.jobStarted({ job: "42" });
client.recording.started({ backend: "https://cloud.example.com/", recording: "r1" });
client.recording.stopped({ backend: "https://cloud.example.com/", recording: "r1", duration: 2.5, time: 1 });
client.recording.serverStarted();
client.emit("myapp.thing.happened", { colour: "red", size: 3, bright: true, owner: undefined });
const stats: Stats = client.stats();
const closed: Promise<boolean> = client.close(100);
void [stats, closed];

const observed = observe(mediasoup, client, {
  intervalMs: 5000,
  peerOf: (transport: mediasoup.types.Transport) => transport.appData.peer as string,
});
observed.room("r1");
const peer = observed.peer({ roomId: "r1", peerId: "p1", displayName: "Ann" });

/** A transport of mediasoup is one that a peer may own. */
export function own(transport: mediasoup.types.WebRtcTransport): void {
  peer.owns(transport);
}
