"""What one would write in an afternoon: the same feed, counted with prometheus_client. Ends with its first connection."""
import json
import os
import signal
import socket
import sys

from prometheus_client import Counter, Gauge

MESSAGES = Counter("signaling_server_messages", "Messages", ["type"])
SESSIONS = Gauge("signaling_hub_sessions", "Sessions", ["backend", "clienttype"])


def main(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    connection, _ = listener.accept()
    open_sessions = {}
    for line in connection.makefile("rb", 65536):
        event = json.loads(line)
        name = event["event"]
        if name == "signaling.message.received":
            MESSAGES.labels(event["type"]).inc()
        elif name == "signaling.session.joined":
            gauge = SESSIONS.labels(event["backend"], event["clienttype"])
            open_sessions[event["session"]] = gauge
            gauge.inc()
        elif name == "signaling.session.left":
            open_sessions.pop(event["session"]).dec()
    with open(path + ".done", "w"):
        pass
    # Stays for its CPU time to be read.
    signal.pause()


os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
main(sys.argv[1])
