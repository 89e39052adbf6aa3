"""Emits as many events as told, closes, and prints how long that took: beside it, what counting in the process itself takes."""

import json
import sys
import time

from lifecycle_events import Client

count = int(sys.argv[1])
client = Client(producer="emit.py", buffer=count)
began = time.perf_counter()
for number in range(count):
    client.signaling.message_received(type="offer")
emitted = time.perf_counter()
complete = client.close(None)
done = time.perf_counter()
result = {
    "complete": complete,
    "stats": client.stats()._asdict(),
    "emit_seconds": (emitted - began) / count,
    "events_per_second": count / (done - began),
}

if sys.argv[2:] == ["compare"]:
    try:
        from prometheus_client import Counter
    except ImportError:
        # The bench says that there is nothing to compare with.
        pass
    else:
        messages = Counter("signaling_server_messages_total", "Messages", ["type"])
        began = time.perf_counter()
        for number in range(count):
            messages.labels("offer").inc()
        result["inc_seconds"] = (time.perf_counter() - began) / count

print(json.dumps(result))
