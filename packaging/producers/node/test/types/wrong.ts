// Each line below a mark is an error for the compiler, and would be an error here if it were none.

import { Client } from "lifecycle-events";

const client = new Client();
// @ts-expect-error a misspelt event
client.recording.startd({ backend: "b", recording: "r" });
// @ts-expect-error a misspelt field
client.recording.started({ backend: "b", recoding: "r" });
// @ts-expect-error a field that lacks
client.recording.started({ backend: "b" });
// @ts-expect-error text for a number
client.recording.stopped({ backend: "b", recording: "r", duration: "long" });
// @ts-expect-error an unknown system
client.recordings.started({ backend: "b", recording: "r" });
// @ts-expect-error no such choice
new Client({ overflow: "middle" });
